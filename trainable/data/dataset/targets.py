"""Labels and realised returns, from raw closes, each symbol in bars of its own.

The next bar of a symbol is its own next bar, not the next of the grid: a label that runs over a
halt or a weekend holds what happened meanwhile.
"""

from dataclasses import dataclass

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.dataset.ready_columns import given_returns, refuse_wrong_columns
from trainable.data.dataset.sessions import sessions
from trainable.data.gather import symbol_blocks
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
            the last bar of a symbol that ends before the data do, if ready returns have none
            there. NaN where there is no bar at t.
        label_end: [R] int32, bar of the grid at which the label interval ends, or the position is
            sold since the symbol ended; T or more where the data end first.
        sold: [N] int32, bar of the grid at which a symbol that ended is sold: the one after its
            last; T where none ends before the data do.
        own_last: [N] bool, the symbol ended and its return after its last bar is the file's own:
            the delisting return is not used.
        session_ends: [T] bool, last bars of sessions.
        overnight: flat or hold; None for bars without sessions.
    """

    target: np.ndarray
    forward_returns: np.ndarray
    label_end: np.ndarray
    sold: np.ndarray
    own_last: np.ndarray
    session_ends: np.ndarray
    overnight: str | None


def label_interval(settings: DataSettings, intraday: bool) -> tuple[int, int]:
    """Returns horizon and lag in bars. An unset lag is 0 for daily and 1 for intraday bars."""
    return settings.horizon, int(intraday) if settings.lag is None else settings.lag


def make_targets(market: Market, settings: DataSettings, trained: bool = False) -> Targets:
    """Returns labels and forward returns of every bar.

    A ready label is taken as it stands on the row of its decision. Ready returns of one bar, on the
    row t for t to t+1, are earned by the decision `lag` own bars earlier; a label that serves as
    the returns begins that late already. Prices are raw: never scaled, winsorised or filled.

    Args:
        market: the checked panel.
        settings: horizon, lag, nights and delisting return are read.
        trained: models are trained already, on columns that were checked then.

    Raises:
        UserError: a market with neither closes nor ready labels and returns, ready columns that are
            not what the settings say, or `data.overnight` on bars without sessions.
    """
    horizon, lag = label_interval(settings, market.intraday)
    if market.fields and "close" not in market.fields:
        raise UserError(f"{market.name}: labels need a close")
    if not market.fields:
        if market.target is None or market.returns is None:
            raise UserError(f"{market.name}: ready features need data.target and data.returns")
        if not trained:
            refuse_wrong_columns(market, settings, lag)
    session = _sessions(market)
    ends = np.append(session[1:] != session[:-1], False)
    overnight = _overnight(settings, bool(ends.any()), market.name)
    flat = ends if overnight == "flat" else np.zeros(len(ends), bool)
    sold = sold_at(market.present)
    rows = int(market.present.sum())
    target, label_end = np.empty(rows), np.empty(rows, np.int32)
    forward = np.empty(market.present.shape)
    own_last = np.zeros(len(market.symbols), bool)
    begin = 0
    for part in symbol_blocks(len(market.symbols)):
        own = _OwnBars.of(market.present[:, part], sold[part])
        here = slice(begin, begin + len(own.time))
        label_end[here] = own.label_end(lag + horizon)
        if market.fields:
            close = own.rows(market.fields["close"][:, part])
            target[here] = own.change(close, lag, horizon)
            target[here][own.crosses(session, lag + horizon)] = np.nan
            earned = own.change(close, lag, 1)
        else:
            assert market.target is not None
            assert market.returns is not None
            target[here] = own.rows(market.target[:, part])
            earned = own.rows(market.returns[:, part])
            if given_returns(settings):
                earned = own.later(earned, lag)
        sale = own.sale(lag)
        known = np.isfinite(earned)
        own_last[part][own.symbol[sale & known]] = True
        earned[sale & ~known] = settings.delisting_return
        earned[own.idle(earned, flat, lag)] = 0.0
        forward[:, part] = own.grid(earned)
        begin = here.stop
    return Targets(
        target=target,
        forward_returns=forward,
        label_end=label_end,
        sold=sold,
        own_last=own_last,
        session_ends=ends,
        overnight=overnight,
    )


@dataclass(frozen=True)
class _OwnBars:
    """The bars of a few symbols, each in a row: r rows by symbol, then time.

    Attributes:
        present: [n, T] bool.
        time: [r] int32, bar of the grid.
        symbol: [r] int32, of the n.
        sold: [r] int32, bar at which the row's symbol is sold since it ended; T for none.
    """

    present: np.ndarray
    time: np.ndarray
    symbol: np.ndarray
    sold: np.ndarray

    @classmethod
    def of(cls, present: np.ndarray, sold: np.ndarray) -> "_OwnBars":
        """Returns the rows of `present` [T, n]."""
        turned = np.ascontiguousarray(present.T)
        symbol, time = (index.astype(np.int32) for index in np.nonzero(turned))
        return cls(turned, time, symbol, sold[symbol])

    def rows(self, grid: np.ndarray) -> np.ndarray:
        """Returns the cells [r] of a grid [T, n]."""
        return np.ascontiguousarray(grid.T)[self.present]

    def grid(self, values: np.ndarray) -> np.ndarray:
        """Returns values [r] as a grid [T, n]; NaN where there is no bar."""
        turned = np.full(self.present.shape, np.nan)
        turned[self.present] = values
        return turned.T

    def has(self, steps: int) -> np.ndarray:
        """Returns [r] bool, the rows that have a row `steps` own bars later."""
        found = np.zeros(len(self.time), bool)
        inside = max(len(self.time) - steps, 0)
        found[:inside] = self.symbol[:inside] == self.symbol[steps:]
        return found

    def ahead(self, values: np.ndarray, steps: int) -> np.ndarray:
        """Returns the values of the rows `steps` own bars later, for those that `has` them."""
        return values[steps:][self.has(steps)[: max(len(values) - steps, 0)]]

    def later(self, values: np.ndarray, steps: int) -> np.ndarray:
        """Returns the values [r] of the rows `steps` own bars later; NaN for none."""
        found = np.full(len(values), np.nan)
        found[self.has(steps)] = self.ahead(values, steps)
        return found

    def change(self, close: np.ndarray, start: int, bars: int) -> np.ndarray:
        """Returns the simple return from `start` own bars later on, over `bars`; NaN for none."""
        change = np.full(len(close), np.nan)
        has = self.has(start + bars)
        entry = close[start:][has[: max(len(close) - start, 0)]]
        change[has] = self.ahead(close, start + bars) / entry - 1.0
        return change

    def label_end(self, reach: int) -> np.ndarray:
        """Returns the bar of the grid `reach` own bars later, or the sale if that comes before."""
        end = self.sold.copy()
        end[self.has(reach)] = self.ahead(self.time, reach)
        return np.maximum(end, self.time + reach)

    def crosses(self, session: np.ndarray, steps: int) -> np.ndarray:
        """Returns [r] bool, rows that have a row `steps` own bars later, in another session."""
        crosses = self.has(steps)
        crosses[crosses] = session[self.time[crosses]] != session[self.ahead(self.time, steps)]
        return crosses

    def sale(self, lag: int) -> np.ndarray:
        """Returns [r] bool, rows entered at the last bar of a symbol that ended."""
        ended = self.sold < self.present.shape[1]
        return self.has(lag) & ~self.has(lag + 1) & ended

    def idle(self, earned: np.ndarray, flat: np.ndarray, lag: int) -> np.ndarray:
        """Returns [r] bool, rows that earn nothing: after the data, or flat overnight.

        A return that is missing amid a file is unknown, and not 0.
        """
        idle = ~self.has(lag + 1) & np.isnan(earned)
        entered = self.has(lag)
        idle[entered] |= flat[self.ahead(self.time, lag)]
        return idle


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
    if settings.overnight is not None:
        raise UserError(
            f"{name}: data.overnight={settings.overnight} needs intraday bars with pauses between "
            "sessions, and these have none; leave it out"
        )
    return None
