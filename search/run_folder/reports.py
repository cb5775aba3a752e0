"""The results of a search: every report kept as it arrives, merged into the run folder's tables."""

import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from search.run_folder import long_tables, shards, trials_table
from search.run_folder.folder import RunFolder
from search.run_folder.long_tables import Key, ScoredRows
from search.run_folder.shard_log import ShardLog
from search.run_folder.trials_table import BaselineRow, Row
from trainable.io.atomic import make_folder
from trainable.report import Report
from trainable.run_format import SEARCHED, SO_FAR

PREDICTED = 20  # configurations whose predictions a search that goes on writes at most


class ReportStore:
    """Keeps reports in `shards/` and makes the tables of them; holds only an index in memory.

    Each call of `add` writes one shard. `finish` merges shards and earlier tables into new tables.
    While a trial is unfinished all shards stay beside the tables: who resumes it needs the returns
    of all its epochs. Afterwards the tables are enough, and the shards are removed.
    `batch` in `epochs.parquet` is the shard of a row: what arrived together, in order of arrival.

    Args:
        folder: of the run.
        scored: the bars and rows that every trial is scored on.
        predict: of a finalist that reported no predictions, by number.
        shared: whether other drivers write reports too.

    Raises:
        UserError: a shard or table is damaged; the message names it.
    """

    def __init__(
        self,
        folder: RunFolder,
        scored: ScoredRows,
        predict: Callable[[int], np.ndarray | None] | None = None,
        shared: bool = False,
    ) -> None:
        self._folder = folder
        self._scored = scored
        self._predict = predict
        self._log = ShardLog(folder.path, folder.driver if shared else None)
        self._shards = self._log.paths
        self._heard: list[list[Report]] = []  # batches of other drivers
        self._where: dict[int, dict[int, int]] = {}  # number → epoch → batch
        self._predicted: dict[int, int] = {}  # number → batch of its newest predictions
        self._opened: tuple[int, dict[int, np.ndarray]] | None = None  # batch, predictions
        self._best: dict[int, tuple[Any, Any]] = {}  # number → ranking epoch, its loss
        old = self._old_epochs()
        self._log.next = max([self._log.next, *(1 + batch for batch in old["batch"].to_pylist())])
        self._index(old)
        for path in self._shards.values():
            self._index(shards.scalars(path))

    def add(self, reports: Sequence[Report]) -> list[Report]:
        """Keeps reports that arrived together, on disk when this returns; returns the new ones.

        A report whose (number, epoch) is known already is left out: the first one counts.

        Raises:
            ValueError: a defect: a metric is not finite, or an array has the wrong length.
            UserError: the shard cannot be written.
        """
        first = {(r.number, r.epoch): r for r in reversed(reports)}
        new = [r for key, r in reversed(first.items()) if not self.has(*key)]
        for report in new:
            self._scored.check(report)
        while new:
            batch = self._log.append(new)
            if batch is not None:
                self._enter(new, batch)
                break
            self._read_next()
            new = [report for report in new if not self.has(report.number, report.epoch)]
        return new

    def heard(self) -> list[list[Report]]:
        """Returns the batches of other drivers that arrived before what was added last."""
        heard, self._heard = self._heard, []
        return heard

    def others(self) -> list[list[Report]]:
        """Returns the batches of other drivers since the last call, in order of arrival."""
        while self._read_next():
            continue
        return self.heard()

    def _read_next(self) -> bool:
        path = self._log.read_next()
        if path is None:
            return False
        table = shards.read(path, without=["predictions"])
        self._index(table.select(list(shards.FIXED)))
        self._heard.append(shards.to_reports(table))
        return True

    def has(self, number: int, epoch: int) -> bool:
        """Says whether the report of this epoch is kept."""
        return epoch in self._where.get(number, {})

    def epochs(self, number: int) -> list[int]:
        """Returns the epochs kept of a trial, the first one first."""
        return sorted(self._where.get(number, ()))

    def numbers(self) -> set[int]:
        """Returns the trials of which an epoch is kept."""
        return set(self._where)

    def last_epoch(self, number: int) -> int:
        """Returns the last epoch kept of a trial; 0 without any."""
        return max(self._where.get(number, {}), default=0)

    @property
    def next_batch(self) -> int:
        """The number of the batch that arrives next, as far as we know."""
        return self._log.next

    def batches(self) -> Iterator[list[Report]]:
        """Yields the reports kept, batch by batch in order of arrival, without predictions."""
        return (reports for _, reports in self.numbered_batches())

    def numbered_batches(self) -> Iterator[tuple[int, list[Report]]]:
        """Yields the number and the reports of each batch; see `batches`.

        Reports of finished trials whose shards are gone have net returns only at their ranking
        epoch (finalists: at every epoch). Metrics that a report lacked are None in it.
        """
        old = self._old_epochs()
        curves = long_tables.read_returns(self._folder.path / "returns.parquet") if len(old) else {}
        for batch in sorted({*self._shards, *old["batch"].to_pylist()}):
            if batch in self._shards:
                shard = shards.read(self._shards[batch], without=["predictions"])
                yield batch, shards.to_reports(shard)
            else:
                rows = old.filter(pc.field("batch") == batch)
                yield batch, long_tables.with_returns(shards.to_reports(rows), curves)

    def finish(
        self, rows: Sequence[Row], baselines: Sequence[BaselineRow], run: Mapping[str, Any]
    ) -> pd.DataFrame:
        """Writes the tables and `run.json`; may be called again after more reports.

        `counts` (by state, reason and kind), `seconds_by_reason` and `state` are added to `run`.

        Args:
            rows: every trial of the study.
            baselines: rules scored beside the trials; they get the numbers -1, -2, …
            run: the content of `run.json`.

        Returns:
            `trials.parquet`.

        Raises:
            ValueError: a defect: two rows of one number, reports without a row, or an end without
                a reason.
            UserError: a file is damaged or cannot be written; what was kept stays.
        """
        state = "interrupted" if run.get("interrupted") else "ended"
        frame = self._write(rows, baselines, {**run, "state": state})
        if all(row.state != "RUNNING" for row in rows):
            self._log.remove()
        shutil.rmtree(self._folder.path / SO_FAR, ignore_errors=True)
        return frame

    def so_far(
        self, rows: Sequence[Row], baselines: Sequence[BaselineRow], run: Mapping[str, Any]
    ) -> None:
        """Writes the tables of a search that goes on into a folder of their own.

        They are those of `finish`, with the returns of ranking epochs and finalists, and with the
        predictions of the first finalists alone, as far as these came with their reports: to
        predict may take long, and others wait. Arguments and errors as of `finish`.
        """
        make_folder(self._folder.path / SO_FAR)
        self._write(rows, baselines, run, f"{SO_FAR}/")

    def _write(
        self,
        rows: Sequence[Row],
        baselines: Sequence[BaselineRow],
        run: Mapping[str, Any],
        within: str = "",
    ) -> pd.DataFrame:
        """Writes tables and `run.json`; those of a search that goes on `within` a folder."""
        self._log.forget(self._folder.path / "epochs.parquet")
        epochs = self._all_epochs()
        self._index(epochs)  # others may have removed shards that we never read
        slices = shards.slices(epochs)
        if strange := sorted(slices.keys() - {row.number for row in rows}):
            raise ValueError(f"reports of trials that are not in the study: {strange}")
        said = epochs.select(list(filter(trials_table.is_recorded, epochs.column_names)))
        parts = (said[slices.get(row.number, slice(0, 0))].to_pylist() for row in rows)
        records = [trials_table.trial_record(*pair) for pair in zip(rows, parts, strict=True)]
        records += [trials_table.baseline_record(-i, b) for i, b in enumerate(baselines, start=1)]
        frame = trials_table.trials_frame(records)
        self._write_long(rows, baselines, records, within)
        self._folder.write_table(f"{within}epochs.parquet", epochs)
        self._folder.write_parquet(f"{within}trials.parquet", frame)
        seconds = trials_table.seconds_by_reason(records)
        counted = {"counts": trials_table.counts(rows), "seconds_by_reason": seconds}
        self._folder.write_json(f"{within}run.json", dict(run) | counted)
        return frame

    def _write_long(
        self,
        rows: Sequence[Row],
        baselines: Sequence[BaselineRow],
        records: list[dict[str, Any]],
        within: str,
    ) -> None:
        ended = sorted(row.number for row in rows if trials_table.is_finalist(row))
        self._best = {r["number"]: (r["ranking_epoch"], r["val_loss"]) for r in records}
        keys = {(number, epoch) for number, (epoch, _) in self._best.items() if epoch is not None}
        keys |= {(number, epoch) for number in ended for epoch in self._where.get(number, {})}
        scored = {
            (-i, 0): np.asarray(b.net_returns, dtype=np.float64)
            for i, b in enumerate(baselines, start=1)
            if b.net_returns is not None
        }

        def returns(path: Path) -> None:
            long_tables.write_returns(path, keys, lambda k: self._returns(k) | scored, self._scored)

        def predictions(path: Path) -> None:
            long_tables.write_predictions(path, ended, self._predictions, self._scored)

        def first_predictions(path: Path) -> None:
            first = _first_finalists(records)
            long_tables.write_predictions(path, first, self._stored_predictions, self._scored)

        self._folder.write_through(f"{within}returns.parquet", returns)
        several = first_predictions if within else predictions
        self._folder.write_through(f"{within}predictions.parquet", several)
        self._opened = None

    def _returns(self, keys: Collection[Key]) -> dict[Key, np.ndarray]:
        """Reads the net returns of some epochs, from their shards or from the earlier table."""
        curves: dict[Key, np.ndarray] = {}
        trained = [key for key in keys if key[0] >= 0]
        batches = {key: self._where[key[0]][key[1]] for key in trained}
        old = {key for key in trained if batches[key] not in self._shards}
        if old:
            earlier = long_tables.read_returns(
                self._folder.path / "returns.parquet", {number for number, _ in old}
            )
            curves |= {key: values for key, values in earlier.items() if key in old}
        for batch in sorted({batches[key] for key in batches.keys() - old}):
            found = shards.net_returns(self._shards[batch])
            curves |= {key: values for key, values in found.items() if key in batches}
        return curves

    def _predictions(self, number: int) -> np.ndarray | None:
        found = self._stored_predictions(number)
        if found is not None or self._predict is None or self._best[number][0] is None:
            return found
        return self._predict(number)

    def _stored_predictions(self, number: int) -> np.ndarray | None:
        batch = self._predicted.get(number)
        if batch in self._shards:
            # Finalists of one cohort come one after another: their shard is read once.
            if self._opened is None or self._opened[0] != batch:
                self._opened = batch, shards.predictions(self._shards[batch])
            return self._opened[1][number]
        path = self._folder.path / "predictions.parquet"
        return long_tables.read_predictions(path, number) if path.exists() else None

    def _all_epochs(self) -> pa.Table:
        parts = [self._old_epochs(), *(shards.scalars(path) for path in self._shards.values())]
        return trials_table.order_epochs(pa.concat_tables(parts, promote_options="default"))

    def _old_epochs(self) -> pa.Table:
        """Reads the rows of the earlier `epochs.parquet` whose shards are gone."""
        path = self._folder.path / "epochs.parquet"
        if not path.exists():
            return shards.EMPTY
        table = shards.read(path)
        return table.filter(~pc.field("batch").isin(pa.array(list(self._shards), pa.int64())))

    def _enter(self, reports: Sequence[Report], batch: int) -> None:
        for report in reports:
            self._where.setdefault(report.number, {})[report.epoch] = batch
            if report.predictions is not None:
                self._predicted[report.number] = batch

    def _index(self, table: pa.Table) -> None:
        columns = [table[name].to_pylist() for name in ("number", "epoch", "batch", "predicted")]
        for number, epoch, batch, predicted in zip(*columns, strict=True):
            self._where.setdefault(number, {})[epoch] = batch
            if predicted:
                self._predicted[number] = batch


def _first_finalists(records: Sequence[Mapping[str, Any]]) -> list[int]:
    """Returns the numbers of the configurations that finished with the highest Sharpe ratios."""
    found = [
        (-record["sharpe"], record["number"])
        for record in records
        if record["kind"] in SEARCHED
        and record["state"] == "COMPLETE"
        and record["sharpe"] is not None
    ]
    return sorted(number for _, number in sorted(found)[:PREDICTED])
