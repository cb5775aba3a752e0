"""Ready labels that overlap: a return over several bars where `data.horizon` says fewer.

Taken for one bar's, such a label would be earned anew at each bar, and its purge would be too
short.
"""

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.gather import by_symbol
from trainable.data.market import Market
from trainable.data.settings import DataSettings

MAX_HORIZON = 260  # bars, the longest that is looked for
BARS_A_LAG = 8  # bars of a symbol, at least, per bar of horizon that is looked for
MAX_ROWS = 200_000  # of the first symbols, that are looked at
MIN_BARS = 60  # of a symbol, below which nothing can be told
DROP = -0.35  # autocorrelation of the label's changes at its horizon; −0.5 is expected
REST = 0.25  # … and at every other lag, where 0 is expected
SAME = 0.5  # correlation with compounded returns from which the label is made of them
BETTER = 0.05  # … and by how much it exceeds the one with a shorter return


def refuse_overlapping_labels(market: Market, settings: DataSettings) -> None:
    """Raises `UserError` where the ready label is made of more bars than `data.horizon`.

    Args:
        market: of ready features, with target and returns.
        settings: horizon, and the names of the columns.
    """
    assert market.target is not None
    assert market.returns is not None
    label = by_symbol(market.target, market.present)[:MAX_ROWS]
    returns = by_symbol(market.returns, market.present)[:MAX_ROWS]
    counts = market.present.sum(axis=0)
    symbol = np.repeat(np.arange(len(counts), dtype=np.int32), counts)[:MAX_ROWS]
    bars = int(np.bincount(symbol[np.isfinite(label)], minlength=1).max())
    if bars < MIN_BARS:
        return
    longest = min(MAX_HORIZON, bars // BARS_A_LAG)
    found, how = horizon_of(label, symbol, longest), "what comes in goes out again after so many"
    if settings.returns is not None:
        compounded = horizon_of_returns(label, returns, symbol, longest)
        if compounded is not None:
            found, how = compounded, f"it is {settings.returns!r} compounded over so many"
    if found is None or found <= settings.horizon:
        return
    more = "" if settings.returns else " with data.returns=COLUMN of one bar's simple return"
    raise UserError(
        f"{market.name}: the target {settings.target!r} is made of {found} bars ({how}) and not of "
        f"{settings.horizon}, so that it would be earned anew at every bar; data.horizon={found}"
        f"{more} works"
    )


def horizon_of(label: np.ndarray, symbol: np.ndarray, longest: int) -> int | None:
    """Returns over how many bars each label sums, by its autocorrelation; None where unclear.

    A sum over h bars that moves on by one changes by what comes in less what went out h bars ago.
    So changes have the autocorrelation −1/2 at lag h and 0 at all others: those of a moving average
    of order h − 1 with equal weights. A label of one bar has it at lag 1.

    Args:
        label: [R] by symbol, then time; NaN where undefined.
        symbol: [R].
        longest: lags looked at.
    """
    change = np.full(len(label), np.nan)
    change[1:] = np.where(symbol[1:] == symbol[:-1], label[1:] - label[:-1], np.nan)
    # Rare extremes must not stand for all: beyond four deviations a change counts as four.
    spread = np.sqrt(np.nanmean(change**2))
    if not spread > 0:
        return None
    change = np.clip(change / spread, -4.0, 4.0)
    lags = np.array([_autocorrelation(change, symbol, lag) for lag in range(1, longest + 1)])
    lowest = int(lags.argmin())
    others = np.delete(lags[: 2 * (lowest + 1)], lowest)
    if lags[lowest] > DROP or np.abs(others).max(initial=0.0) > REST:
        return None
    return lowest + 1


def horizon_of_returns(
    label: np.ndarray, returns: np.ndarray, symbol: np.ndarray, longest: int
) -> int | None:
    """Returns over how many bars returns must be compounded to resemble the label most.

    Args:
        label: [R] by symbol, then time; NaN where undefined.
        returns: [R] of one bar, on the row of the decision.
        symbol: [R].
        longest: bars looked at.

    Returns:
        None where no compounded return resembles the label.
    """
    growth = np.log1p(np.clip(returns, -0.999, None))
    total, best, first, found = growth.copy(), 0.0, 0.0, None
    for bars in range(1, longest + 1):
        if bars > 1:
            ahead = bars - 1
            total[:-ahead] += growth[ahead:]
            total[-ahead:] = np.nan
            total[:-ahead][symbol[:-ahead] != symbol[ahead:]] = np.nan
        both = np.isfinite(total) & np.isfinite(label)
        if both.sum() < MIN_BARS:
            break
        fit = abs(_correlation(label[both], total[both]))
        if fit > best:
            best, found = fit, bars
        if bars == 1:
            first = fit
    return found if best >= SAME and (found == 1 or best > first + BETTER) else None


def _autocorrelation(values: np.ndarray, symbol: np.ndarray, lag: int) -> float:
    early, late = values[:-lag], values[lag:]
    both = np.isfinite(early) & np.isfinite(late) & (symbol[:-lag] == symbol[lag:])
    early, late = early[both], late[both]
    norm = np.sqrt(np.square(early).mean() * np.square(late).mean()) if len(early) else 0.0
    return float((early * late).mean() / norm) if norm > 0 else 0.0


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x - x.mean(), y - y.mean()
    norm = np.sqrt(np.square(x).mean() * np.square(y).mean())
    return float((x * y).mean() / norm) if norm > 0 else 0.0
