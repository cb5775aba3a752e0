"""When a decision is executed, how long its position is carried, and when its return is booked.

Period v runs from bar v + lag to the next bar of the grid; v counts from the first scored bar. A
symbol trades only at bars of its own: at its bar k it executes what was decided `lag` own bars
before. Until its next own bar the position is carried, and its return is booked in the period that
ends there.
"""

from dataclasses import dataclass

import numpy as np

from trainable.data.dataset.dataset import Dataset


@dataclass(frozen=True)
class Carry:
    """Which decisions stand behind the position of each symbol in each of V periods.

    A cell of decisions [V, N] is counted through: bar · N + symbol; V · N stands for none.

    Attributes:
        source: [V, N] int64, newest decision in force; none before the first one is executed,
            overnight where positions are flat, and after a symbol ended.
        previous: [V · N + 1] int64, the decision one own bar of the symbol earlier; none before
            its first.
        executed: [V, N] int64, period in which the newest decision was executed; 0 for none.
    """

    source: np.ndarray
    previous: np.ndarray
    executed: np.ndarray


def flat_periods(dataset: Dataset, bars: slice) -> np.ndarray:
    """Returns [V] bool, the periods over a session's end in which nothing is held."""
    ends = np.zeros(bars.stop - bars.start, bool)
    if dataset.overnight == "flat":
        found = dataset.session_ends[bars.start + dataset.lag : bars.stop + dataset.lag]
        ends[: len(found)] = found
    return ends


def without_gaps(dataset: Dataset, bars: slice) -> bool:
    """Says whether every symbol trades at each bar that positions of these bars see."""
    return bool(dataset.tradable[bars.start : bars.stop + dataset.lag + 1].all())


def carry_of(dataset: Dataset, bars: slice) -> Carry:
    """Returns which decisions are in force in the periods of `bars`, [start, stop) of the grid."""
    rows = _OwnRows.of(dataset, bars)
    V, N = bars.stop - bars.start, len(dataset.symbols)
    none = V * N
    previous = np.full(none + 1, none)
    inside = rows.bar < V
    again = inside[1:] & (rows.symbol[1:] == rows.symbol[:-1])
    cell = rows.bar * N + rows.symbol
    previous[cell[1:][again]] = cell[:-1][again]

    source, traded = np.full((V, N), none), np.zeros((V, N), bool)
    at, decision = rows.executed(dataset.lag)
    period, symbol = rows.bar[at] - dataset.lag, rows.symbol[at]
    seen = period < V
    source[period[seen], symbol[seen]] = cell[decision[seen]]
    traded[period[seen], symbol[seen]] = True
    source[flat_periods(dataset, bars)[:, None] & traded] = none

    sale = dataset.sold.astype(np.int64) - bars.start - dataset.lag
    gone = np.flatnonzero((sale >= 0) & (sale < V))
    source[sale[gone], gone] = none
    traded[sale[gone], gone] = True

    last = np.maximum.accumulate(np.where(traded, np.arange(V)[:, None], -1), axis=0)
    carried = np.where(last >= 0, np.take_along_axis(source, np.maximum(last, 0), axis=0), none)
    return Carry(carried, previous, np.maximum(last, 0))


def book(dataset: Dataset, bars: slice, values: np.ndarray) -> np.ndarray:
    """Returns values [T, N], which stand on the bar of the decision, in the periods that book them.

    Args:
        dataset: of the search.
        bars: [start, stop) of the grid; decisions before it count for nothing.
        values: such as forward returns.

    Returns:
        [V, N], 0 where nothing is booked.
    """
    rows = _OwnRows.of(dataset, bars)
    V = bars.stop - bars.start
    booked = np.zeros((V, values.shape[1]), values.dtype)
    at, decision = rows.executed(dataset.lag)
    symbol = rows.symbol[at]
    end = np.append(rows.bar[1:], 0)[at]
    final = np.append(rows.symbol[1:] != rows.symbol[:-1], True)[at]
    # After a symbol's last bar its return is booked at once; one that merely has no further bar
    # among these waits for it, outside of them.
    sale = dataset.sold.astype(np.int64)[symbol] - bars.start
    end = np.where(final, sale, end)
    period = end - 1 - dataset.lag
    seen = period < V
    booked[period[seen], symbol[seen]] = values[rows.bar[decision[seen]] + bars.start, symbol[seen]]
    return booked


@dataclass(frozen=True)
class _OwnRows:
    """The bars that symbols have from the first scored one on, by symbol, then time.

    Attributes:
        bar: [r] int64, from the first scored bar. symbol: [r].
    """

    bar: np.ndarray
    symbol: np.ndarray

    @classmethod
    def of(cls, dataset: Dataset, bars: slice) -> "_OwnRows":
        present = dataset.tradable[bars.start : bars.stop + dataset.lag + 1]
        symbol, bar = np.nonzero(np.ascontiguousarray(present.T))
        return cls(bar, symbol)

    def executed(self, lag: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows at which a decision of these bars is executed, and that decision's."""
        at = np.arange(lag, len(self.bar))
        at = at[self.symbol[at] == self.symbol[at - lag]]
        return at, at - lag
