"""Volume features: trading relative to its own past, and price relative to traded prices."""

import numpy as np
import talib

from trainable.data.features.bars import Bars, ratio, returns, shift

MIN_RATIO = 1e-3  # a bar without volume counts as a thousandth of the usual, not as −inf


def _log_ratio(now: np.ndarray, usual: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(ratio(now, usual), MIN_RATIO))


def _mean(volume: np.ndarray, n: int) -> np.ndarray:
    """Returns the mean of n bars, exactly 0 where none was traded (running sums leave a rest)."""
    mean = talib.SMA(volume, n)
    return np.where(talib.MAX(volume, n) == 0.0, 0.0, mean)


def volume_ratio(bars: Bars) -> np.ndarray:
    """Returns log(volume ÷ mean volume of the previous 20 bars); NaN where that mean is 0."""
    return _log_ratio(bars.volume, shift(_mean(bars.volume, 20), 1))


def volume_surge(bars: Bars) -> np.ndarray:
    """Returns log(mean volume of 5 bars ÷ mean volume of 20 bars); NaN where the latter is 0."""
    return _log_ratio(_mean(bars.volume, 5), _mean(bars.volume, 20))


def volume_price_divergence(bars: Bars) -> np.ndarray:
    """Returns minus the 20-bar correlation of one-bar return and `volume_ratio`, −1 … 1.

    1: prices rise on little and fall on much volume; 0 where either stood still.
    """
    surprise = volume_ratio(bars)
    out = np.full(len(surprise), np.nan)
    known = np.isfinite(surprise)
    # A stretch without any volume must not poison TA-Lib's running sums for ever.
    moves = returns(bars.close)
    out[known] = -np.clip(talib.CORREL(moves[known], surprise[known], 20), -1.0, 1.0)
    return out


def vwap_deviation(bars: Bars, n: int) -> np.ndarray:
    """Returns close ÷ volume-weighted mean of the typical price of n bars, minus 1.

    Typical price is (high + low + close) ÷ 3. NaN where nothing was traded in n bars.
    """
    typical = (bars.high + bars.low + bars.close) / 3.0
    traded = _mean(bars.volume, n)
    price = ratio(talib.SMA(typical * bars.volume, n), traded)
    return ratio(bars.close, price) - 1.0
