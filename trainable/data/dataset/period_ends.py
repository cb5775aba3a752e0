"""Whether a ready target is the return to the end of a session, day, week, month or quarter.

Such a return spans many bars early in the period and none at its end, so no horizon is its own.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from trainable.data.dataset.sessions import sessions
from trainable.data.market import Market

PERIODS = 12  # at least
BARS = 3  # in a usual period, at least
ROWS = 60_000  # of the first symbols, that are looked at
AMONG = 5  # symbols, from which returns are compared with the others'
ZEROS = 0.9  # share of the periods at whose end a return to it is nothing
LIKE_THE_NEXT = 0.5  # correlation of a return to the end with that of the bar after it, at least
CLIP = 6.0  # standard deviations


@dataclass(frozen=True)
class ToEnd:
    """A target that resembles the return to the end of its period.

    Attributes:
        period: session, day, week, month or quarter.
        bars: that it spans at most.
        correlation: with that return, 0 … 1.
        periods: how many there are of one symbol.
    """

    period: str
    bars: int
    correlation: float
    periods: int


def return_to_end(market: Market, returns: np.ndarray, lag: int) -> ToEnd | None:
    """Compares the target with returns compounded up to the end of each kind of period.

    Args:
        market: with a ready target.
        returns: [T, N] simple return from each bar to the symbol's next.
        lag: bars after its row, at which the target may begin, too.

    Returns:
        What it resembles most; None where there are no periods.
    """
    assert market.target is not None
    kinds = [returns]
    if len(market.symbols) >= AMONG:
        known = np.isfinite(returns)
        total = np.where(known, returns, 0.0).sum(axis=1)
        kinds.append(returns - (total / np.maximum(known.sum(axis=1), 1))[:, None])
    best: ToEnd | None = None
    for period, number in _periods(market):
        for start in sorted({0, 1, lag}):
            for kind in kinds:
                labels, sums, spans = [], [], []
                for n, own, end in _of_symbols(market, number):
                    growth = np.log1p(np.clip(kind[own, n], -0.99, None))
                    level = np.append(0.0, np.cumsum(growth))[:-1]
                    at = np.flatnonzero(np.arange(len(own)) + start < end)
                    labels.append(market.target[own[at], n])
                    sums.append(np.expm1(level[end[at]] - level[at + start]))
                    spans.append(end[at] - at - start)
                label, total, span = map(np.concatenate, (labels, sums, spans))
                # Directions and ranks do not grow with the bars that are left, as returns do.
                even = total / np.sqrt(span)
                together = max(abs(_correlation(label, x)) for x in (total, even))
                if best is None or together > best.correlation:
                    bars = int(np.quantile(span, 0.99)) if len(span) else 0
                    best = ToEnd(period, bars, together, len(np.unique(number)))
    return best


def nothing_at_end(market: Market) -> ToEnd | None:
    """Tells from the target alone: it is 0 where its period ends, and else much as a bar later."""
    assert market.target is not None
    for period, number in _periods(market):
        for start in (0, 1):
            zeros, these, nexts, spans = [], [], [], []
            for n, own, end in _of_symbols(market, number):
                label = market.target[own, n]
                at = np.arange(len(own)) + start
                zeros.append(label[(at == end) & np.isfinite(label)] == 0)
                inner = np.flatnonzero(at[:-1] + 1 < end[:-1])
                these.append(label[inner])
                nexts.append(label[inner + 1])
                spans.append((end - at)[inner])
            zero, this, following, span = map(np.concatenate, (zeros, these, nexts, spans))
            if len(zero) < PERIODS or zero.mean() < ZEROS or not len(span):
                continue
            together = _correlation(this, following)
            if together > LIKE_THE_NEXT:
                bars = int(np.quantile(span, 0.99))
                return ToEnd(period, bars, together, len(np.unique(number)))
    return None


def _periods(market: Market) -> Iterator[tuple[str, np.ndarray]]:
    """Each kind of period by name, and the [T] number of every bar's."""
    days = market.timestamps.astype("datetime64[D]").astype(np.int64)
    months = market.timestamps.astype("datetime64[M]").astype(np.int64)
    kinds = {"week": (days + 3) // 7, "month": months, "quarter": months // 3}
    if market.intraday:
        kinds = {"session": sessions(market.timestamps), "day": days, **kinds}
    for period, number in kinds.items():
        counts = np.unique(number, return_counts=True)[1]
        if len(counts) >= PERIODS and np.median(counts) >= BARS:
            yield period, number


def _of_symbols(market: Market, number: np.ndarray) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Of the first symbols: their number, their own bars, and the place of each one's period end.

    The last period is left out: it may be cut.
    """
    rows = 0
    for n in range(len(market.symbols)):
        own = np.flatnonzero(market.present[:, n])
        if not len(own):
            continue
        ends = np.flatnonzero(np.diff(number[own], append=number[own[-1]]))
        if not len(ends):
            continue
        own = own[: ends[-1] + 1]
        yield n, own, ends[np.searchsorted(ends, np.arange(len(own)))]
        rows += len(own)
        if rows > ROWS:
            return


def _correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Of the rows that have both, clipped; 0 where one of them is constant."""
    both = np.isfinite(x) & np.isfinite(y)
    x, y = x[both], y[both]
    if len(x) < PERIODS or not (x.std() > 0 and y.std() > 0):
        return 0.0
    x, y = (np.clip(v - v.mean(), -CLIP * v.std(), CLIP * v.std()) for v in (x, y))
    x, y = x - x.mean(), y - y.mean()
    return float((x * y).mean() / np.sqrt((x * x).mean() * (y * y).mean()))
