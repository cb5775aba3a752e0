"""What every trial trains on: rows, labels, returns and the split, built once per search."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainable.cli.errors import UserError, unknown
from trainable.config import FEATURE_GROUPS
from trainable.data.dataset.splits import Split, rows_inside
from trainable.run_format import PANEL_SYMBOLS

_BLOCK = 1 << 18  # rows looked at together


@dataclass(frozen=True)
class Dataset:
    """Rows sorted by symbol, then time; one row per bar present.

    Attributes:
        features: [R, F] float32, not yet scaled; NaN where undefined.
        feature_names: F names.
        feature_groups: F group names (price, volume, volatility, calendar, extra, ready).
        target: [R] float32, simple return from t+lag to t+lag+horizon, in the symbol's own bars;
            NaN where undefined.
        time: [R] int32, index into `timestamps`.
        symbol: [R] int32, index into `symbols`.
        age: [R] int32, rows of this symbol up to and with this one: a window of W needs age >= W.
        timestamps: [T] datetime64[ns].
        symbols: N names.
        label_end: [R] int32, bar at which the label interval ends; T or more where the data end
            first.
        forward_returns: [T, N] float64, simple return from t+lag to t+lag+1, in the symbol's own
            bars, earned by a position decided at t (`targets.Targets`); NaN where there is no bar
            at t.
        tradable: [T, N] bool, a bar is present at t.
        sold: [N] int32, bar at which a symbol that ended is sold, the one after its last; T where
            none ends before the data do.
        own_last: [N] bool, symbols that ended and whose return after their last bar is the file's
            own (`targets.Targets`).
        session_ends: [T] bool, last bars of sessions. overnight: flat or hold; None for bars
            without sessions.
        bad_ticks: [T, N] bool.
        split: the four parts, as ranges of bar indices.
        train_rows: [n] int64, rows to learn from: inside the part with their whole label, every
            feature and the largest window defined.
        valid_rows: [m] int64, rows that are scored, identical for every trial; sorted by (time,
            symbol); their target may be NaN (then they count for the Sharpe ratio only).
        horizon, lag, cost_bps, delisting_return, periods_per_year, intraday: of the settings,
            resolved.
        max_window: the largest window any trial may use.
        quality: for `run.json`.
        symbol_group: [N] int32, the group of each symbol (`data.groups`); −1: unknown. None: the
            data have no groups.
        name, sha256: of the source.
        known_returns: [T, N] float64, the forward returns that are known once they have ended, of
            which the correlations of a graph are; None: `forward_returns`, unless those were moved
            (`placebo`).
        lookback: own bars before a row's that its built-in features are made of, the largest; how
            far a column of the source reaches back is not known.
    """

    features: np.ndarray
    feature_names: tuple[str, ...]
    feature_groups: tuple[str, ...]
    target: np.ndarray
    time: np.ndarray
    symbol: np.ndarray
    age: np.ndarray
    label_end: np.ndarray
    timestamps: np.ndarray
    symbols: tuple[str, ...]
    forward_returns: np.ndarray
    tradable: np.ndarray
    sold: np.ndarray
    own_last: np.ndarray
    session_ends: np.ndarray
    overnight: str | None
    bad_ticks: np.ndarray
    split: Split
    train_rows: np.ndarray
    valid_rows: np.ndarray
    horizon: int
    lag: int
    cost_bps: float
    delisting_return: float
    periods_per_year: float
    intraday: bool
    max_window: int
    name: str
    sha256: str
    quality: dict[str, Any] = field(default_factory=dict)
    symbol_group: np.ndarray | None = None
    known_returns: np.ndarray | None = None
    lookback: int = 0

    @property
    def reach(self) -> int:
        """Own bars of a symbol after a row's that its label is made of: lag + horizon."""
        return self.lag + self.horizon

    @property
    def panel(self) -> bool:
        """Five or more symbols: positions are relative to the bar's mean, else they are bounded."""
        return len(self.symbols) >= PANEL_SYMBOLS

    @property
    def target_scale(self) -> float:
        """Standard deviation of the training targets, the unit of every loss; decimal return."""
        return float(self.target[self.train_rows].astype(np.float64).std())

    @property
    def ended(self) -> tuple[str, ...]:
        """Names of the symbols that end before the data do."""
        gone = self.sold < len(self.timestamps)
        return tuple(name for name, is_gone in zip(self.symbols, gone, strict=True) if is_gone)

    def groups(self) -> dict[str, tuple[str, ...]]:
        """Returns the names of the features of each group, in order."""
        found: dict[str, list[str]] = {}
        for name, group in zip(self.feature_names, self.feature_groups, strict=True):
            found.setdefault(group, []).append(name)
        return {group: tuple(names) for group, names in found.items()}

    def columns(self, groups: str) -> np.ndarray:
        """Returns the [k] int64 indices of the features of "all" or of "price+volume".

        Raises:
            UserError: a group that does not exist in this data.
        """
        if groups == "all":
            return np.arange(len(self.feature_names))
        known = self.groups()
        wanted = [group.strip() for group in groups.split("+")]
        if "all" in wanted:
            raise UserError(f"data/features {groups!r}: all stands alone, or name the groups")
        for group in wanted:
            if group not in known and group in FEATURE_GROUPS:
                raise UserError(
                    f"data/features {groups!r}: {self.name} has no feature of group {group!r}. "
                    f"Available: all, {', '.join(known)}"
                )
            if group not in known:
                raise unknown("feature group", group, ["all", *known])
        return np.flatnonzero([group in wanted for group in self.feature_groups])

    def groups_of(self, groups: str) -> tuple[str, ...]:
        """Returns the group of each of these `columns`."""
        return tuple(self.feature_groups[i] for i in self.columns(groups))

    def dates(self, part: str) -> tuple[np.datetime64, np.datetime64]:
        """Returns the first and last timestamp of a part: train, valid, gate or test."""
        start, stop = self.split.part(part)
        if start == stop:
            raise ValueError(f"the part {part!r} of {self.name} is empty")
        return self.timestamps[start], self.timestamps[stop - 1]

    def rows_of(self, part: str) -> np.ndarray:
        """Returns the [k] int64 rows of a part by the rule of `train_rows` or `valid_rows`.

        `train` are the rows to learn from; `valid`, `gate` and `test` those that are scored.
        """
        if part == "train":
            return self.train_rows
        if part == "valid":
            return self.valid_rows
        return scored_rows(self, self.split.part(part))


def learned_rows(dataset: Dataset, part: tuple[int, int]) -> np.ndarray:
    """Returns the rows of a part to learn from, sorted by (symbol, time).

    They are those of `scored_rows` that have a label.
    """
    rows = np.flatnonzero(
        rows_inside(dataset.time, dataset.label_end, part)
        & (dataset.age >= dataset.max_window)
        & np.isfinite(dataset.target)
    )
    return rows[defined(dataset.features, rows)]


def scored_rows(dataset: Dataset, part: tuple[int, int]) -> np.ndarray:
    """Returns the rows of a part that are scored, sorted by (time, symbol).

    Their bar and whole label interval lie inside the part, every feature is defined and the largest
    window full; so they depend on no trial's own window or features.
    """
    rows = np.flatnonzero(
        rows_inside(dataset.time, dataset.label_end, part) & (dataset.age >= dataset.max_window)
    )
    rows = rows[defined(dataset.features, rows)]
    return rows[np.lexsort((dataset.symbol[rows], dataset.time[rows]))]


def defined(
    features: np.ndarray, rows: np.ndarray, columns: np.ndarray | slice = slice(None)
) -> np.ndarray:
    """Returns which of the rows have these features, block by block to spare memory."""
    blocks = [
        np.isfinite(features[rows[i : i + _BLOCK]][:, columns]).all(axis=1)
        for i in range(0, len(rows), _BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.zeros(0, bool)
