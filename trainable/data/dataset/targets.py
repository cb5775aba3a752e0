"""Labels and realised returns, from raw closes on the market's time grid."""

from dataclasses import dataclass

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings

MIN_GAP = np.timedelta64(30, "m")  # a shorter pause never ends a session
GAP_BARS = 5  # a pause longer than this many median spacings ends one


@dataclass(frozen=True)
class Targets:
    """What happens after each bar.

    Attributes:
        target: [T, N] float64, simple return from t+lag to t+lag+horizon, decimal; NaN where
            either price is missing or, on intraday bars, a session ends within (t, t+lag+horizon].
        forward_returns: [T, N] float64, simple return from t+lag to t+lag+1 of what a position
            decided at t earns; 0 where one of the two bars is missing (the symbol was sold at its
            last price), a session ends between them or the data does; NaN where there is no bar
            at t.
    """

    target: np.ndarray
    forward_returns: np.ndarray


def label_interval(settings: DataSettings, intraday: bool) -> tuple[int, int]:
    """Returns horizon and lag in bars. An unset lag is 0 for daily and 1 for intraday bars."""
    return settings.horizon, int(intraday) if settings.lag is None else settings.lag


def sessions(timestamps: np.ndarray) -> np.ndarray:
    """Returns the [T] number of the session of each intraday bar.

    A session ends where the next bar is further away than 5 median spacings and 30 minutes.
    """
    spacing = np.diff(timestamps)
    if not len(spacing):
        return np.zeros(len(timestamps), np.int64)
    limit = max(GAP_BARS * np.median(spacing.astype(np.int64)), MIN_GAP / np.timedelta64(1, "ns"))
    return np.concatenate([[0], np.cumsum(spacing.astype(np.int64) > limit)])


def make_targets(market: Market, horizon: int, lag: int) -> Targets:
    """Returns labels and forward returns of every bar.

    Ready labels and returns are taken as they are: their columns already stand on the row of the
    decision. Prices are raw: never scaled, winsorised or filled.

    Raises:
        UserError: a market with neither closes nor ready labels and returns.
    """
    if not market.fields:
        if market.target is None or market.returns is None:
            raise UserError(f"{market.name}: ready features need data.target and data.returns")
        earned = np.where(np.isnan(market.returns), 0.0, market.returns)
        return Targets(
            np.where(market.present, market.target, np.nan),
            np.where(market.present, earned, np.nan),
        )
    if "close" not in market.fields:
        raise UserError(f"{market.name}: labels need a close")
    close = np.where(market.present, market.fields["close"], np.nan)
    target = _returns(close, lag, horizon)
    earned = _returns(close, lag, 1)
    if market.intraday:
        session = sessions(market.timestamps)
        target[_ends(session, 0, lag + horizon)] = np.nan
        earned[_ends(session, lag, lag + 1)] = 0.0
    target[~market.present] = np.nan
    earned[np.isnan(earned)] = 0.0
    earned[~market.present] = np.nan
    return Targets(target, earned)


def _returns(close: np.ndarray, lag: int, horizon: int) -> np.ndarray:
    """Returns the [T, N] simple return from t+lag to t+lag+horizon, NaN beyond the data."""
    out = np.full(close.shape, np.nan)
    inside = max(len(close) - lag - horizon, 0)
    entry = close[lag : lag + inside]
    out[:inside] = close[lag + horizon : lag + horizon + inside] / entry - 1.0
    return out


def _ends(session: np.ndarray, start: int, stop: int) -> np.ndarray:
    """Returns for each bar t whether t+start and t+stop lie in different sessions."""
    out = np.zeros(len(session), bool)
    inside = max(len(session) - stop, 0)
    out[:inside] = session[stop:] != session[start : start + inside]
    return out
