"""Everything that predictions on a fixed set of rows are scored against, prepared once."""

from dataclasses import dataclass

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.carry import Carry, book, carry_of, flat_periods, without_gaps
from trainable.metrics.information_coefficient import Standardised, ranks, standardise


@dataclass(frozen=True)
class Scoring:
    """Labels and returns of a fixed set of m rows, against which their predictions are scored.

    V is the number of bars: from the first to the last bar of the rows, and those after them over
    which the last positions unwind. N is the number of symbols.

    Attributes:
        timestamps: [V] datetime64[ns], of the decisions.
        row: [V, N] int, the row of each cell; 0 where there is none.
        scored: [V, N] bool, cells that have a row.
        label: [m] float64, target of each row; NaN where undefined.
        returns: [V, N] float64, what a position earns, in the period that books it; 0 where none
            does.
        tradable: [V, N] bool.
        carry: which decisions are in force; None where every symbol trades at every bar.
        flat: [V] bool, periods over a session's end in which nothing is held.
        suspect: [V, N] bool, the return begins or ends at a bad tick.
        tradable_count: [V, 1], number of tradable symbols, at least 1.
        labelled: [V, N] bool, cells with a finite label; [1, V] for one symbol, whose correlation
            is over time.
        label_count: [V], number of labels in each line, at least 1.
        labels, label_ranks: the labels of these cells and their ranks, standardised.
        panel: there are five or more symbols, so weights are relative to the bar's mean.
        over_time: there is one symbol, so correlations are over time.
        horizon: in bars. cost_bps: per unit turned over. periods_per_year: bars a year.
    """

    timestamps: np.ndarray
    row: np.ndarray
    scored: np.ndarray
    label: np.ndarray
    returns: np.ndarray
    tradable: np.ndarray
    carry: Carry | None
    flat: np.ndarray
    suspect: np.ndarray
    tradable_count: np.ndarray
    labelled: np.ndarray
    label_count: np.ndarray
    labels: Standardised
    label_ranks: Standardised
    panel: bool
    over_time: bool
    horizon: int
    cost_bps: float
    periods_per_year: float

    def grid(self, values: np.ndarray) -> np.ndarray:
        """Returns one value per row, [..., m], as [..., V, N] cells; 0 where there is no row."""
        return np.where(self.scored, values.take(self.row, axis=-1), 0.0)

    def equal_weights(self) -> np.ndarray:
        """Returns 1/N of each symbol that has a bar, [V, N], at the bars with a prediction.

        So equal weight is entered and unwound as the positions of trials are.
        """
        decided = self.scored.any(axis=1, keepdims=True)
        return np.where(decided & self.tradable, 1.0 / self.tradable_count, 0.0)

    def lines(self, grid: np.ndarray) -> np.ndarray:
        """Returns cells [..., V, N] transposed where needed, so that lines are the last axis."""
        return grid.swapaxes(-1, -2) if self.over_time else grid


def scoring(dataset: Dataset, rows: np.ndarray) -> Scoring:
    """Prepares the scoring of predictions on `rows`, [m] indices into the dataset's rows."""
    if len(rows) == 0:
        raise UserError("no rows to score: the part of the split holds no usable bar")
    time, symbol = dataset.time[rows], dataset.symbol[rows].astype(np.int64)
    first, last = int(time.min()), int(time.max())
    bars = slice(first, max(last + 1, _unwound(dataset, rows, last)))
    tradable = dataset.tradable[bars]
    _check_returns(dataset, first, dataset.forward_returns[bars], tradable)
    suspect, returns, carry = _suspect(dataset), dataset.forward_returns, None
    if without_gaps(dataset, bars):
        suspect, returns = suspect[bars], returns[bars]
    else:
        suspect, returns = book(dataset, bars, suspect), book(dataset, bars, returns)
        carry = carry_of(dataset, bars)

    bar = time.astype(np.int64) - first
    scored = np.zeros(tradable.shape, dtype=bool)
    scored[bar, symbol] = True
    row = np.zeros(tradable.shape, dtype=np.int64)
    row[bar, symbol] = np.arange(len(rows))
    label = dataset.target[rows].astype(np.float64)
    label_grid = np.full(tradable.shape, np.nan)
    label_grid[bar, symbol] = label
    over_time = len(dataset.symbols) == 1
    if over_time:
        label_grid = label_grid.T
    labelled = np.isfinite(label_grid)
    label_grid = np.where(labelled, label_grid, 0.0)
    return Scoring(
        timestamps=dataset.timestamps[bars],
        row=row,
        scored=scored,
        label=label,
        returns=returns,
        tradable=tradable,
        carry=carry,
        flat=flat_periods(dataset, bars),
        suspect=suspect,
        tradable_count=np.maximum(tradable.sum(axis=1, keepdims=True), 1),
        labelled=labelled,
        label_count=np.maximum(labelled.sum(axis=1), 1),
        labels=standardise(label_grid, labelled),
        label_ranks=standardise(ranks(label_grid, labelled), labelled),
        panel=dataset.panel,
        over_time=over_time,
        horizon=dataset.horizon,
        cost_bps=dataset.cost_bps,
        periods_per_year=dataset.periods_per_year,
    )


def _unwound(dataset: Dataset, rows: np.ndarray, last: int) -> int:
    """Returns the first bar after the last positions have unwound, inside the same part."""
    later = [stop for stop in dataset.split.stops if stop > last]
    stop = min(later, default=len(dataset.timestamps))
    return min(int(dataset.label_end[rows].max()), stop - 1) - dataset.lag


def _check_returns(dataset: Dataset, first: int, forward: np.ndarray, tradable: np.ndarray) -> None:
    missing = tradable & ~np.isfinite(forward)
    if missing.any():
        bar, symbol = (int(i) for i in np.argwhere(missing)[0])
        raise UserError(
            f"{dataset.name}: no return for a decision at {dataset.timestamps[first + bar]:.19} "
            f"on {dataset.symbols[symbol]} (data.lag={dataset.lag}), so a position there earns "
            "nothing known; fill the returns column, leave the bar out, or, where the target "
            "serves as the returns, set data.lag to the bars after which it begins"
        )


def _suspect(dataset: Dataset) -> np.ndarray:
    """Returns where the return that a decision at t earns begins or ends at a bad tick, [T, N]."""
    suspect = np.zeros_like(dataset.bad_ticks)
    for symbol in np.flatnonzero(dataset.bad_ticks.any(axis=0)):
        bars = np.flatnonzero(dataset.tradable[:, symbol])
        bad = dataset.bad_ticks[bars, symbol]
        for ahead in (dataset.lag, dataset.lag + 1):
            suspect[bars[: max(len(bars) - ahead, 0)], symbol] |= bad[ahead:]
    return suspect
