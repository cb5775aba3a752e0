"""The tables of a confirmation in `confirm/`: every training that has ended, written as it ends."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from analysis.verdict.confirm_folder import (
    FOLDER,
    KEYS,
    RETURNS,
    TRAININGS,
    arrow_schema,
    read_kept,
)
from search.confirmation.jobs import FoldResult, Key
from search.run_folder.folder import RunFolder
from trainable.data.folds.folds import Fold
from trainable.io.atomic import make_folder
from trainable.run_format import CONFIRM_COLUMNS, CONFIRM_RETURN_COLUMNS


class ConfirmTables:
    """What has ended so far, in memory and on the disk.

    Args:
        folder: of the run, which this process holds.

    Raises:
        UserError: a table is damaged.
    """

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        make_folder(folder.path / FOLDER)
        self._trainings = self._read(TRAININGS, CONFIRM_COLUMNS)
        self._returns = self._read(RETURNS, CONFIRM_RETURN_COLUMNS)

    @property
    def done(self) -> set[Key]:
        """The keys of what has ended, what cannot be trained included."""
        return {_key(row) for row in self._trainings.to_pylist()}

    def add(self, outcomes: Sequence[FoldResult], folds: Mapping[str, Fold]) -> None:
        """Adds outcomes and writes both tables, each at once.

        The returns come first: a training counts from when it has its row.
        """
        known = self.done
        new = [outcome for outcome in outcomes if outcome.key not in known]
        rows = [_row(outcome, folds[outcome.fold]) for outcome in new]
        self._trainings = _with(self._trainings, pd.DataFrame(rows), CONFIRM_COLUMNS)
        returns = [_returns(outcome) for outcome in new if outcome.scored is not None]
        if returns:
            self._returns = _with(self._returns, pd.concat(returns), CONFIRM_RETURN_COLUMNS)
        self._folder.write_table(RETURNS, self._returns)
        self._folder.write_table(TRAININGS, self._trainings)

    def _read(self, name: str, columns: Mapping[str, str]) -> pa.Table:
        table = read_kept(self._folder.path / name, columns)
        if name == RETURNS:  # of a training whose row was not written: it trains again
            keys = table.select(KEYS).to_pandas()
            kept = pd.MultiIndex.from_frame(keys).isin([tuple(key) for key in self.done])
            table = table.filter(pa.array(kept, pa.bool_()))
        return table


def trainings_in(folder: Path) -> pd.DataFrame:
    """Returns the trainings that are kept in a run folder, `CONFIRM_COLUMNS`."""
    file = folder / TRAININGS
    return pd.read_parquet(file) if file.exists() else pd.DataFrame(columns=list(CONFIRM_COLUMNS))


def _with(table: pa.Table, frame: pd.DataFrame, columns: Mapping[str, str]) -> pa.Table:
    added = pa.Table.from_pandas(frame, schema=arrow_schema(columns), preserve_index=False)
    return pa.concat_tables([table, added.replace_schema_metadata(None)])


def _key(row: Mapping[str, Any]) -> Key:
    fold = row["sha256"]
    return Key(row["number"], row["name"], row["seed"], fold, row["epochs"])


def _row(outcome: FoldResult, fold: Fold) -> dict[str, Any]:
    key, scored, data = outcome.key, outcome.scored, fold.dataset
    first, last = fold.blocks[0][0], fold.blocks[-1][1] - 1
    return {
        "number": key.number,
        "name": key.name,
        "seed": key.seed,
        "fold": fold.name,
        "kind": fold.kind,
        "before": fold.before,
        "sha256": key.fold,
        "epochs": key.epochs,
        "state": outcome.state,
        "stop_reason": outcome.reason,
        "sharpe": None if scored is None else scored.sharpe,
        "ic": None if scored is None else scored.ic,
        "seconds": outcome.seconds,
        "train_rows": len(data.train_rows),
        "scored_rows": len(data.valid_rows),
        "first": data.timestamps[first],
        "last": data.timestamps[last],
    }


def _returns(outcome: FoldResult) -> pd.DataFrame:
    assert outcome.scored is not None
    key = outcome.key
    days = outcome.scored.days.astype("datetime64[ns]")
    same = {"number": key.number, "name": key.name, "seed": key.seed, "sha256": key.fold}
    frame = pd.DataFrame({"day": days, "net_return": outcome.scored.returns})
    return frame.assign(**same, epochs=key.epochs)
