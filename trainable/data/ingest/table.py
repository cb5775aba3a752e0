"""Files → columns: CSV in a stream and cached as Parquet by content hash, Parquet as it is."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainable.cli.errors import UserError
from trainable.data.file_types import CSV_SUFFIXES, PARQUET_SUFFIXES
from trainable.data.ingest.cells import Marks, one_line
from trainable.data.ingest.column_names import (
    canonical,
    is_unnamed,
    plain,
    refuse_control_characters,
)
from trainable.data.ingest.csv_files import CsvFile
from trainable.data.times.extension_types import known_extension
from trainable.io.checksums import DamagedError
from trainable.io.json_file import loads
from trainable.io.parquet_file import open_parquet

_added: list[Path] = []  # cache files that this process made
CACHE_FORMAT = "6"  # part of a cache file's name: raise it when the conversion changes
NOTES_KEY = b"asharpe.reading"  # of a cache file's metadata: notes and number marks as JSON


@dataclass(frozen=True)
class Table:
    """A file's columns, each read when asked for.

    Attributes:
        file: what errors call it.
        stem: the file's name without its suffix.
        sha256: hash of the content.
        rows: number of data rows.
        columns: name as written (stripped) by canonical name, in the file's order.
        read: canonical name → its column; also those of `unnamed`.
        unnamed: keys of columns without a name, such as a saved index.
        notes: what was guessed while reading, for the plan.
        marks: how numbers are written in text; None: each column shows it.
        file_rows: [R] 0-based row of the file by row; None: the same.
    """

    file: str
    stem: str
    sha256: str
    rows: int
    columns: dict[str, str]
    read: Callable[[str], pa.ChunkedArray]
    unnamed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    marks: Marks | None = None
    file_rows: np.ndarray | None = None

    def renamed(self, old: str, new: str, note: str | None = None) -> "Table":
        """Returns the table with a column under another canonical name; what it is called stays."""
        written = self.columns.get(old, "(unnamed)")
        columns = {new if key == old else key: name for key, name in self.columns.items()}
        columns.setdefault(new, written)
        return replace(
            self,
            columns=columns,
            read=lambda key: self.read(old if key == new else key),
            unnamed=tuple(key for key in self.unnamed if key != old),
            notes=self.notes if note is None else (*self.notes, note),
        )

    def without(self, keys: Sequence[str], note: str | None = None) -> "Table":
        """Returns the table less some columns."""
        columns = {key: name for key, name in self.columns.items() if key not in keys}
        notes = self.notes if note is None else (*self.notes, note)
        return replace(self, columns=columns, notes=notes)

    def first(self, rows: int, note: str) -> "Table":
        """Returns the first rows of a table that was read from a file."""
        return replace(
            self,
            rows=rows,
            read=lambda key: self.read(key).slice(0, rows),
            notes=(*self.notes, note),
        )

    def data_row(self, row: int) -> int:
        """Returns the 1-based row of the file that a 0-based row of the table comes from."""
        return (row if self.file_rows is None else int(self.file_rows[row])) + 1


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
    unnamed = tuple(key for key in physical if key not in columns)

    def read(name: str) -> pa.ChunkedArray:
        return arrow.column(physical[name])

    return Table(file, stem, digest, arrow.num_rows, columns, read, unnamed)


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
    return kind


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _names(names: list[str], file: str) -> tuple[dict[str, str], dict[str, str]]:
    """(physical name of every column, name as written of those that have one) by canonical name."""
    physical: dict[str, str] = {}
    for name in names:
        key = canonical(name) or "unnamed: 0"
        if is_unnamed(plain(name)):
            key = plain(name)
        if key in physical:
            first = physical[key].strip()
            if plain(first) == plain(name):
                raise UserError(f"{file}: two columns are called {name.strip()!r}; rename one")
            raise UserError(
                f"{file}: two columns mean {key!r}: {first!r} and {name.strip()!r}; rename or "
                "remove one"
            )
        refuse_control_characters(name, file, "the name of a column")
        physical[key] = name
    return physical, {k: name.strip() for k, name in physical.items() if not is_unnamed(k)}


def _told(text: bytes) -> tuple[tuple[str, ...], Marks]:
    """The notes and number marks that a cache file holds of the CSV file it was made from."""
    told = loads(text)
    return tuple(map(str, told["notes"])), Marks(**told["marks"])


def _parquet_table(path: Path, file: str, stem: str, digest: str, converted: bool = False) -> Table:
    """Opens a Parquet file; `converted` is one of the cache, which tells how the CSV was read."""
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

    notes, marks = _told((parquet.metadata.metadata or {})[NOTES_KEY]) if converted else ((), None)
    return Table(
        file,
        stem,
        digest,
        parquet.metadata.num_rows,
        columns,
        read,
        tuple(key for key in physical if key not in columns),
        notes,
        marks,
    )


def _cached_csv(path: Path, stem: str, digest: str, cached: Path) -> Table:
    if cached.exists():
        try:
            table = _parquet_table(cached, str(path), stem, digest, converted=True)
            for name in table.columns:  # checksums: a damaged cache shows here, not in the search
                table.read(name)
            return table
        except (UserError, KeyError, TypeError, ValueError):
            pass  # damaged: made anew below
    temporary = None
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=cached.parent, suffix=".tmp")
        os.close(handle)
        writer, source = None, CsvFile(path)
        for batch in source.batches():
            writer = writer or pq.ParquetWriter(temporary, batch.schema, write_page_checksum=True)
            writer.write_batch(batch)
        if writer is None:
            raise UserError(f"{path}: a header but no data rows")
        told = {"notes": source.notes, "marks": asdict(source.layout.marks)}
        writer.add_key_value_metadata({NOTES_KEY: json.dumps(told).encode()})
        writer.close()
        Path(temporary).replace(cached)
        _added.append(cached)
        return _parquet_table(cached, str(path), stem, digest, converted=True)
    except OSError:  # no place for a cache is no reason not to read
        source = CsvFile(path)
        whole = pa.Table.from_batches(list(source.batches()))
        table = table_of(whole, str(path), stem, digest)
        return replace(table, notes=tuple(source.notes), marks=source.layout.marks)
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)
