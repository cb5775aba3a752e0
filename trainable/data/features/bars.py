"""One symbol's bars in its own order, and the few rolling helpers that every feature shares."""

from dataclasses import dataclass, field

import numpy as np
import talib

FIELDS = ("open", "high", "low", "close", "volume")


def _none() -> np.ndarray:
    return np.empty(0)


@dataclass(frozen=True)
class Bars:
    """The bars that one symbol has, oldest first, without holes.

    Prices are divided by the symbol's first close, so that no feature depends on the currency
    or the size of a price, nor a tolerance inside TA-Lib.

    Attributes:
        timestamp: [n] datetime64[ns].
        open, high, low, close: [n] float64, in units of the symbol's first close.
        volume: [n] float64. Fields that the source lacks are empty.
    """

    timestamp: np.ndarray
    open: np.ndarray = field(default_factory=_none)
    high: np.ndarray = field(default_factory=_none)
    low: np.ndarray = field(default_factory=_none)
    close: np.ndarray = field(default_factory=_none)
    volume: np.ndarray = field(default_factory=_none)


def shift(x: np.ndarray, n: int) -> np.ndarray:
    """Returns x as it was n bars ago; the first n values are NaN."""
    out = np.full_like(x, np.nan, dtype=np.float64)
    if n < len(x):
        out[n:] = x[: len(x) - n]
    return out


def ratio(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns a ÷ b, NaN where b is not above 0."""
    return np.divide(a, b, out=np.full(len(a), np.nan), where=b > 0)


def returns(close: np.ndarray, n: int = 1) -> np.ndarray:
    """Returns the simple return of the last n bars, decimal."""
    return ratio(close, shift(close, n)) - 1.0


def spread(x: np.ndarray, n: int) -> np.ndarray:
    """Returns the standard deviation (ddof 0) of the last n values, exactly 0 where all are equal.

    TA-Lib keeps running sums, whose rounding leaves a small positive rest in a constant window.
    """
    moved = talib.MAX(x, n) > talib.MIN(x, n)
    deviation = talib.STDDEV(x, n)
    return np.where(moved | np.isnan(deviation), deviation, 0.0)


def position(x: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Returns where x lies between low and high, −0.5 … 0.5; 0 (the middle) where equal."""
    width = high - low
    share = np.divide(x - low, width, out=np.full(len(x), 0.5), where=width > 0)
    share[np.isnan(width)] = np.nan
    return share - 0.5
