"""Which file names are tables, and what names within them may hold; light to import."""

import unicodedata

from trainable.cli.errors import UserError

CSV_SUFFIXES = (".csv", ".tsv", ".txt", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")


def is_table(name: str) -> bool:
    """Says whether a name is that of a CSV or Parquet file, whatever its case."""
    return name.lower().endswith(CSV_SUFFIXES + PARQUET_SUFFIXES)


def refuse_controls(name: str, file: str, what: str) -> None:
    """Raises UserError for a name that would steer the terminal it is printed to."""
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise UserError(f"{file}: {what} holds a control character: {name!r}; rename it")
