"""Prices behind ready features: of a close beside them, else of the returns that are earned."""

import numpy as np

from trainable.data.market import Market

JUMP = 0.25  # log move of a close, from which it may be a split
LOWEST = -0.99  # simple return, below which a logarithm is of no use


def returns_of(close: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Returns [T, N] simple returns to each symbol's own next bar; none where it may be a split."""
    found = np.full(close.shape, np.nan)
    for n in range(close.shape[1]):
        bars = np.flatnonzero(present[:, n])
        own = close[bars, n]
        known = np.isfinite(own) & (own > 0)
        growth = np.diff(np.log(np.where(known, own, np.nan)))
        found[bars[:-1], n] = np.where(np.abs(growth) < JUMP, np.expm1(growth), np.nan)
    return found


def log_close(market: Market, begins: int = 0) -> np.ndarray | None:
    """Returns the logarithm of the close [T, N]; None where there is nothing to make it of.

    With ready features it is that of returns compounded from a symbol's first bar on, NaN where
    there is no bar. A return that is missing counts as 0.

    Args:
        market: with prices, or with ready returns and maybe a close beside them.
        begins: own bars after its row at which a ready return begins: the lag, where a target
            serves as the returns.
    """
    if "close" in market.fields:
        return np.log(market.fields["close"])
    if market.returns is None:
        return None
    shown = None if market.beside is None else returns_of(market.beside, market.present)
    level = np.full(market.present.shape, np.nan)
    for n in range(len(market.symbols)):
        bars = np.flatnonzero(market.present[:, n])
        own = np.full(len(bars), np.nan)
        own[begins:] = market.returns[bars[: max(len(bars) - begins, 0)], n]
        if shown is not None:
            own = np.where(np.isfinite(shown[bars, n]), shown[bars, n], own)
        growth = np.log1p(np.maximum(np.nan_to_num(own), LOWEST))
        level[bars, n] = np.cumsum(growth) - growth
    return level
