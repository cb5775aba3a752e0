"""The long tables of a run folder: returns and predictions by timestamp, from shards and before."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from search.run_folder import shards
from trainable.data.dataset.dataset import Dataset
from trainable.io.atomic import parquet_writer
from trainable.metrics.scoring import scoring
from trainable.report import Report
from trainable.run_format import LABEL_COLUMNS, PREDICTION_COLUMNS, RETURN_COLUMNS

Key = tuple[int, int]  # number, epoch
Curves = Mapping[Key, np.ndarray]

RETURNS = pa.schema([(n, pa.type_for_alias(kind)) for n, kind in RETURN_COLUMNS.items()])
PREDICTIONS = pa.schema([(n, pa.type_for_alias(kind)) for n, kind in PREDICTION_COLUMNS.items()])
LABELS = pa.schema([(n, pa.type_for_alias(kind)) for n, kind in LABEL_COLUMNS.items()])
CHUNK = 1_000_000  # values merged at a time: about 32 MB of long rows, a few times over


@dataclass(frozen=True)
class ScoredRows:
    """The validation bars and rows that every trial is scored on.

    Attributes:
        periods: [V] datetime64[ns], of `Report.net_returns`.
        row_times: [R_valid] datetime64[ns], of `Report.predictions`.
        row_symbols: [R_valid] names, of `Report.predictions`.
    """

    periods: np.ndarray
    row_times: np.ndarray
    row_symbols: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset) -> Self:
        """Returns the bars and rows that a validation score covers."""
        rows = dataset.valid_rows
        symbols = np.asarray(dataset.symbols, dtype=object)
        return cls(
            scoring(dataset, rows).timestamps,
            dataset.timestamps[dataset.time[rows]],
            symbols[dataset.symbol[rows]],
        )

    def check(self, report: Report) -> None:
        """Raises `ValueError`, a defect, where an array of a report has the wrong length."""
        for name, array, expected in (
            ("net_returns", report.net_returns, self.periods),
            ("predictions", report.predictions, self.row_times),
        ):
            if array is not None and array.shape != expected.shape:
                raise ValueError(
                    f"trial {report.number}, epoch {report.epoch}: {name} has the shape "
                    f"{array.shape}, expected {expected.shape}"
                )


def write_returns(
    path: Path,
    keys: Collection[Key],
    fetch: Callable[[Collection[Key]], Curves],
    scored: ScoredRows,
) -> None:
    """Writes the net returns of `keys`, sorted; one without returns (no position) has no rows.

    Args:
        path: the file to write.
        keys: what to write.
        fetch: reads the returns of some of the keys: no more are held than fit in memory.
        scored: where the timestamps come from.
    """
    with parquet_writer(path, RETURNS) as writer:
        for chunk in _chunks(sorted(keys), len(scored.periods)):
            curves = fetch(chunk)
            present = [key for key in chunk if key in curves]
            if not present:
                continue
            numbers, epochs = np.array(present).T
            n = len(scored.periods)
            columns = [
                np.repeat(numbers, n),
                np.repeat(epochs, n),
                np.tile(scored.periods, len(present)),
                np.concatenate([curves[key] for key in present]),
            ]
            writer.write_table(pa.Table.from_arrays(_arrays(columns, RETURNS), schema=RETURNS))


def write_predictions(
    path: Path,
    numbers: Sequence[int],
    fetch: Callable[[int], np.ndarray | None],
    scored: ScoredRows,
) -> None:
    """Writes the predictions of the trials `numbers`, in their order, read one by one."""
    with parquet_writer(path, PREDICTIONS) as writer:
        for number in numbers:
            values = fetch(number)
            if values is None:
                continue
            columns = [
                np.full(len(values), number),
                scored.row_times,
                scored.row_symbols,
                values,
            ]
            table = pa.Table.from_arrays(_arrays(columns, PREDICTIONS), schema=PREDICTIONS)
            writer.write_table(table)


def labels_table(dataset: Dataset) -> pa.Table:
    """Returns `labels.parquet`: what predictions on the validation rows are held against."""
    rows = dataset.valid_rows
    time, symbol = dataset.time[rows], dataset.symbol[rows]
    columns = [
        dataset.timestamps[time],
        np.asarray(dataset.symbols, dtype=object)[symbol],
        _known(dataset.target[rows]),
        _known(dataset.forward_returns[time, symbol]),
    ]
    return pa.Table.from_arrays(_arrays(columns, LABELS), schema=LABELS)


def read_returns(path: Path, numbers: Collection[int] | None = None) -> dict[Key, np.ndarray]:
    """Returns the net returns in `returns.parquet` by (number, epoch); all, or those of `numbers`.

    Raises:
        UserError: the file is damaged or missing.
    """
    table = shards.read(path, ["number", "epoch", "net_return"])
    if numbers is not None:
        table = table.filter(pc.field("number").isin(pa.array(list(numbers), pa.int64())))
    number, epoch = table["number"].to_numpy(), table["epoch"].to_numpy()
    values = table["net_return"].to_numpy()
    change = (np.diff(number) != 0) | (np.diff(epoch) != 0)
    bounds = [0, *(np.flatnonzero(change) + 1).tolist()] if len(values) else []
    ends = [*bounds[1:], len(values)] if bounds else []
    return {(int(number[a]), int(epoch[a])): values[a:b] for a, b in zip(bounds, ends, strict=True)}


def read_predictions(path: Path, number: int) -> np.ndarray | None:
    """Returns one trial's predictions in `predictions.parquet`; None without any."""
    table = shards.read(path, ["number", "prediction"])
    values = table.filter(pc.field("number") == number)["prediction"].to_numpy()
    return values if len(values) else None


def with_returns(reports: Sequence[Report], curves: Curves) -> list[Report]:
    """Returns the reports with the net returns known of them."""
    return [replace(r, net_returns=curves.get((r.number, r.epoch))) for r in reports]


def _chunks(keys: list[Key], periods: int) -> Iterator[list[Key]]:
    size = max(1, CHUNK // max(1, periods))
    for start in range(0, len(keys), size):
        yield keys[start : start + size]


def _known(values: np.ndarray) -> pa.Array:
    """Returns float32 with nulls in the place of what is not finite."""
    return pa.array(values.astype(np.float32), mask=~np.isfinite(values))


def _arrays(columns: Sequence[Any], schema: pa.Schema) -> list[pa.Array]:
    return [pa.array(values, kind) for values, kind in zip(columns, schema.types, strict=True)]
