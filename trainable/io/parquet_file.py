"""Parquet files of whatever origin: a few bytes may claim more rows than any memory holds."""

import os

import pyarrow as pa
import pyarrow.parquet as pq

NARROWEST = 8  # bytes of a value once it is read


def check_size(file: pq.ParquetFile) -> None:
    """Raises pa.ArrowInvalid where one column alone would not fit into this machine's memory."""
    rows, memory = file.metadata.num_rows, _memory()
    if not 0 <= rows * NARROWEST <= memory:
        raise pa.ArrowInvalid(f"{rows:,} rows do not fit into {memory / 2**30:,.0f} GB of memory")


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
