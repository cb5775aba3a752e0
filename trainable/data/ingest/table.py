"""Files → columns: CSV in a stream and cached as Parquet by content hash, Parquet as it is."""

import hashlib
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from trainable.cli.errors import UserError
from trainable.data.file_types import CSV_SUFFIXES, PARQUET_SUFFIXES
from trainable.data.ingest.column_names import canonical, refuse_control_characters
from trainable.data.ingest.csv_files import csv_batches, one_line
from trainable.data.times.extension_types import known_extension
from trainable.io.checksums import DamagedError
from trainable.io.parquet_file import open_parquet

_added: list[Path] = []  # cache files that this process made
CACHE_FORMAT = "1"  # part of a cache file's name: raise it when the conversion changes


@dataclass(frozen=True)
class Table:
    """A file's columns, each read when asked for.

    Attributes:
        file: what errors call it.
        stem: the file's name without its suffix.
        sha256: hash of the content.
        rows: number of data rows.
        columns: name as written (stripped) by canonical name, in the file's order.
        read: canonical name → its column.
    """

    file: str
    stem: str
    sha256: str
    rows: int
    columns: dict[str, str]
    read: Callable[[str], pa.ChunkedArray]


def open_table(path: str | Path) -> Table:
    """Opens a CSV or Parquet file.

    Raises:
        UserError: missing, empty, truncated or unreadable file, unknown suffix, or a text cell in
            a number column of a CSV file.
    """
    path = Path(path)
    kind = _kind(path)
    digest = _sha256(path)
    stem = path.name[: -len(next(s for s in kind if path.name.lower().endswith(s)))]
    if kind is PARQUET_SUFFIXES:
        return _parquet_table(path, str(path), stem, digest)
    cached = cache_folder() / f"{digest}-{CACHE_FORMAT}.parquet"
    return _cached_csv(path, stem, digest, cached)


def cache_folder() -> Path:
    """Converted CSV files: $ASHARPE_CACHE, $XDG_CACHE_HOME/asharpe or ~/.cache/asharpe."""
    if own := os.environ.get("ASHARPE_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base).expanduser() if base else Path.home() / ".cache") / "asharpe"


@contextmanager
def cache_if_usable() -> Iterator[None]:
    """Removes what the block added to the cache if it raises `UserError`."""
    before = len(_added)
    try:
        yield
    except UserError:
        for file in _added[before:]:
            file.unlink(missing_ok=True)
        raise
    finally:
        del _added[before:]


def table_of(arrow: pa.Table, file: str, stem: str, digest: str) -> Table:
    """Wraps columns that are already in memory."""
    physical, columns = _names(list(arrow.column_names), file)
    if not arrow.num_rows:
        raise UserError(f"{file}: no data rows")
    return Table(
        file, stem, digest, arrow.num_rows, columns, lambda name: arrow.column(physical[name])
    )


def _kind(path: Path) -> tuple[str, ...]:
    name = path.name.lower()
    for kind in (CSV_SUFFIXES, PARQUET_SUFFIXES):
        if name.endswith(kind):
            break
    else:
        known = ", ".join(CSV_SUFFIXES + PARQUET_SUFFIXES)
        raise UserError(f"{path}: unknown kind of file; use one of {known}")
    if not path.exists():
        raise UserError(f"{path}: no such file; give the path of a CSV or Parquet file")
    if not path.is_file():
        raise UserError(f"{path}: not a file; give the path of a CSV or Parquet file")
    try:
        with path.open("rb") as stream:
            head = stream.read(4)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    if not head:
        raise UserError(f"{path}: the file is empty")
    if head == b"PAR1" and kind is CSV_SUFFIXES:
        raise UserError(f"{path}: a Parquet file under a CSV name; rename it to .parquet")
    if head != b"PAR1" and kind is PARQUET_SUFFIXES:
        raise UserError(f"{path}: not a Parquet file; write it again or use .csv for text")
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise UserError(f"{path}: UTF-16 text; save it as UTF-8")
    return kind


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _names(names: list[str], file: str) -> tuple[dict[str, str], dict[str, str]]:
    """(physical name, name as written) by canonical name; a saved row index has none."""
    physical: dict[str, str] = {}
    for name in names:
        key = canonical(name)
        if not key or key.startswith("unnamed:"):
            continue
        if key in physical:
            raise UserError(f"{file}: two columns are called {name.strip()!r}; rename one")
        refuse_control_characters(name, file, "the name of a column")
        physical[key] = name
    return physical, {key: name.strip() for key, name in physical.items()}


def _parquet_table(path: Path, file: str, stem: str, digest: str) -> Table:
    try:
        parquet = open_parquet(path)
    except DamagedError as error:
        raise UserError(f"{file}: damaged or truncated Parquet file: {one_line(error)}") from error
    physical, columns = _names(parquet.schema_arrow.names, file)
    if not parquet.metadata.num_rows:
        raise UserError(f"{file}: no data rows")

    def read(name: str) -> pa.ChunkedArray:
        try:
            column = parquet.read(columns=[physical[name]]).column(0)
            return known_extension(column, parquet.schema_arrow.field(physical[name]))
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"{file}: damaged column {columns[name]!r}: {one_line(error)}"
            ) from error

    return Table(file, stem, digest, parquet.metadata.num_rows, columns, read)


def _cached_csv(path: Path, stem: str, digest: str, cached: Path) -> Table:
    if cached.exists():
        try:
            table = _parquet_table(cached, str(path), stem, digest)
            for name in table.columns:  # checksums: a damaged cache shows here, not in the search
                table.read(name)
            return table
        except UserError:
            pass  # made anew below
    temporary = None
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=cached.parent, suffix=".tmp")
        os.close(handle)
        writer = None
        for batch in csv_batches(path):
            writer = writer or pq.ParquetWriter(temporary, batch.schema, write_page_checksum=True)
            writer.write_batch(batch)
        if writer is None:
            raise UserError(f"{path}: a header but no data rows")
        writer.close()
        Path(temporary).replace(cached)
        _added.append(cached)
        return _parquet_table(cached, str(path), stem, digest)
    except OSError:  # no place for a cache is no reason not to read
        batches = list(csv_batches(path))
        return table_of(pa.Table.from_batches(batches), str(path), stem, digest)
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
