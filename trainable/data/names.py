"""Which file names are tables; light to import."""

CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")


def is_table(name: str) -> bool:
    """Says whether a name is that of a CSV or Parquet file, whatever its case."""
    return name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES)
