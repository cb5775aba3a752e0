"""Refuses a ready target, and ready returns, that are not what the settings say."""

from dataclasses import dataclass

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.dataset.agreement import (
    CLEAR,
    EXACT,
    SAME,
    Agreement,
    Comparison,
    Fit,
    agreement,
)
from trainable.data.dataset.overlap import horizon_of
from trainable.data.dataset.period_ends import nothing_at_end, return_to_end
from trainable.data.dataset.ready_prices import returns_of
from trainable.data.gather import by_symbol
from trainable.data.market import Market
from trainable.data.settings import DataSettings

MAX_HORIZON = 260  # bars, the longest that is looked for
BARS_A_LAG = 8  # bars of a symbol, at least, per bar of horizon that is looked for
MAX_ROWS = 60_000  # of the first symbols, that are looked at
MIN_BARS = 60  # of a symbol, below which nothing can be told
MIN_SHARE = 4  # a symbol with less than this part of the most bars is left out
RELATIVE_FROM = 5  # symbols of a bar from which its mean return is taken off, too
UNITS = (10.0, 100.0, 10_000.0)  # returns ÷ target, where they are in another unit
NEAR = 0.03  # … relative difference from it
OF_CLOSE = 0.95  # correlation with the close's returns from which a column is nothing but them
SMOOTHED = "; where it is one bar's return of smoothed prices, a close beside it shows that"
MOSTLY = 0.8  # share of the symbols whose column shows that it is over on its row


def given_returns(settings: DataSettings) -> bool:
    """Whether a column of ready returns is named: else the target serves as the returns."""
    return settings.returns is not None


def refuse_wrong_columns(market: Market, settings: DataSettings, lag: int) -> None:
    """Raises `UserError` where the target or the returns plainly are not what the settings say.

    Args:
        market: of ready features, with target and returns.
        settings: horizon, and the names of the columns.
        lag: resolved, in bars.
    """
    assert market.target is not None
    assert market.returns is not None
    _refuse_past(market.target, market, str(settings.target), settings.horizon)
    if given_returns(settings):
        _refuse_past(market.returns, market, str(settings.returns), 1)
    _refuse_one_column_for_both(settings, lag)
    _refuse_return_to_end(market, settings, lag)
    shown = _refuse_other_bars_of_close(market, settings, lag)
    _refuse_early(market, settings, lag)
    rows = _Rows.of(market, market.target, market.returns)
    if rows is None:
        return
    if given_returns(settings):
        if not shown:
            _refuse_returns_of_many_bars(rows, market.name, settings)
        found = _agreement(rows, lag, settings.horizon)
        if found is not None:
            _refuse_another_unit(found, market.name, settings)
            if found.clear:
                _refuse_disagreement(found, market.name, settings, lag)
        if found is not None and found.best == found.declared:
            return
    if shown and not given_returns(settings):
        return
    own = horizon_of(rows.label, rows.symbol, rows.longest)
    if own is not None and own > settings.horizon:
        more = "" if given_returns(settings) else " with data.returns=COLUMN of one bar's return"
        more += " works" if market.beside is not None else f" works{SMOOTHED}"
        raise UserError(
            f"{market.name}: the target {settings.target!r} is made of {own} bars (what comes in "
            f"goes out again after so many) and not of {settings.horizon}, so that it would be "
            f"earned anew at every bar; data.horizon={own}{more}"
        )


@dataclass(frozen=True)
class _Rows:
    """Rows of the first symbols, by symbol, then time.

    Attributes:
        label, returns, relative: [r]; `relative` is the return less the mean of its bar, None for
            few symbols.
        symbol: [r].
        bars: labels of the symbol that has most.
        longest: bars of horizon that are looked for.
    """

    label: np.ndarray
    returns: np.ndarray
    relative: np.ndarray | None
    symbol: np.ndarray
    bars: int
    longest: int

    @classmethod
    def of(cls, market: Market, label: np.ndarray, returns: np.ndarray) -> "_Rows | None":
        """Returns the rows of a label and of returns; None where too few to tell anything.

        Args:
            market: for the bars that are present.
            label: [T, N].
            returns: [T, N] of one bar.
        """
        counts = (market.present & np.isfinite(label)).sum(axis=0)
        bars = int(counts.max(initial=0))
        if bars < MIN_BARS:
            return None
        kept = np.flatnonzero(counts * MIN_SHARE >= bars)
        most = max(
            int(np.searchsorted(np.cumsum(market.present[:, kept].sum(axis=0)), MAX_ROWS)), 1
        )
        kept = kept[:most]
        present = market.present[:, kept]
        relative = None
        if market.present.shape[1] >= RELATIVE_FROM:
            known = market.present & np.isfinite(returns)
            total = np.where(known, returns, 0.0).sum(axis=1, keepdims=True)
            mean = total / np.maximum(known.sum(axis=1, keepdims=True), 1)
            relative = by_symbol(returns[:, kept] - mean, present)[:MAX_ROWS]
        symbol = np.repeat(np.arange(len(kept)), present.sum(axis=0))[:MAX_ROWS]
        return cls(
            by_symbol(label[:, kept], present)[:MAX_ROWS],
            by_symbol(returns[:, kept], present)[:MAX_ROWS],
            relative,
            symbol,
            bars,
            min(MAX_HORIZON, bars // BARS_A_LAG),
        )


def _agreement(rows: _Rows, lag: int, horizon: int) -> Agreement | None:
    """Returns how the target agrees with the returns, or with those relative to their bar.

    A rank within a bar says nothing of the market, so it resembles relative returns most.
    """
    found: Agreement | None = None
    for returns in (rows.returns, rows.relative):
        if returns is None:
            continue
        comparison = Comparison(rows.label, returns, rows.symbol, rows.longest)
        one = agreement(comparison, lag, horizon, rows.bars)
        if one is not None and (found is None or one.best.correlation > found.best.correlation):
            found = one
    return found


def _refuse_other_bars_of_close(market: Market, settings: DataSettings, lag: int) -> bool:
    """Raises `UserError` where what is earned is the close's return of other bars than it must be.

    Only a column that is nothing but that is refused: the close may be raw, and of another hour.
    Returns whether the close shows that the column is what it must be.
    """
    if market.beside is None:
        return False
    assert market.returns is not None
    begins = 0 if given_returns(settings) else lag
    rows = _Rows.of(market, market.returns, returns_of(market.beside, market.present))
    found = None if rows is None else _agreement(rows, begins, 1)
    if found is None or not found.clear:
        return found is not None and found.declared.correlation >= EXACT
    best = found.best
    if best.correlation < (OF_CLOSE if best.start < 0 else EXACT):
        return False
    what = f"column {settings.returns or settings.target!r} is the return of {market.beside_name!r}"
    if best.start < 0:
        _refuse_past_of_close(found.best, f"{market.name}: {what}", settings, begins)
    over = f", over {best.bars} bars" if best.bars > 1 else ""
    what = f"{market.name}: {what} from {_row(best.start)} on{over}"
    if given_returns(settings):
        raise UserError(
            f"{what}; data.returns must be one bar's simple return, from its row's bar to the next"
            f"{_shifted(settings.returns, best.start) if best.bars == 1 else ''}"
        )
    if best.bars > 1:
        raise UserError(
            f"{what}, and is not of {_bars(1)}, so that it would be earned anew at every bar; "
            f"data.horizon={best.bars} data.lag={best.start} with data.returns=COLUMN of one bar's "
            "return works"
        )
    raise UserError(
        f"{what}, and data.lag={lag} says that it begins {_bars(lag) if lag else 'with its row'}"
        f"{' after its row' if lag else ''}; data.lag={best.start} works"
        f"{_shifted(settings.target, best.start - lag, ', or ')}"
    )


def _refuse_past_of_close(best: Fit, what: str, settings: DataSettings, begins: int) -> None:
    """Raises `UserError` for a return of the close that begins before its row."""
    name, by = settings.returns or settings.target, begins - best.start
    known = "known" if best.stop <= 0 else "partly known"
    raise UserError(
        f"{what} from {_bars(-best.start)} before its row on: it begins before the decision and is "
        f"{known} by then; shift {name!r} back by {_bars(by)} in each symbol: "
        f"groupby(symbol).shift(-{by})"
    )


def _row(start: int) -> str:
    return f"{_bars(start)} after its row" if start else "its row"


def _shifted(name: str | None, by: int, joint: str = "; ") -> str:
    """Advice for a column that begins `by` bars too late, below 0 too early; nothing for 0."""
    if by == 0:
        return ""
    where = "forward" if by > 0 else "back"
    return (
        f"{joint}shift {name!r} {where} by {_bars(abs(by))} in each symbol: "
        f"groupby(symbol).shift({by})"
    )


def _refuse_return_to_end(market: Market, settings: DataSettings, lag: int) -> None:
    """Raises `UserError` where the target is the return to the end of a session, week or month."""
    assert market.target is not None
    if given_returns(settings):
        returns = market.returns
    else:
        returns = None if market.beside is None else returns_of(market.beside, market.present)
    if returns is None:
        found = nothing_at_end(market)
    else:
        rows = _Rows.of(market, market.target, returns)
        fixed = None if rows is None else _agreement(rows, lag, settings.horizon)
        best = 0.0 if fixed is None else fixed.best.correlation
        if rows is None or best >= EXACT:
            return
        found = return_to_end(market, returns, lag)
        if found is None or found.correlation < max(SAME, best):
            return
        declared = 0.0 if fixed is None else fixed.declared.correlation
        gain, rest = found.correlation**2 - declared**2, 1.0 - found.correlation**2
        if gain * found.periods <= CLEAR * rest:
            return
        if found.correlation < EXACT and found.bars <= settings.horizon:
            return  # such as a barrier that is mostly met earlier
    if found is None:
        return
    raise UserError(
        f"{market.name}: the target {settings.target!r} is the return to the {found.period}'s end, "
        f"of {found.bars} to 0 bars, and a position lasts data.horizon bars on every row: no "
        "setting fits it; a target over as many bars on each row works, with data.horizon of so "
        f"many{'' if given_returns(settings) else ' and data.returns=COLUMN'}"
    )


def _refuse_one_column_for_both(settings: DataSettings, lag: int) -> None:
    """Raises `UserError` where one column is target and returns, and cannot be both."""
    name = settings.target
    if settings.returns == name and lag > 0:
        raise UserError(
            f"data.returns={name} is the target as well: at data.lag={lag} a target begins "
            f"{_bars(lag)} after its row, and data.returns on it; where {name!r} begins "
            f"{_bars(lag)} after its row, leave out data.returns; where it begins on its row, "
            "data.lag=0 works"
        )


def _refuse_returns_of_many_bars(rows: _Rows, name: str, settings: DataSettings) -> None:
    """Raises `UserError` where `data.returns` spans more than one bar."""
    bars = horizon_of(rows.returns, rows.symbol, rows.longest)
    how = "what comes in goes out again after so many"
    if bars is None and horizon_of(rows.label, rows.symbol, rows.longest) == 1:
        best = Comparison(rows.returns, rows.label, rows.symbol, rows.longest).best()
        if best.correlation >= EXACT:
            bars, how = best.bars, f"it is {settings.target!r} compounded over so many"
    if bars is not None and bars > 1:
        raise UserError(
            f"{name}: data.returns={settings.returns} is made of {bars} bars ({how}), so that each "
            f"bar would earn {bars} times what it does; it must be one bar's simple return, from "
            f"its row's bar to the next{SMOOTHED}"
        )


def _refuse_another_unit(found: Agreement, name: str, settings: DataSettings) -> None:
    """Raises `UserError` where `data.returns` is the target in another unit.

    A target may be any share of a return: the mean of its bars, or a volatility that it aims at.
    """
    if found.best.correlation < EXACT or found.slope <= 0:
        return
    ratio = 1.0 / found.slope
    mean = abs(ratio / found.best.bars - 1.0) < NEAR
    if not mean and any(abs(ratio / unit - 1.0) < NEAR for unit in UNITS):
        raise UserError(
            f"{name}: data.returns={settings.returns} is {ratio:.3g} times what the "
            f"target {settings.target!r} says; write both in decimals, not percent (0.01 is one "
            "percent)"
        )


def _refuse_disagreement(found: Agreement, name: str, settings: DataSettings, lag: int) -> None:
    """Raises `UserError` for a target of other bars than the settings say."""
    best, horizon = found.best, settings.horizon
    target, returns = settings.target, settings.returns
    within = lag <= best.start and best.stop <= lag + horizon
    if within and best.correlation < EXACT:
        return  # such as a barrier that is mostly met earlier
    over = f", compounded over {best.bars} bars" if best.bars > 1 else ""
    horizon_works = f" data.horizon={best.bars}" if best.bars != horizon else ""
    if best.start < 0:
        by, known = lag - best.start, "known" if best.stop <= 0 else "partly known"
        raise UserError(
            f"{name}: the target {target!r} is {returns!r} of {_bars(-best.start)} earlier{over}: "
            f"a return that begins before the decision and is {known} by then. {returns!r} must "
            f"be the return from its row's bar to the next; where it is, shift {target!r} back by "
            f"{_bars(by)} in each symbol: groupby(symbol).shift(-{by})"
        )
    if best.start != lag:
        later = f"{_bars(best.start)} later" if best.start else "the same row"
        begins = f"{_bars(best.start)} after the decision" if best.start else "with the decision"
        alone = ""
        if best.start == 0 and best.bars == horizon == 1 and best.correlation >= EXACT:
            alone = (
                f"; where both begin {_bars(lag)} after their row, leave out data.returns={returns}"
            )
        raise UserError(
            f"{name}: the target {target!r} is {returns!r} of {later}{over}. Where {returns!r} is "
            f"the return from its row's bar to the next, as it must be, the target begins {begins},"
            f" and data.lag is {lag}: data.lag={best.start}{horizon_works} works{alone}"
        )
    raise UserError(
        f"{name}: the target {target!r} is made of {_bars(best.bars)} (it is {returns!r} "
        f"compounded over so many) and not of {horizon}, so that its positions would not last as "
        f"long as it does; data.horizon={best.bars} works"
    )


def _refuse_past(column: np.ndarray, market: Market, name: str, spans: int) -> None:
    """Raises `UserError` where a column is undefined at symbols' first bars and known at the last.

    That is how a return looks that ends on its row: it is over when the decision is made.

    Args:
        column: [T, N].
        market: whose column it is.
        name: of the column.
        spans: bars of the return; where others are undefined, it has another reason.
    """
    present = market.present
    first, last = present.argmax(axis=0), len(present) - 1 - present[::-1].argmax(axis=0)
    symbols = np.arange(present.shape[1])
    long = present.sum(axis=0) >= MIN_BARS
    past = np.isnan(column[first, symbols]) & np.isfinite(column[last, symbols])
    if not long.any() or past[long].mean() < MOSTLY:
        return
    # How many bars are undefined at the beginning says over how many it runs.
    symbol = int(np.flatnonzero(long & past)[0])
    own = column[present[:, symbol], symbol]
    bars = int(np.isfinite(own).argmax())
    if bars != spans:
        return
    there = "the first bar" if bars == 1 else f"the first {bars} bars"
    raise UserError(
        f"{market.name}: column {name!r} is empty on {there} of a symbol and known "
        "on its last: it is a return that ends on its row, and is over when the decision is made; "
        f"shift it back by {_bars(bars)} in each symbol: groupby(symbol).shift(-{bars})"
    )


def _refuse_early(market: Market, settings: DataSettings, lag: int) -> None:
    """Raises `UserError` where a target that serves as the returns is known too near to the end.

    What begins `lag` bars after its row is empty on the last lag + 1 bars of a symbol. Where fewer
    are empty, it begins earlier; where none is, such rows were dropped, and it tells nothing.
    """
    if given_returns(settings) or lag == 0 or market.target is None:
        return
    empty = []
    for n in np.flatnonzero(market.present.sum(axis=0) >= MIN_BARS):
        known = np.flatnonzero(np.isfinite(market.target[market.present[:, n], n]))
        empty.append(market.present[:, n].sum() - 1 - known[-1] if len(known) else 0)
    count = int(np.median(empty)) if empty else 0
    if not 0 < count <= lag or np.mean(np.array(empty) == count) < MOSTLY:
        return
    ends = "the last bar" if count == 1 else f"the last {count} bars"
    start = count - 1
    raise UserError(
        f"{market.name}: column {settings.target!r} is empty on {ends} of a symbol only: it is the "
        f"return from {_row(start)} on, and data.lag={lag} says that it begins {_bars(lag)} after "
        f"its row; data.lag={start} works{_shifted(settings.target, start - lag, ', or ')}"
    )


def _bars(count: int) -> str:
    return counted(count, "bar")
