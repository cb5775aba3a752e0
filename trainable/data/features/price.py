"""Price features: returns, distances from averages and extremes, oscillators. None is a level."""

import numpy as np
import talib

from trainable.data.features.bars import Bars, position, ratio, returns, shift, spread


def momentum(bars: Bars, n: int) -> np.ndarray:
    """Returns the simple return over the last n bars, decimal."""
    return returns(bars.close, n)


def acceleration(bars: Bars) -> np.ndarray:
    """Returns the 3-bar return minus the 3-bar return before it."""
    now = returns(bars.close, 3)
    return now - shift(now, 3)


def moving_average(bars: Bars, n: int) -> np.ndarray:
    """Returns close ÷ its mean of n bars, minus 1."""
    return ratio(bars.close, talib.SMA(bars.close, n)) - 1.0


def exponential_average(bars: Bars, n: int) -> np.ndarray:
    """Returns close ÷ its exponential mean of span n, minus 1."""
    return ratio(bars.close, talib.EMA(bars.close, n)) - 1.0


def relative_strength(bars: Bars) -> np.ndarray:
    """Returns the RSI of 14 bars (Wilder 1978) scaled to −1 … 1; 0 where the price stood still."""
    value = talib.RSI(bars.close, 14)
    # TA-Lib answers 0, the most oversold value, when there is neither gain nor loss.
    still = (value == 0.0) & (talib.MAX(bars.close, 15) == talib.MIN(bars.close, 15))
    return np.where(still, 0.0, value / 50.0 - 1.0)


def macd_cross(bars: Bars) -> np.ndarray:
    """Returns MACD (12, 26) minus its signal line (9), relative to the close (Appel 1979)."""
    _, _, difference = talib.MACD(bars.close, 12, 26, 9)
    return difference / bars.close


def bollinger_position(bars: Bars) -> np.ndarray:
    """Returns (close − mean) ÷ (2 standard deviations) of 20 bars; 0 in a constant window."""
    deviation = spread(bars.close, 20)
    distance = bars.close - talib.SMA(bars.close, 20)
    share = np.divide(distance, 2.0 * deviation, out=np.zeros(len(distance)), where=deviation > 0)
    # A value is at most √(n−1) deviations from the mean of its n: more can only be rounding.
    limit = 0.5 * np.sqrt(19.0)
    return np.where(np.isnan(deviation), np.nan, np.clip(share, -limit, limit))


def distance_high(bars: Bars) -> np.ndarray:
    """Returns close ÷ the highest close of 20 bars, minus 1."""
    return ratio(bars.close, talib.MAX(bars.close, 20)) - 1.0


def distance_low(bars: Bars) -> np.ndarray:
    """Returns close ÷ the lowest close of 20 bars, minus 1."""
    return ratio(bars.close, talib.MIN(bars.close, 20)) - 1.0


def close_open(bars: Bars) -> np.ndarray:
    """Returns close ÷ open of the bar, minus 1."""
    return ratio(bars.close, bars.open) - 1.0


def stochastic(bars: Bars) -> np.ndarray:
    """Returns the fast %K of 14 bars (Lane 1984), −0.5 … 0.5; 0 where the range is empty."""
    return position(bars.close, talib.MIN(bars.low, 14), talib.MAX(bars.high, 14))
