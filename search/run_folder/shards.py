"""Reports on disk: a small Parquet file for each batch that arrives, so that none is ever lost.

The checksum of a shard is a line in `shards/SHA256SUMS`, appended after the shard is there and
without a wait for the disk: another fsync would cost as much as the shard. A kill or a power cut
may lose the newest lines; such a shard is taken as it is. Since a line comes after its shard, there
is none for a shard that another driver wrote, or that a killed one never wrote. The sum cannot be
in the name of the shard: the name alone decides which of several drivers writes it.
"""

import hashlib
import math
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from trainable.cli.errors import UserError
from trainable.io.atomic import json_text, not_written, parquet_bytes, write_atomic, write_new
from trainable.io.checksums import MANIFEST, DamagedError, add_sum
from trainable.io.json_file import loads
from trainable.io.parquet_file import read_table
from trainable.report import Report, Stop

FIXED = {
    "number": pa.int64(),
    "epoch": pa.int64(),
    "steps": pa.int64(),
    "seconds": pa.float64(),
    "batch": pa.int64(),
    "stop_reason": pa.string(),
    "stop_evidence": pa.string(),
    "predicted": pa.bool_(),  # predictions came with this report
}
ARRAYS = {"net_returns": pa.list_(pa.float64()), "predictions": pa.list_(pa.float32())}
EMPTY = pa.schema(FIXED).empty_table()


def read(
    path: Path, columns: Collection[str] | None = None, without: Collection[str] = ()
) -> pa.Table:
    """Reads a Parquet file of the run, its checksum verified.

    Args:
        path: the file.
        columns: read only these; all if None.
        without: leave these out.

    Raises:
        UserError: it is damaged; the message names it.
    """
    try:
        return read_table(path, columns, without)
    except DamagedError as error:
        raise UserError(
            f"{path} is damaged ({error}); restore it from a copy, or remove it to do without "
            "what it holds"
        ) from error


def scalars(path: Path) -> pa.Table:
    """Reads what a shard says of each epoch, without the arrays."""
    return read(path, without=ARRAYS)


def write(path: Path, batch: int, reports: Sequence[Report], writer: str | None = None) -> bool:
    """Writes the reports that arrived together as one file, at once.

    Args:
        path: of the file.
        batch: its number.
        reports: what arrived.
        writer: a name of ours, where other processes may write the same file; else None.

    Returns:
        False where another writer was first, and nothing is changed.

    Raises:
        ValueError: a defect: a metric is not finite, or has the name of a fixed column.
        UserError: the file cannot be written.
    """
    names = sorted({name for report in reports for name in report.values})
    clash = [name for name in names if name in FIXED or name in ARRAYS]
    if clash:
        raise ValueError(f"metrics named like fixed columns: {clash}")
    for report in reports:
        _check(report)
    stops = [report.stop for report in reports]
    fixed: dict[str, list[Any]] = {
        "number": [r.number for r in reports],
        "epoch": [r.epoch for r in reports],
        "steps": [r.steps for r in reports],
        "seconds": [r.seconds for r in reports],
        "batch": [batch] * len(reports),
        "stop_reason": [s.reason if s else None for s in stops],
        "stop_evidence": [json_text(s.evidence) if s else None for s in stops],
        "predicted": [r.predictions is not None for r in reports],
    }
    columns = [pa.array(values, FIXED[name]) for name, values in fixed.items()]
    columns += [pa.array([r.values.get(name) for r in reports], pa.float64()) for name in names]
    columns += [_lists([getattr(r, n) for r in reports], kind) for n, kind in ARRAYS.items()]
    table = pa.Table.from_arrays(columns, names=[*fixed, *names, *ARRAYS])
    content = _file(table)
    if writer is None:
        write_atomic(path, content)
    elif not write_new(path, content, writer):
        return False
    try:
        add_sum(path, hashlib.sha256(content).hexdigest(), durable=False)
    except OSError as error:
        raise not_written(path.with_name(MANIFEST), error) from error
    return True


def to_reports(table: pa.Table) -> list[Report]:
    """Returns the rows of a shard as reports, without predictions; absent metrics are None."""
    arrays = [name for name in ARRAYS if name in table.column_names]
    returns = unpack(table, "net_returns") if "net_returns" in arrays else [None] * len(table)
    reports = []
    for row, net in zip(table.drop_columns(arrays).to_pylist(), returns, strict=True):
        reason, evidence = row["stop_reason"], row["stop_evidence"]
        reports.append(
            Report(
                number=row["number"],
                epoch=row["epoch"],
                steps=row["steps"],
                values={name: value for name, value in row.items() if name not in FIXED},
                seconds=row["seconds"],
                net_returns=net,
                stop=Stop(reason, loads(evidence)) if reason else None,
            )
        )
    return reports


def predictions(path: Path) -> dict[int, np.ndarray]:
    """Reads the predictions in a shard by trial number; of those that have any."""
    table = read(path, ["number", "predictions"])
    found = zip(table["number"].to_pylist(), unpack(table, "predictions"), strict=True)
    return {number: values for number, values in found if values is not None}


def slices(epochs: pa.Table) -> dict[int, slice]:
    """Returns where the rows of each trial are in a table sorted by number."""
    number = epochs["number"].to_numpy()
    starts = np.flatnonzero(np.diff(number, prepend=-1)).tolist() if len(number) else []
    ends = [*starts[1:], len(number)] if starts else []
    return {int(number[a]): slice(a, b) for a, b in zip(starts, ends, strict=True)}


def net_returns(path: Path) -> dict[tuple[int, int], np.ndarray]:
    """Reads the net returns in a shard by (number, epoch); of those that have any."""
    table = read(path, ["number", "epoch", "net_returns"])
    keys = zip(table["number"].to_pylist(), table["epoch"].to_pylist(), strict=True)
    found = zip(keys, unpack(table, "net_returns"), strict=True)
    return {key: values for key, values in found if values is not None}


def unpack(table: pa.Table, name: str) -> list[np.ndarray | None]:
    """Returns the arrays in a list column, None where null; views of the column where possible."""
    column = table.column(name)
    return [
        np.asarray(cell.values) if cell.is_valid else None
        for chunk in column.chunks
        for cell in chunk
    ]


def _file(table: pa.Table) -> memoryview:
    """Returns a shard as a Parquet file.

    It is small and soon merged: without dictionaries, statistics and zstd it is written in a third
    of the time (0.3 ms for one cohort of 16) and no larger.
    """
    return parquet_bytes(table, compression="lz4", use_dictionary=False, write_statistics=False)


def _check(report: Report) -> None:
    wrong = [n for n, v in report.values.items() if v is not None and not math.isfinite(v)]
    if report.net_returns is not None and not np.isfinite(report.net_returns).all():
        wrong.append("net_returns")
    if wrong:
        raise ValueError(
            f"trial {report.number}, epoch {report.epoch}: {', '.join(wrong)} not finite; "
            "what is undefined must be None"
        )


def _lists(arrays: Sequence[np.ndarray | None], kind: pa.ListType) -> pa.Array:
    """Packs arrays into a list column without a Python object for each number."""
    present = [a for a in arrays if a is not None]
    dtype = kind.value_type.to_pandas_dtype()
    values = np.concatenate(present).astype(dtype) if present else np.empty(0, dtype)
    ends = np.cumsum([0 if a is None else len(a) for a in arrays])
    offsets = pa.array([0, *ends.tolist()], pa.int32())
    mask = pa.array([a is None for a in arrays])
    return pa.ListArray.from_arrays(offsets, pa.array(values, kind.value_type), mask=mask)
