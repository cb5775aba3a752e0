"""Whether a ready target is what it says: returns of `data.horizon` bars from `data.lag` on.

The target is compared with the returns compounded over every number of bars, from every bar near
its row on. What it resembles clearly more than what the settings say is what it is made of.
"""

from dataclasses import dataclass

import numpy as np

SAME = 0.5  # correlation from which a label is made of these returns
EXACT = 0.99  # … and from which it is nothing but them
CLEAR = 16.0  # F statistic from which one interval explains a label better than another: four sigma
CLIP = 6.0  # standard deviations, beyond which a value counts as so many: one tick is no proof
LEAST_VARIANCE = 0.2  # of a sum, as a share of what it is for returns that do not depend on time
FAR = 50  # rows from a label's, farther than which no declared interval begins
MAX_STEPS = 20  # of the climb from the approximate to the exact best


@dataclass(frozen=True)
class Fit:
    """How much labels resemble returns compounded over `bars`, from `start` own bars after theirs.

    Attributes:
        start: below 0, the returns begin before the label's row.
        bars: at least 1.
        correlation: absolute, 0 … 1.
    """

    start: int
    bars: int
    correlation: float

    @property
    def stop(self) -> int:
        """Own bars after the row at which the last of the returns ends."""
        return self.start + self.bars


@dataclass(frozen=True)
class Agreement:
    """The interval that fits a label best, beside the one that the settings say.

    Attributes:
        best: of all intervals.
        declared: from lag on, over horizon bars.
        clear: the best explains the label beyond doubt better than the declared one.
        slope: by how much the label changes where the return of the best interval changes by 1.
    """

    best: Fit
    declared: Fit
    clear: bool
    slope: float


class Comparison:
    """Labels and one bar's returns of the same rows, each symbol apart.

    Args:
        label: [R] by symbol, then time; NaN where undefined.
        returns: [R] simple return of one bar, from the row's bar on.
        symbol: [R].
        longest: bars that are looked at, and rows before and after a label's.
    """

    def __init__(
        self, label: np.ndarray, returns: np.ndarray, symbol: np.ndarray, longest: int
    ) -> None:
        self.longest = longest
        # Between two symbols there are so many cells without a value that no sum reaches across.
        gap = 3 * longest + FAR
        turn = np.append(0, np.cumsum(symbol[1:] != symbol[:-1])) if len(symbol) else symbol
        at = np.arange(len(label)) + (turn + 1) * gap
        size = int(at[-1]) + gap + 1 if len(at) else 0
        self._label, self._growth = np.full(size, np.nan), np.full(size, np.nan)
        self._label[at] = label
        self._growth[at] = np.log1p(np.clip(returns, -0.999, None))
        known = np.isfinite(self._growth)
        self._total = np.append(0.0, np.cumsum(np.where(known, self._growth, 0.0)))
        self._count = np.append(0, np.cumsum(known))
        self._found: dict[tuple[int, int], float] = {}

    def fit(self, start: int, bars: int) -> Fit:
        """Returns how much the labels resemble the returns of this interval."""
        if (start, bars) not in self._found:
            self._found[start, bars] = abs(self._correlation(start, bars))
        return Fit(start, bars, self._found[start, bars])

    def best(self) -> Fit:
        """Returns the interval that fits best, of those that begin at most `longest` rows away."""
        found = self._approximate()
        for _ in range(MAX_STEPS):
            near = [
                self.fit(start, bars)
                for start in range(found.start - 1, found.start + 2)
                for bars in range(found.bars - 1, found.bars + 2)
                if 1 <= bars <= self.longest and abs(start) <= self.longest
            ]
            better = max(near, key=lambda fit: fit.correlation)
            if better.correlation <= found.correlation:
                break
            found = better
        return found

    def slope(self, start: int, bars: int) -> float:
        """Returns by how much labels change where the returns of an interval change by 1."""
        x, y = self._pairs(start, bars)
        x, y = x - x.mean(), y - y.mean()
        return float((x * y).mean() / np.square(y).mean())

    def _pairs(self, start: int, bars: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns labels and compounded simple returns [n] of the rows that have both."""
        ends = len(self._label) - bars + 1
        whole = (self._count[bars:] - self._count[:ends]) == bars
        compounded = np.where(whole, self._total[bars:] - self._total[:ends], np.nan)
        first, last = max(-start, 0), min(len(self._label), ends - start)
        label, compounded = self._label[first:last], compounded[first + start : last + start]
        both = np.isfinite(label) & np.isfinite(compounded)
        return label[both], np.expm1(compounded[both])

    def _correlation(self, start: int, bars: int) -> float:
        x, y = self._pairs(start, bars)
        if len(x) < 2 or not (x.std() > 0 and y.std() > 0):
            return 0.0
        x, y = _clipped(x), _clipped(y)
        x, y = x - x.mean(), y - y.mean()
        return float((x * y).mean() / np.sqrt(np.square(x).mean() * np.square(y).mean()))

    def _approximate(self) -> Fit:
        """Returns about the best interval, from the covariance of labels with single returns."""
        x, has_x = _centred(self._label)
        y, has_y = _centred(self._growth)
        reach = self.longest
        # With the return j rows later, j from −longest to 2 · longest.
        with_return = np.array(
            [_covariance(x, y, has_x, has_y, j) for j in range(-reach, 2 * reach + 1)]
        )
        own = np.array([_covariance(y, y, has_y, has_y, k) for k in range(reach)])
        # Var of a sum of h: h·a₀ + 2 Σ (h − k)·a_k.
        h = np.arange(1, reach + 1)
        before = np.append(0.0, np.cumsum(own[1:]))
        weighted = np.append(0.0, np.cumsum(own[1:] * np.arange(1, reach)))
        variance = h * own[0] + 2.0 * (h * before - weighted)
        variance = np.maximum(variance, LEAST_VARIANCE * h * own[0])
        total = np.append(0.0, np.cumsum(with_return))
        starts = np.arange(2 * reach + 1)  # of the row −longest, …
        sums = total[starts[:, None] + h] - total[starts, None]
        fits = np.abs(sums) / np.sqrt(np.where(variance > 0, variance, np.inf))
        i, j = np.unravel_index(int(fits.argmax()), fits.shape)
        return self.fit(int(i) - reach, int(j) + 1)


def agreement(comparison: Comparison, lag: int, horizon: int, bars: int) -> Agreement | None:
    """Compares the best interval with the declared one; None where the label is no such return.

    Args:
        comparison: of label and returns.
        lag: bars after the row at which the declared interval begins.
        horizon: bars of the declared interval.
        bars: of the longest symbol. Symbols of one bar move together and count once; so do labels
            that overlap.
    """
    best, declared = comparison.best(), comparison.fit(lag, horizon)
    if best.correlation < SAME:
        return None
    if best.correlation <= declared.correlation:
        return Agreement(declared, declared, False, comparison.slope(lag, horizon))
    gain = best.correlation**2 - declared.correlation**2
    independent = bars / best.bars
    clear = gain * independent > CLEAR * (1.0 - best.correlation**2)
    return Agreement(best, declared, clear, comparison.slope(best.start, best.bars))


def _clipped(x: np.ndarray) -> np.ndarray:
    centre, limit = x.mean(), CLIP * x.std()
    return np.clip(x, centre - limit, centre + limit)


def _centred(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns x less its mean, clipped, 0 where undefined; and 1 where defined."""
    known = np.isfinite(x)
    found = np.zeros(len(x))
    if known.any():
        values = _clipped(x[known])
        found[known] = values - values.mean()
    return found, known.astype(np.float64)


def _covariance(
    x: np.ndarray, y: np.ndarray, has_x: np.ndarray, has_y: np.ndarray, later: int
) -> float:
    """Returns the mean of x[t] · y[t + later], over the rows that have both."""
    return _product(x, y, later) / max(_product(has_x, has_y, later), 1.0)


def _product(x: np.ndarray, y: np.ndarray, later: int) -> float:
    """Returns the sum of x[t] · y[t + later]."""
    if later < 0:
        return _product(y, x, -later)
    return float(np.einsum("i,i->", x[: len(x) - later], y[later:]))
