"""Labels and realised returns, from raw closes, each symbol in bars of its own.

The next bar of a symbol is its own next bar, not the next of the grid: a label that runs over a
halt or a weekend holds what happened meanwhile.
"""

from dataclasses import dataclass

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.dataset.overlap import refuse_overlapping_labels
from trainable.data.dataset.sessions import sessions
from trainable.data.gather import by_symbol
from trainable.data.market import Market
from trainable.data.settings import DataSettings

USUAL = 0.99  # a silence longer than this share of a symbol's gaps ends it, at the end of the data


@dataclass(frozen=True)
class Targets:
    """What happens after each bar. R rows: the bars present, by symbol, then time.

    Attributes:
        target: [R] float64, simple return from a symbol's own bar t+lag to its own bar
            t+lag+horizon, decimal; NaN where either is missing or, on intraday bars, a session
            ends between t and the later one.
        forward_returns: [T, N] float64, simple return from t+lag to t+lag+1, in the symbol's own
            bars, of what a position decided at t earns. 0 where it is flat overnight, or was
            never entered because the symbol has no bar t+lag. The delisting return where t+lag is
            the last bar of a symbol that ends before the data do. NaN where there is no bar at t.
        label_end: [R] int32, bar of the grid at which the label interval ends, or the position is
            sold since the symbol ended; T or more where the data end first.
        sold: [N] int32, bar of the grid at which a symbol that ended is sold: the one after its
            last; T where none ends before the data do.
        session_ends: [T] bool, last bars of sessions.
        overnight: flat or hold; None for bars without sessions.
    """

    target: np.ndarray
    forward_returns: np.ndarray
    label_end: np.ndarray
    sold: np.ndarray
    session_ends: np.ndarray
    overnight: str | None


def label_interval(settings: DataSettings, intraday: bool) -> tuple[int, int]:
    """Returns horizon and lag in bars. An unset lag is 0 for daily and 1 for intraday bars."""
    return settings.horizon, int(intraday) if settings.lag is None else settings.lag


def make_targets(market: Market, settings: DataSettings) -> Targets:
    """Returns labels and forward returns of every bar.

    Ready labels and returns are taken as they are: their columns already stand on the row of the
    decision. Prices are raw: never scaled, winsorised or filled.

    Raises:
        UserError: a market with neither closes nor ready labels and returns, ready labels over
            more bars than `data.horizon`, or `data.overnight=flat` on bars without sessions.
    """
    horizon, lag = label_interval(settings, market.intraday)
    present, bars = market.present, len(market.timestamps)
    symbol, time = _rows(present)
    sold = sold_at(present)
    gone = (sold < bars)[symbol]
    session = _sessions(market)
    ends = np.append(session[1:] != session[:-1], False)
    overnight = _overnight(settings, bool(ends.any()), market.name)

    def ahead(steps: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows that have a row `steps` own bars later, and those."""
        found = np.arange(max(len(time) - steps, 0), dtype=np.int32)
        found = found[symbol[found] == symbol[found + steps]]
        return found, found + steps

    labelled, at_end = ahead(lag + horizon)
    label_end = np.where(gone, sold[symbol], np.int32(bars))
    label_end[labelled] = time[at_end]
    np.maximum(label_end, time + np.int32(lag + horizon), out=label_end)

    entered, at_entry = ahead(lag)
    earning, at_next = ahead(lag + 1)
    last = np.zeros(len(time), bool)  # entered at the symbol's last bar
    last[entered] = True
    last[earning] = False
    if market.fields:
        if "close" not in market.fields:
            raise UserError(f"{market.name}: labels need a close")
        close = by_symbol(market.fields["close"], present)
        target, earned = np.full(len(time), np.nan), np.zeros(len(time))
        target[labelled] = close[at_end] / close[labelled + lag] - 1.0
        target[labelled[session[time[labelled]] != session[time[at_end]]]] = np.nan
        earned[earning] = close[at_next] / close[earning + lag] - 1.0
        earned[last & gone] = settings.delisting_return
    else:
        if market.target is None or market.returns is None:
            raise UserError(f"{market.name}: ready features need data.target and data.returns")
        refuse_overlapping_labels(market, settings)
        target, earned = (by_symbol(x, present) for x in (market.target, market.returns))
        unknown = np.isnan(earned)
        unknown[earning] = False  # a gap amid the file's returns is no 0
        earned[unknown] = np.where(last & gone, settings.delisting_return, 0.0)[unknown]
    if overnight == "flat":
        earned[entered[ends[time[at_entry]]]] = 0.0
    forward = np.full(present.T.shape, np.nan)
    forward[present.T] = earned
    return Targets(
        target=target,
        forward_returns=np.ascontiguousarray(forward.T),
        label_end=label_end,
        sold=sold,
        session_ends=ends,
        overnight=overnight,
    )


def _rows(present: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns symbol and bar of each row, [R] int32, by symbol, then time."""
    grid = np.broadcast_to(np.arange(len(present), dtype=np.int32)[:, None], present.shape)
    counts = present.sum(axis=0)
    symbol = np.repeat(np.arange(present.shape[1], dtype=np.int32), counts)
    return symbol, by_symbol(grid, present)


def sold_at(present: np.ndarray) -> np.ndarray:
    """Returns [N] int32, the bar after a symbol's last where it ended before the data do, else T.

    A symbol has ended where its silence up to the end of the data is longer than 99 % of the
    silences between its own bars: a stock beside coins has not ended because the data end on a
    Sunday.

    Args:
        present: [T, N] bool, each symbol at least once.
    """
    bars = len(present)
    last = bars - 1 - present[::-1].argmax(axis=0)
    sold = np.full(present.shape[1], bars, np.int32)
    for n in np.flatnonzero(last < bars - 1):
        gaps = np.diff(np.flatnonzero(present[:, n]))
        usual = np.quantile(gaps, USUAL, method="higher") if len(gaps) else 1
        if bars - last[n] > usual:
            sold[n] = last[n] + 1
    return sold


def _sessions(market: Market) -> np.ndarray:
    """Returns the [T] session of each bar; daily bars have one."""
    if market.intraday:
        return sessions(market.timestamps)
    return np.zeros(len(market.timestamps), np.int64)


def _overnight(settings: DataSettings, has_sessions: bool, name: str) -> str | None:
    """Returns flat or hold; None for bars without sessions."""
    if has_sessions:
        return settings.overnight or "flat"
    if settings.overnight == "flat":
        raise UserError(
            f"{name}: data.overnight=flat needs intraday bars with pauses between sessions, and "
            "these have none; leave it out"
        )
    return None
