"""What the backtest holds from each bar's close on, the newest one included.

The same rules as those of the scores (`docs/what_is_traded.md`), without the returns, which nobody
knows yet. What follows the data's last bar is not known either: a symbol without a row at the last
few bars is taken for late, and a position in it is carried; and whether a session ends with the
newest bar is told from when the last ones ended.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.sessions import probably_ends
from trainable.metrics.carry import Carry, carry_of, flat_periods, without_gaps
from trainable.metrics.portfolio import (
    PositionScale,
    bounded_weights_of_new,
    hold,
    hold_and_carry,
    panel_weights,
)

LATE = 3  # bars at the end of the data that a symbol may lack since its rows come late


@dataclass(frozen=True)
class Book:
    """Positions of one or several members, shares of the capital.

    Attributes:
        first: the first bar of the grid.
        held: [B, N], from the close of each bar on, bars from `first` to the newest.
        ordered: [B, N], from `lag` bars later on, once the decision of the bar is executed; the
            same as `held` where there is no lag. NaN where a halt, a first bar or an end of the
            symbol came in between: nobody knew of it at the bar.
    """

    first: int
    held: np.ndarray
    ordered: np.ndarray


class Positions:
    """Turns predictions on fixed rows into positions.

    Args:
        dataset: to predict on; its horizon, lag and nights are those of the search.
        rows: [m] int64, that have a prediction, one at least.
        panel: the search was on five or more symbols, however many there are now.
    """

    def __init__(self, dataset: Dataset, rows: np.ndarray, panel: bool) -> None:
        self._panel, self._lag, self._horizon = panel, dataset.lag, dataset.horizon
        time, symbol = dataset.time[rows].astype(np.int64), dataset.symbol[rows].astype(np.int64)
        self._bars = len(dataset.timestamps)
        self.first = int(time.min())
        bars = slice(self.first, self._bars)
        self._cell = time - self.first, symbol
        self._shape = self._bars - self.first, len(dataset.symbols)
        self._tradable_count = np.maximum(dataset.tradable[bars].sum(axis=1, keepdims=True), 1)
        known = _going_on(dataset)
        self._flat = flat_periods(known, bars)
        self._unforeseen = _unforeseen(known, bars)
        self._carry: Carry | None = None
        if not without_gaps(known, bars):
            self._carry = carry_of(known, bars)

    def held(self, predictions: np.ndarray, scale: PositionScale) -> np.ndarray:
        """Returns what one member's decisions of each bar lead to `lag` bars later, [B, N].

        Args:
            predictions: [m] in the order of the rows; one that is not finite counts as none.
            scale: of the member.
        """
        grid, scored = np.zeros(self._shape), np.zeros(self._shape, bool)
        finite = np.isfinite(predictions)
        grid[self._cell] = np.where(finite, predictions, 0.0)
        scored[self._cell] = finite
        if self._panel:
            (weights,) = panel_weights(grid[None], scored, scale.std)
        else:
            (weights,) = bounded_weights_of_new(grid[None], scored, self._tradable_count, scale)
        if self._carry is not None:
            return hold_and_carry(weights, self._carry, self._horizon)
        held = hold(weights, self._horizon)
        return np.where(self._flat[:, None], 0.0, held)

    def book(self, members: Iterable[tuple[np.ndarray, PositionScale]]) -> Book:
        """Returns the positions of several members in equal shares."""
        total, count = np.zeros(self._shape), 0
        for predictions, scale in members:
            total += self.held(predictions, scale)
            count += 1
        ordered = total / count
        held = np.zeros_like(ordered)
        held[self._lag :] = ordered[: len(ordered) - self._lag]
        return Book(self.first, held, np.where(self._unforeseen, np.nan, ordered))


def scale_of(std: float | None, mean: float | None) -> PositionScale:
    """Returns the scale of one member; None from five symbols on, which need none."""
    cell = (1, 1, 1)
    return PositionScale(
        np.full(cell, 0.0 if std is None else std),
        np.zeros(cell, bool),
        np.full(cell, 0.0 if mean is None else mean),
    )


def _going_on(dataset: Dataset) -> Dataset:
    """Returns the dataset with as many bars more as a decision of the newest bar waits for.

    Whatever has a row at the newest bar trades at these, too.
    """
    bars, lag = len(dataset.timestamps), dataset.lag
    ends = np.concatenate([dataset.session_ends, np.zeros(lag, bool)])
    if dataset.overnight == "flat":
        usual = np.median(np.diff(dataset.timestamps).astype(np.int64)) if bars > 1 else 0
        step = np.timedelta64(int(usual), "ns")
        for after in range(lag + 1):
            stamp = dataset.timestamps[-1] + after * step
            if probably_ends(dataset.timestamps, stamp):
                ends[bars - 1 + after] = True
                break
    late = dataset.sold >= bars - LATE
    return replace(
        dataset,
        tradable=np.concatenate([dataset.tradable, np.repeat(dataset.tradable[-1:], lag, axis=0)]),
        session_ends=ends,
        sold=np.where(late, bars + lag, dataset.sold).astype(np.int32),
    )


def _unforeseen(known: Dataset, bars: slice) -> np.ndarray:
    """Returns [B, N] bool, whether an order of each bar meets what is not so at the bar itself.

    Args:
        known: the dataset, with `lag` bars more.
        bars: the first to the newest.
    """
    at = np.arange(bars.start, bars.stop)
    found = np.zeros((len(at), len(known.symbols)), bool)
    for after in range(1, known.lag + 1):
        found |= known.tradable[at + after] != known.tradable[at]
        found |= known.sold == (at + after)[:, None]
    return found


def cells_to_show(dataset: Dataset, book: Book) -> tuple[np.ndarray, np.ndarray]:
    """Returns bar and symbol of each cell with a row or a position, by bar, then symbol.

    Bars count from `book.first`.
    """
    shown = dataset.tradable[book.first :] | (book.held != 0.0)
    shown |= np.nan_to_num(book.ordered) != 0.0
    bar, symbol = np.nonzero(shown)
    return bar, symbol
