"""Which file names are tables. Kept apart, because it is light to import."""

CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")


def is_table(name: str) -> bool:
    """Returns whether a name is that of a CSV or Parquet file, in upper or lower case."""
    return name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES)
