"""What a search has found, ready for new rows: all finalists' seeds, in equal shares."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from trainable.cli.errors import UserError, look_up
from trainable.cli.paths import expand_home
from trainable.data.features.table import FEATURES
from trainable.data.settings import DataSettings
from trainable.metrics.portfolio import PositionScale
from trainable.parts.registration import registered
from trainable.prediction import predictor
from trainable.prediction.facts import Facts, columns_of
from trainable.prediction.files import CONFIG, WHICH, Named, check_member, read_contents
from trainable.prediction.new_rows import NewRows, new_rows
from trainable.prediction.positions import Positions, cells_to_show, scale_of
from trainable.prediction.predictor import Predictor
from trainable.run_format import PANEL_SYMBOLS

HOW = {
    "best": "python -m analysis.rank says how its trials ended; resume=true goes on with a search",
    "refit": "python -m search.refit writes it",
}
COLUMNS = ("timestamp", "symbol", "prediction", "position")
TRIES = 2  # of reading: an ensemble may be replaced meanwhile

Parts = str | Path | Sequence[str | Path] | None


@dataclass(frozen=True)
class Member:
    """One trained model of the ensemble.

    Attributes:
        number: of its trial.
        configuration: number of its configuration's first trial.
        predictor: the model.
        scale: by which its predictions become positions.
    """

    number: int
    configuration: int
    predictor: Predictor
    scale: PositionScale


@dataclass(frozen=True)
class Predicted:
    """Predictions and positions of an ensemble.

    Attributes:
        table: a row a bar and symbol, by bar, then symbol: `timestamp`, `symbol`, `prediction` (the
            mean of the members', NaN where a row lacks a feature) and `position`: the share of the
            capital that is held from the close of that bar on. Where decisions wait for `data.lag`
            bars, `ordered` is what is held from so many bars later on.
        notes: what to say of the rows.
    """

    table: pd.DataFrame
    notes: tuple[str, ...]

    @property
    def newest(self) -> pd.DataFrame:
        """The rows of the newest bar."""
        stamps = self.table["timestamp"]
        return self.table.loc[stamps == stamps.max()].reset_index(drop=True)


@dataclass(frozen=True)
class Winner:
    """An ensemble of trained models, all of one weight.

    Attributes:
        folder: that it was read from.
        first: number of the configuration that ranks first; it is one of the members'.
        members: in the order of the ranking.
        facts: of the data that they were trained on.
        more: what else its `config.json` notes.
    """

    folder: Path
    first: int
    members: tuple[Member, ...]
    facts: Facts
    more: dict[str, Any]

    def predict(self, data: object = None, *, strict: bool = True) -> pd.DataFrame:
        """Returns predictions and positions for every row, the newest bar's included.

        Args:
            data: a table of pandas, polars or pyarrow, or the path of a CSV or Parquet file, with
                the columns of what was searched on; None: the search's own data. It needs no label.
            strict: whether unknown columns, another unit and another calendar are refused.

        Returns:
            `Predicted.table`.

        Raises:
            UserError: the data cannot be used.
        """
        return self.predicted(data, strict=strict).table

    def predicted(self, data: object = None, *, strict: bool = True) -> Predicted:
        """Returns what `predict` does, with what is to be said of the rows."""
        with self.with_parts():
            new = new_rows(data, self.facts, strict)
            return Predicted(self._table(new), new.notes)

    def by_member(self, data: object = None, *, strict: bool = True) -> pd.DataFrame:
        """Returns the same of each member alone, long, by the `number` of its trial."""
        with self.with_parts():
            new = new_rows(data, self.facts, strict)
            tables = []
            for member in self.members:
                alone = Winner(self.folder, self.first, (member,), self.facts, self.more)
                table = alone._table(new)
                table.insert(0, "number", member.number)
                tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def member(self, number: int) -> Member:
        """Returns the member of a trial."""
        return {one.number: one for one in self.members}[number]

    def with_parts(self) -> AbstractContextManager[None]:
        """Has the person's own parts in our tables during a `with` block."""
        files = {file.name: file for one in self.members for file in one.predictor.parts}
        return registered(tuple(files.values())) if files else nullcontext()

    def _table(self, new: NewRows) -> pd.DataFrame:
        dataset, rows = new.dataset, new.dataset.valid_rows
        several = [
            (member.predictor.predict(dataset, rows), member.scale) for member in self.members
        ]
        book = Positions(dataset, rows, self.facts.panel).book(several)
        means = np.mean([values.astype(np.float64) for values, _ in several], axis=0)
        grid = np.full(book.held.shape, np.nan)
        grid[dataset.time[rows] - book.first, dataset.symbol[rows]] = means
        bar, symbol = cells_to_show(dataset, book)
        columns = {
            "timestamp": dataset.timestamps[book.first :][bar],
            "symbol": np.array(dataset.symbols)[symbol],
            "prediction": grid[bar, symbol],
            "position": book.held[bar, symbol],
        }
        if dataset.lag:
            columns["ordered"] = book.ordered[bar, symbol]
        return pd.DataFrame(columns)


def load(where: str | Path, which: str = "best", parts: Parts = None) -> Winner:
    """Reads what a search has found; nothing in its files is executed unless `parts` says so.

    Args:
        where: a run folder, or a folder such as `best/` itself, also of an older version, which
            holds one model.
        which: of a run folder: `best`, or `refit`, what `python -m search.refit` has trained.
        parts: as of `trainable.prediction.predictor.load`.

    Raises:
        UserError: there is none, or a file is damaged, or parts are needed.
    """
    folder = Path(expand_home(str(where)))
    if (folder / "run.json").is_file():
        name = look_up(WHICH, which, "which")
        if not (folder / name / CONFIG).is_file():
            raise UserError(f"{folder / name}/ does not exist or has no {CONFIG}; {HOW[which]}")
        folder = folder / name
    for left in reversed(range(TRIES)):
        try:
            return _read(folder, parts)
        except FileNotFoundError as error:
            raise UserError(
                f"{folder / CONFIG} does not exist; name a run folder, such as runs/NAME"
            ) from error
        except UserError:
            if not left:
                raise
    raise AssertionError


def _read(folder: Path, parts: Parts) -> Winner:
    contents = read_contents(folder)
    if contents is None:
        return _single(folder, parts)
    for one in contents.members:
        check_member(folder, one)
    members = tuple(_member(folder, one, parts) for one in contents.members)
    return Winner(folder, contents.first, members, contents.facts, dict(contents.more))


def _member(folder: Path, named: Named, parts: Parts) -> Member:
    model = predictor.load(folder / named.folder, parts)
    facts = model.facts
    scale = scale_of(facts.get("position_std"), facts.get("position_mean"))
    return Member(named.number, named.configuration, model, scale)


def _single(folder: Path, parts: Parts) -> Winner:
    """Returns the ensemble of one model: a `best/` of an older version."""
    model = predictor.load(folder, parts)
    facts = model.facts
    if "symbols" not in facts:
        raise UserError(
            f"{folder} is the model of one trial, without what positions are made with; "
            "name a run folder, or read it by trainable.predict.load"
        )
    names = model.scaler.names
    lookbacks = [FEATURES[name].warmup for name in names if name in FEATURES]
    settings = DataSettings(horizon=int(facts["horizon"]), lag=int(facts["lag"]))
    year = float(facts["periods_per_year"])
    made = Facts(
        name=str(facts.get("source", "")),
        sha256="",
        symbols=tuple(facts["symbols"]),
        panel=len(facts["symbols"]) >= PANEL_SYMBOLS,
        intraday=facts["overnight"] is not None or year > 366,
        periods_per_year=year,
        bars_a_year=year,
        horizon=settings.horizon,
        lag=int(facts["lag"]),
        cost_bps=float(facts["cost_bps"]),
        overnight=facts["overnight"],
        delisting_return=float(facts["delisting_return"]),
        features=names,
        max_window=model.config.data.window,
        lookback=max(lookbacks, default=0),
        needed=columns_of(names),
        known=(),
        usual={},
        read={"horizon": settings.horizon, "overnight": facts["overnight"]},
    )
    number = int(facts["number"])
    scale = scale_of(facts["position_std"], facts["position_mean"])
    return Winner(folder, number, (Member(number, number, model, scale),), made, {})
