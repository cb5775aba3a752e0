"""The tables of a confirmation in `confirm/`: every training that has ended, written as it ends."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa

from search.confirmation.jobs import FoldResult, Key
from search.run_folder.folder import RunFolder
from trainable.cli.errors import UserError
from trainable.data.folds.folds import Fold
from trainable.io.atomic import make_folder
from trainable.io.checksums import DamagedError
from trainable.io.parquet_file import read_table
from trainable.run_format import CONFIRM_COLUMNS, CONFIRM_RETURN_COLUMNS

FOLDER = "confirm"
TRAININGS, RETURNS = f"{FOLDER}/trainings.parquet", f"{FOLDER}/returns.parquet"


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

    def of(self, keys: Collection[Key], folds: Sequence[Fold]) -> pd.DataFrame:
        """Returns the rows of some trainings, `CONFIRM_COLUMNS`, in the order of their folds.

        What was trained for other settings is named as these folds are: the validation part is
        the third of three walk-forward folds, and the fifth of five.

        Args:
            keys: of them; those that have not ended are missing.
            folds: of them.
        """
        places = {fold.sha256: place for place, fold in enumerate(folds)}
        rows = [row for row in self._trainings.to_pylist() if _key(row) in keys]
        rows.sort(key=lambda row: places[row["sha256"]])
        named = [row | _about(folds[places[row["sha256"]]]) for row in rows]
        return pd.DataFrame(named, columns=list(CONFIRM_COLUMNS))

    @property
    def returns(self) -> pd.DataFrame:
        """Daily net returns of them, long: `CONFIRM_RETURN_COLUMNS`."""
        return self._returns.to_pandas()

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
        file = self._folder.path / name
        if not file.exists():
            return _schema(columns).empty_table()
        try:
            table = read_table(file).select(list(columns)).cast(_schema(columns))
        except (DamagedError, KeyError, pa.ArrowException) as error:
            raise UserError(
                f"{file} is damaged ({str(error).partition(chr(10))[0]}); restore it from a copy, "
                f"or remove {file.parent} to train anew"
            ) from error
        if name == RETURNS:  # of a training whose row was not written: it trains again
            keys = table.select(["number", "name", "seed", "sha256", "epochs"]).to_pandas()
            kept = pd.MultiIndex.from_frame(keys).isin([tuple(key) for key in self.done])
            table = table.filter(pa.array(kept, pa.bool_()))
        return table


def trainings_in(folder: Path) -> pd.DataFrame:
    """Returns the trainings that are kept in a run folder, `CONFIRM_COLUMNS`."""
    file = folder / TRAININGS
    return pd.read_parquet(file) if file.exists() else pd.DataFrame(columns=list(CONFIRM_COLUMNS))


def _schema(columns: Mapping[str, str]) -> pa.Schema:
    kinds = {"timestamp[ns]": pa.timestamp("ns"), "bool": pa.bool_()}
    return pa.schema(
        [(name, kinds.get(kind) or pa.type_for_alias(kind)) for name, kind in columns.items()]
    )


def _with(table: pa.Table, frame: pd.DataFrame, columns: Mapping[str, str]) -> pa.Table:
    added = pa.Table.from_pandas(frame, schema=_schema(columns), preserve_index=False)
    return pa.concat_tables([table, added.replace_schema_metadata(None)])


def _key(row: Mapping[str, Any]) -> Key:
    fold = row["sha256"]
    return Key(row["number"], row["name"], row["seed"], fold, row["epochs"])


def _about(fold: Fold) -> dict[str, Any]:
    return {"fold": fold.name, "kind": fold.kind, "before": fold.before}


def _row(outcome: FoldResult, fold: Fold) -> dict[str, Any]:
    key, scored, data = outcome.key, outcome.scored, fold.dataset
    first, last = fold.blocks[0][0], fold.blocks[-1][1] - 1
    return {
        "number": key.number,
        "name": key.name,
        "seed": key.seed,
        **_about(fold),
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
