"""Volatility features: size of moves and ranges, relative to the close or to their own past."""

import numpy as np
import talib

from trainable.data.features.bars import Bars, position, ratio, returns, spread


def volatility(bars: Bars) -> np.ndarray:
    """Returns the standard deviation of the last 20 one-bar returns, decimal."""
    return spread(returns(bars.close), 20)


def volatility_regime(bars: Bars) -> np.ndarray:
    """Returns volatility over 20 bars ÷ over 60 bars, minus 1; NaN where 60 bars stood still."""
    moves = returns(bars.close)
    return ratio(spread(moves, 20), spread(moves, 60)) - 1.0


def volatility_trend(bars: Bars) -> np.ndarray:
    """Returns volatility over 5 bars ÷ over 20 bars, minus 1; NaN where 20 bars stood still."""
    moves = returns(bars.close)
    return ratio(spread(moves, 5), spread(moves, 20)) - 1.0


def bollinger_width(bars: Bars) -> np.ndarray:
    """Returns the width of the Bollinger bands (20 bars, ± 2 deviations) relative to their mean."""
    return 4.0 * ratio(spread(bars.close, 20), talib.SMA(bars.close, 20))


def high_low(bars: Bars) -> np.ndarray:
    """Returns (high − low) ÷ close of the bar."""
    return (bars.high - bars.low) / bars.close


def range_ratio(bars: Bars) -> np.ndarray:
    """Returns the bar's range ÷ the mean range of 20 bars, minus 1; NaN where all are empty."""
    width = bars.high - bars.low
    mean = np.where(talib.MAX(width, 20) > 0, talib.SMA(width, 20), np.nan)
    return ratio(width, mean) - 1.0


def close_location(bars: Bars) -> np.ndarray:
    """Returns (close − low) ÷ (high − low) − 0.5; 0 where high equals low."""
    return position(bars.close, bars.low, bars.high)


def average_true_range(bars: Bars) -> np.ndarray:
    """Returns the average true range of 14 bars (Wilder 1978) ÷ close."""
    return talib.ATR(bars.high, bars.low, bars.close, 14) / bars.close
