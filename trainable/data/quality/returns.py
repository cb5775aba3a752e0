"""Ready returns that are none: classes, ranks, scores, clipped values, percent."""

from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.panel import Panel
from trainable.data.ingest.timestamps import show_time
from trainable.data.settings import DataSettings

MANY = 50  # values, or bars, from which a column shows what it holds
DIFFERENT = 0.5  # share of the values between two bounds that differ; ticks of a price do not
FEW_VALUES = 4  # different ones, besides 0, that returns never are confined to
SOME = 10_000  # values of which the different ones are counted
BARS_SEEN = 500  # spread over the data, at which symbols are compared
WIDE = 3  # symbols of a bar from which they are compared
MOSTLY = 0.8  # share of the bars that show a pattern
ALIKE = 1e-3  # relative difference below which the spread of two bars is the same
AT_BOUND = 0.005  # share of the values at the largest, and at the smallest, of a clipped column
# Kurtosis: 1.8 where all values are as frequent, 3 of a normal distribution, more of returns.
FLAT_KURTOSIS = ((500, 2.3), (200, 2.0))  # from so many values on
TRIM = 0.02  # share of either tail that is left out: a crash is no unit
LONG = 250  # bars of a symbol from which its decay is looked at
MUCH = 1.5  # standard deviation a year, from which the plan asks
NO_ASSET = 20.0  # … and from which it is refused
SURE = 3.0  # standard errors by which a mean may be wrong
FAR, FALLS = 25.0, 0.5  # usual standard deviations, and the least move, that the plan names
DECAY = -4.0  # mean logarithmic growth a year: 98 % are lost every year
SYMMETRIC = 1.3  # 99 % quantile ÷ −1 % quantile: of what grows it is larger when it moves that much


def refuse_impossible_returns(panel: Panel, settings: DataSettings) -> None:
    """Raises `UserError` for a return below −1."""
    assert panel.returns is not None
    impossible = panel.returns < -1
    if impossible.any():
        where, (bar, symbol) = panel.first(impossible)
        column = settings.returns or settings.target
        raise UserError(
            f"{where}: {panel.returns[bar, symbol]:g} in column {column!r} is no simple return (it "
            f"is below -1); write decimals, not percent or scores{_if_score(settings)}"
        )


def refuse_no_returns(panel: Panel, settings: DataSettings) -> None:
    """Raises `UserError` where the returns hold classes, ranks or scores: they are no money."""
    assert panel.returns is not None
    known = panel.returns[np.isfinite(panel.returns)]
    what = _classes(known) or _equal_bars(panel.returns) or _bounded(known)
    if what is None:
        return
    column = settings.returns or settings.target
    raise UserError(
        f"{panel.file}: column {column!r} holds {what}, and is no simple return; "
        + (
            "data.returns must name the return of the next bar, in decimals"
            if settings.returns
            else "where the target is a class, a rank or a score, name the column of the next "
            "bar's return: data.returns=COLUMN"
        )
    )


def describe_returns(
    panel: Panel, settings: DataSettings, bars_a_year: float, notes: dict[str, Any]
) -> None:
    """Adds how much the returns vary to the notes: a wrong unit is seen by that.

    Raises:
        UserError: returns that vary as no asset's do, or of which nothing can be left after a year
            though they are as often up as down and as far: percent.
    """
    assert panel.returns is not None
    name = settings.returns or settings.target
    decays, spreads = [], []
    for own in panel.returns.T:
        own = own[np.isfinite(own)]
        if len(own) > 1:
            spreads.append(own.std())
        if len(own) >= LONG:
            low, high = np.quantile(own, [TRIM, 1.0 - TRIM])
            growth = np.log1p(np.maximum(own[(own >= low) & (own <= high)], -0.999))
            most = growth.mean() + SURE * growth.std() / len(growth) ** 0.5
            decays.append(most * bars_a_year)
    spread = float(np.median(spreads)) if spreads else 0.0
    a_year = spread * bars_a_year**0.5
    varies = f"{spread:.3g} a bar, {a_year:.3g} a year"
    in_decimals = f"write decimals, not percent (0.01 is one percent){_if_score(settings)}"
    if a_year > NO_ASSET:
        raise UserError(
            f"{panel.file}: column {name!r} varies by {varies} (standard deviation), as no asset "
            f"does; {in_decimals}"
        )
    if decays and np.median(decays) < DECAY:
        low, high = np.nanquantile(panel.returns, [0.01, 0.99])
        if high < SYMMETRIC * -low:
            raise UserError(
                f"{panel.file}: column {name!r} varies by {varies} (standard deviation), as much "
                f"up as down: compounded, nothing would be left within a year; {in_decimals}"
            )
    doubt = "; few assets vary as much: it may be percent" if a_year > MUCH else ""
    if _relative(panel.returns):
        doubt += "; they sum to 0 at each bar, so equal weight earns nothing of the market"
    doubt += _largest(panel)
    notes.setdefault("read_as", []).append(
        f"returns {name!r}: decimals with a standard deviation of {varies} (median symbol){doubt}"
    )


def _largest(panel: Panel) -> str:
    """Names a return that stands far out of its symbol's others; nothing where none does."""
    assert panel.returns is not None
    size = np.abs(np.nan_to_num(panel.returns))
    bar, symbol = np.unravel_index(int(size.argmax()), size.shape)
    own = size[:, symbol][np.isfinite(panel.returns[:, symbol])]
    usual = float(np.sqrt(np.square(own[own <= np.quantile(own, 1.0 - TRIM)]).mean()))
    if size[bar, symbol] < max(FALLS, FAR * usual):
        return ""
    return (
        f"; the largest, {panel.returns[bar, symbol]:+,.4g} ({panel.symbols[symbol]}, "
        f"{show_time(panel.timestamps[bar])}), stands far out of the others"
    )


def _if_score(settings: DataSettings) -> str:
    """Advice for a target that serves as the returns."""
    return "" if settings.returns else ", or give data.returns where the target is no return"


def _classes(known: np.ndarray) -> str | None:
    """Says what a column of a few different values holds, or one without a negative number."""
    moving = known[known != 0]
    if len(moving) and np.all(moving == np.round(moving)):
        return "only whole numbers"
    if len(known) < MANY:
        return None
    if known.min() >= 0:
        return "no negative number"
    values = np.unique(moving[:SOME])
    if len(values) <= FEW_VALUES and np.isin(moving, values).all():
        return f"only the values {', '.join(f'{value:g}' for value in values)}"
    return None


def _equal_bars(returns: np.ndarray) -> str | None:
    """Says where the symbols of a bar are spread alike at every bar: ranks, scores, weights."""
    bars = _wide_bars(returns)
    if len(bars) < MANY:
        return None
    steps = [np.diff(bar) for bar in bars]
    even = [step.max() - step.min() <= ALIKE * step.max() for step in steps if step.max() > 0]
    if len(even) >= MANY and np.mean(even) >= MOSTLY:
        return "evenly spaced values at each bar (ranks)"
    for size in (np.array([bar.std() for bar in bars]), np.array([np.abs(b).mean() for b in bars])):
        usual = np.median(size)
        if usual > 0 and np.mean(np.abs(size - usual) <= ALIKE * usual) >= MOSTLY:
            return "values that are spread alike at every bar (ranks, scores or weights)"
    return None


def _wide_bars(returns: np.ndarray) -> list[np.ndarray]:
    """Returns the sorted values of bars with three symbols or more; of many bars, of some."""
    wide = np.flatnonzero(np.isfinite(returns).sum(axis=1) >= WIDE)
    chosen = wide[np.linspace(0, len(wide) - 1, min(BARS_SEEN, len(wide))).astype(int)]
    return [np.sort(line[np.isfinite(line)]) for line in returns[chosen]]


def _relative(returns: np.ndarray) -> bool:
    """Says whether returns are less the mean of their bar."""
    bars = _wide_bars(returns)
    zero = [abs(bar.mean()) <= ALIKE * np.abs(bar).mean() for bar in bars if bar.any()]
    return len(zero) >= MANY and float(np.mean(zero)) >= MOSTLY


def _bounded(known: np.ndarray) -> str | None:
    """Says where values crowd at two bounds, or fill the range between them evenly."""
    if len(known) < FLAT_KURTOSIS[-1][0]:
        return None
    low, high = known.min(), known.max()
    between = known[(known > low) & (known < high) & (known != 0)][:SOME]
    crowds = min(np.mean(known == low), np.mean(known == high)) >= AT_BOUND
    if low < 0 < high and crowds and len(np.unique(between)) > DIFFERENT * len(between):
        return f"many values at exactly {low:g} and {high:g} (a score, or clipped)"
    deviation = np.square(known - known.mean())
    if not deviation.any():
        return None
    kurtosis = np.square(deviation).mean() / deviation.mean() ** 2
    if any(len(known) >= count and kurtosis < limit for count, limit in FLAT_KURTOSIS):
        return f"values spread evenly from {low:g} to {high:g} (a score)"
    return None
