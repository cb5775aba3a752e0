"""Atomic, synced writes of files: a crash leaves the old file or the new one, never a part."""

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, is_dataclass
from datetime import date, datetime
from pathlib import Path
from secrets import token_hex
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from trainable.cli.errors import UserError
from trainable.io.checksums import add_sum, sha256_of

GO_ON = "fix that and go on with resume=true"


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Writes `content` to `path`."""
    with path.open("wb") as file:
        file.write(content)


def write_through(
    path: Path,
    write: Callable[[Path], None],
    with_checksum: bool = False,
    remedy: str = GO_ON,
) -> None:
    """Lets `write` fill a temporary file beside `path`, then replaces `path` by it at once.

    A reader, or a kill at any moment, sees the old file or the new one.

    Args:
        path: to replace.
        write: fills the file whose path it is given.
        with_checksum: whether the manifest beside `path` gets its sum.
        remedy: what to do where it cannot be written.

    Raises:
        UserError: it cannot be written (disk full, no permission); the old file is untouched.
    """
    # Processes of one number on two machines may write the same file.
    temporary = path.with_name(f".{path.name}.{token_hex(4)}.tmp")
    try:
        write(temporary)
        sync(temporary)
        if with_checksum:
            add_sum(path, sha256_of(temporary), durable=True)
        temporary.replace(path)
        sync(path.parent)
    except OSError as error:
        raise not_written(path, error, remedy) from error
    finally:
        with suppress(OSError):  # what was raised before says what is wrong
            temporary.unlink(missing_ok=True)


def make_folder(path: Path) -> None:
    """Makes a folder with all above it, where it is not there; raises `UserError`."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise not_written(path, error) from error


def write_new(path: Path, content: bytes | memoryview, writer: str) -> bool:
    """Writes `path` at once, unless it is there; says whether it did.

    Args:
        path: on a file system with hard links; others may be writing the same one.
        content: of the file.
        writer: a name that no other writer has.

    Raises:
        UserError: it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{writer}.tmp")
    try:
        write_bytes(temporary, content)
        sync(temporary)
        path.hardlink_to(temporary)
        sync(path.parent)
    except FileExistsError:
        return False
    except OSError as error:
        raise not_written(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)
    return True


def not_written(path: Path, error: OSError, remedy: str = GO_ON) -> UserError:
    """Returns what to say where a file cannot be written; one of a run unless `remedy` is given."""
    return UserError(f"cannot write {path}: {error.strerror or error}; {remedy}")


def write_out(path: Path, content: bytes | memoryview) -> None:
    """Replaces what a person named by `out=` at once; raises `UserError`."""
    remedy = "name another place: out=FILE"
    write_through(path, lambda temporary: write_bytes(temporary, content), remedy=remedy)


def write_atomic(path: Path, content: bytes | memoryview, with_checksum: bool = False) -> None:
    """Replaces `path` by `content` at once; see `write_through`."""
    write_through(path, lambda temporary: write_bytes(temporary, content), with_checksum)


def parquet_bytes(table: pa.Table, **how: Any) -> memoryview:
    """Returns `table` as a Parquet file.

    Args:
        table: what it holds.
        how: of pyarrow's writer; zstd unless it says otherwise.
    """
    sink = pa.BufferOutputStream()
    with parquet_writer(sink, table.schema, **how) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def parquet_writer(where: Any, schema: pa.Schema, **how: Any) -> pq.ParquetWriter:
    """Returns a writer of a Parquet file whose pages have checksums."""
    return pq.ParquetWriter(
        where, schema, **{"compression": "zstd", "write_page_checksum": True} | how
    )


def json_text(value: object, indent: int | None = None) -> str:
    """Returns strict JSON; knows numpy, dates, paths and dataclasses, refuses NaN and infinity."""
    return json.dumps(value, indent=indent, ensure_ascii=False, allow_nan=False, default=_plain)


def sync(path: Path) -> None:
    """Waits until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _plain(value: object) -> object:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} {value!r} cannot be written as JSON")
