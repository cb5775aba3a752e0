"""Reads a run folder: its JSON at once, its larger tables when they are first asked for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.tries import Tries, count_tries
from trainable.cli.errors import UserError
from trainable.cli.paths import expand_home
from trainable.io.checksums import DamagedError, checked
from trainable.io.json_file import loads
from trainable.io.parquet_file import read_table
from trainable.run_format import SEARCHED, SO_FAR

TRIAL_COLUMNS = (
    "number", "kind", "parent", "state", "stop_reason", "stop_epoch", "epochs", "sharpe",
    "sharpe_se", "val_loss", "ic", "rank_ic", "turnover", "break_even_bps",
)  # fmt: skip
TEXT_COLUMNS = ("kind", "state", "stop_reason")
EPOCH_COLUMNS = ("number", "epoch", "val_loss", "sharpe")
RETURN_COLUMNS = ("number", "epoch", "timestamp", "net_return")
PREDICTION_COLUMNS = ("number", "timestamp", "symbol", "prediction")
LABEL_COLUMNS = ("timestamp", "symbol", "label", "next_return")


@dataclass(frozen=True)
class Run:
    """A run folder, finished or interrupted.

    Attributes:
        folder: where it lies.
        run: content of `run.json`.
        trials: `trials.parquet`, one row a trial, sorted by number.
        tables: where the tables lie; None: in the folder itself.
    """

    folder: Path
    run: dict[str, Any]
    trials: pd.DataFrame
    tables: Path | None = None

    def _read(self, name: str, columns: tuple[str, ...]) -> pd.DataFrame:
        return _table((self.tables or self.folder) / f"{name}.parquet", columns)

    def __repr__(self) -> str:
        return f"Run {str(self.folder)!r}"

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """`epochs.parquet`: one row a trial and epoch."""
        frame = self._read("epochs", EPOCH_COLUMNS)
        return frame.sort_values(["number", "epoch"], ignore_index=True)

    @cached_property
    def returns(self) -> pd.DataFrame:
        """`returns.parquet`: net simple return of each validation period, decimal, long."""
        frame = self._read("returns", RETURN_COLUMNS)
        return frame.sort_values(["number", "epoch", "timestamp"], ignore_index=True)

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """`predictions.parquet`: finalists' predictions on validation rows, long."""
        return self._read("predictions", PREDICTION_COLUMNS)

    @cached_property
    def labels(self) -> pd.DataFrame | None:
        """`labels.parquet`: what predictions are held against; None of an older version."""
        known = ((self.tables or self.folder) / "labels.parquet").is_file()
        return self._read("labels", LABEL_COLUMNS) if known else None

    @property
    def name(self) -> str:
        """The run's name: that of its folder."""
        return self.folder.resolve().name

    @cached_property
    def searched(self) -> pd.DataFrame:
        """The rows of searched configurations: kinds search and enqueued."""
        return self.trials.loc[self.trials["kind"].isin(SEARCHED)]

    @cached_property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The rows of `trials`, each by its columns; not to be changed."""
        return self.trials.to_dict("records")

    @cached_property
    def searched_rows(self) -> Sequence[Mapping[str, Any]]:
        """Those of `rows` that are of `searched`."""
        return [row for row in self.rows if row["kind"] in SEARCHED]

    @cached_property
    def baseline_rows(self) -> Sequence[Mapping[str, Any]]:
        """Those of `rows` that are of baselines."""
        return [row for row in self.rows if row["kind"] == "baseline"]

    @cached_property
    def row_of(self) -> Mapping[int, Mapping[str, Any]]:
        """The `rows` by number."""
        return {int(row["number"]): row for row in self.rows}

    @cached_property
    def tries(self) -> Tries:
        """The configurations tried on the same data, over all runs of the folder that it is in."""
        folder = self.folder.resolve()
        trained = self.searched.loc[self.searched["epochs"] >= 1]
        return count_tries(folder.parent, folder.name, self.run, len(trained))

    @property
    def default(self) -> int | None:
        """Number of the trial at the centre of the space; None where a search had none."""
        number = self.run.get("default")
        known = isinstance(number, int) and number in set(self.searched["number"])
        return number if known else None

    @cached_property
    def periods(self) -> int:
        """Validation periods that every trial was scored on; 0 when none has returns."""
        return len(np.unique(self.returns["timestamp"]))

    @property
    def periods_per_year(self) -> float:
        """Periods a year, as the search used it: `data.periods_per_year` of `run.json`.

        Raises:
            UserError: it is missing there.
        """
        data = self.run.get("data")
        recorded = data.get("periods_per_year") if isinstance(data, Mapping) else None
        if not isinstance(recorded, int | float) or not recorded > 0:
            raise UserError(f"{self.folder / 'run.json'}: data.periods_per_year is missing")
        return float(recorded)

    def curve(self, number: int) -> pd.DataFrame:
        """Returns one trial's rows of `returns` at its ranking epoch; none where it has none.

        Raises:
            UserError: the trial has returns of several epochs and no validation loss.
        """
        mine = _of(self.returns, number)
        if len(np.unique(mine["epoch"])) > 1:
            mine = mine.loc[mine["epoch"] == self._ranking_epoch(number)]
        return mine.reset_index(drop=True)

    @cached_property
    def days(self) -> int:
        """Validation days that every trial was scored on."""
        return len(np.unique(np.asarray(self.returns["timestamp"]).astype("datetime64[D]")))

    @property
    def days_per_year(self) -> float:
        """Days a year, in proportion to the periods a year; periods of a day or more are days."""
        return self.periods_per_year * self.days / self.periods

    def daily_returns(self, number: int) -> np.ndarray | None:
        """Returns the net returns [days] of a trial, as `daily`; None where a day is missing."""
        found = self.daily(number)
        return None if found is None or len(found[0]) != self.days else found[1]

    def daily(self, number: int) -> tuple[np.ndarray, np.ndarray] | None:
        """Returns the days [T] and the net returns [T] of a trial at its ranking epoch.

        Returns of bars within a day are summed. None where it has none, or one is not finite.
        """
        if number not in self._daily:
            self._daily[number] = self._daily_of(number)
        return self._daily[number]

    @cached_property
    def _daily(self) -> dict[int, tuple[np.ndarray, np.ndarray] | None]:
        """What `daily` has returned so far."""
        return {}

    def _daily_of(self, number: int) -> tuple[np.ndarray, np.ndarray] | None:
        curve = self.curve(number)
        returns = np.asarray(curve["net_return"], dtype=np.float64)
        if not len(returns) or not np.isfinite(returns).all():
            return None
        stamps = np.asarray(curve["timestamp"]).astype("datetime64[D]")
        days, day_of = np.unique(stamps, return_inverse=True)
        return days, np.bincount(day_of, returns, len(days))

    def _ranking_epoch(self, number: int) -> int:
        mine = _of(self.epochs, number).dropna(subset=["val_loss"])
        if mine.empty:
            raise UserError(f"{self.folder}: trial {number} has returns but no validation loss")
        losses = np.asarray(mine["val_loss"], float)
        return int(np.asarray(mine["epoch"])[losses.argmin()])


def _of(table: pd.DataFrame, number: int) -> pd.DataFrame:
    """Returns the rows of one trial of a table that is sorted by number."""
    first, last = np.searchsorted(table["number"].to_numpy(), [number, number + 1])
    return table.iloc[first:last]


def load_run(path: str | Path) -> Run:
    """Opens a run folder; of a search that runs what it wrote when it was last asked.

    Raises:
        UserError: there is no such folder, it is no run folder, or a file in it cannot be read.
    """
    folder = Path(expand_home(str(path)))
    if not folder.is_dir():
        raise UserError(_no_folder(folder))
    run_file = folder / "run.json"
    if not run_file.is_file():
        raise UserError(f"{folder} is no run folder: run.json is missing")
    run, tables = read_record(run_file), folder
    if run.get("state") == "running" and (folder / SO_FAR / "run.json").is_file():
        tables = folder / SO_FAR
        run = read_record(tables / "run.json")
    file = tables / "trials.parquet"
    trials = _numeric(file, _table(file, TRIAL_COLUMNS))
    twice = trials["number"].duplicated()
    if twice.any():
        number = np.asarray(trials["number"])[int(np.argmax(twice))]
        raise UserError(f"{file}: trial {number} has more than one row")
    return Run(folder, run, trials.sort_values("number", ignore_index=True), tables)


def read_record(file: Path) -> dict[str, Any]:
    """Returns the content of a `run.json`; raises `UserError` where it cannot be read."""
    try:
        return checked(loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read: {error}; restore it from a copy") from error


def newest_run(runs_dir: str | Path = "runs") -> Path:
    """Returns the run folder in `runs_dir` whose `run.json` changed last.

    Raises:
        UserError: there is none.
    """
    found = [file.parent for file in Path(expand_home(str(runs_dir))).glob("*/run.json")]
    if not found:
        raise UserError(f"no run folder in {runs_dir}; start one with: python -m search.run")
    return max(found, key=lambda folder: (folder / "run.json").stat().st_mtime)


def _table(file: Path, columns: tuple[str, ...]) -> pd.DataFrame:
    if not file.is_file():
        raise UserError(
            f"{file} is missing: the search was ended before it wrote its tables; "
            f"start it again with name={file.parent.name} resume=true"
        )
    try:
        # Without pandas' metadata every null is NaN or None, whoever wrote the table.
        frame = read_table(file).to_pandas(ignore_metadata=True)
    except (DamagedError, pa.ArrowException) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{file} is no readable Parquet file: {reason}") from error
    missing = [column for column in columns if column not in frame]
    if missing:
        raise UserError(f"{file} lacks the column {', '.join(missing)}")
    return frame


def _numeric(file: Path, trials: pd.DataFrame) -> pd.DataFrame:
    """Returns the table with numbers as numbers: a column of nulls only has no type on disk."""
    kinds = dict.fromkeys(set(TRIAL_COLUMNS) - set(TEXT_COLUMNS), "float64")
    try:
        return trials.astype(kinds | {"number": "int64"})
    except (TypeError, ValueError) as error:
        raise UserError(f"{file}: a column of numbers holds something else: {error}") from error


def _no_folder(folder: Path) -> str:
    parent = folder.parent
    names = sorted(f.parent.name for f in parent.glob("*/run.json")) if parent.is_dir() else []
    close = get_close_matches(folder.name, names, n=1)
    if close:
        return f"no run folder {folder}; did you mean {parent / close[0]}?"
    known = f"; {parent} holds {', '.join(names[:8])}" if names else ""
    return f"no run folder {folder}{known}"
