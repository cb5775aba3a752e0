"""Reading Parquet files: damage is noticed, and a claim of more rows than memory holds."""

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainable.io.checksums import DamagedError, check_file

NARROWEST = 8  # bytes of a value once it is read
LARGE = 100_000  # rows from which threads pay; starting them costs more than reading a few


def read_table(
    path: Path, columns: Collection[str] | None = None, without: Collection[str] = ()
) -> pa.Table:
    """Reads a Parquet file, checked against the sum that stands beside it.

    Args:
        path: the file.
        columns: read only these; all if None.
        without: leave these out.

    Raises:
        DamagedError: it cannot be read; the message is one line that says why.
    """
    with _one_line():
        check_file(path)
        with open_parquet(path) as file:
            wanted = file.schema_arrow.names if columns is None else columns
            names = [name for name in wanted if name not in without]
            return file.read(columns=names, use_threads=file.metadata.num_rows > LARGE)


def open_parquet(path: Path) -> pq.ParquetFile:
    """Opens a Parquet file whose pages are checked as they are read.

    Raises:
        DamagedError: it is no Parquet file, is damaged, or claims more rows than memory holds.
    """
    with _one_line():
        # Old writers' 96-bit timestamps in microseconds: nanoseconds overflow without a word.
        file = pq.ParquetFile(
            path, page_checksum_verification=True, coerce_int96_timestamp_unit="us"
        )
        rows, memory = file.metadata.num_rows, _memory()
        if not 0 <= rows * NARROWEST <= memory:
            file.close()
            raise DamagedError(f"{rows:,} rows do not fit into {memory / 2**30:,.0f} GB of memory")
        return file


@contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except DamagedError:
        raise
    except (OSError, pa.ArrowException) as error:
        raise DamagedError(str(error).strip().partition("\n")[0]) from error


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
