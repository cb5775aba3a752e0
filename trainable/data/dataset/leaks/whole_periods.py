"""Features that hold the result of a whole day, week, month or quarter before it has ended.

A daily table joined to intraday bars by date gives every bar its day's return or range; a total
over a calendar period that is written to all its rows does the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.gather import sampled
from trainable.data.least_squares import left_open, normal_inverse
from trainable.data.market import Market

SYMBOLS = 10  # symbols looked at, at most: those with the most bars
ROWS = 2500  # rows looked at, at most
PERIODS = 12  # periods of one symbol, at least
MANY = 30  # … from which on less is enough
BARS = 3  # bars in a usual period, at least
POSITIONS = 60  # of a bar in its period that are told apart, at most
SHARE = 0.85  # of what is known at a bar leaves open that the whole period explains: a leak
SHARE_OF_FEW = 0.95  # … with few periods
OPEN = 0.01  # share of a column's variance that what is known must leave open
CLIP = 6.0  # robust deviations


def refuse_whole_periods(market: Market, columns: dict[str, np.ndarray], end: int) -> None:
    """Refuses columns that are explained by what their day, week, month or quarter will bring.

    A column is regressed on what is known of the period at its bar, then on the period's return,
    mean, range or volume as well. All are taken less their means of the
    symbol and of the same place in a period: the time of day is no leak.

    Args:
        market: for its prices; without a close nothing is looked for.
        columns: further columns by name, [T, N].
        end: number of the first bar after the training part; nothing from there on is looked at.

    Raises:
        UserError: such a column.
    """
    if not columns or "close" not in market.fields:
        return
    outcomes = list(_outcomes(market, end))
    for name, grid in columns.items():
        for outcome in outcomes:
            share = outcome.explains(grid)
            if share > outcome.enough:
                raise UserError(
                    f"{market.name}: feature {name!r} holds the {outcome.what} of the whole "
                    f"{outcome.period}, which explains {share:.0%} of what is open at its bars; "
                    f"remove the column, or give each bar that of the {outcome.period} before"
                )


@dataclass(frozen=True)
class _Outcome:
    """What a period brings, beside what is known of it at each of n sampled bars.

    Attributes:
        period, what: words on it.
        bar, symbol: [n] of the sampled cells.
        place: [n] of the bar in its period.
        known: [n, p] what is known at the bar.
        result: [n] what the whole period brings.
        enough: share that makes a leak.
        solved: by the rows that a column has: the terms and inverses of known, and of both.
    """

    period: str
    what: str
    bar: np.ndarray
    symbol: np.ndarray
    place: np.ndarray
    known: np.ndarray
    result: np.ndarray
    enough: float
    solved: dict[bytes, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)

    def explains(self, grid: np.ndarray) -> float:
        """The share of what is open in a column [T, N], or its logarithm, that the result is."""
        x = grid[self.bar, self.symbol].astype(np.float64)
        has = np.isfinite(x)
        if has.sum() < POSITIONS:
            return 0.0
        kinds = [x[has], np.log(x[has])] if (x[has] > 0).all() else [x[has]]
        known, both = self._solved(has)
        best = 0.0
        for values in kinds:
            values = self._centred(_clipped(values), has)
            total = float(np.einsum("i,i->", values, values))
            left, rest = left_open(values, *known), left_open(values, *both)
            if total > 0 and left > OPEN * total:
                best = max(best, 1.0 - rest / left)
        return best

    def _centred(self, x: np.ndarray, has: np.ndarray) -> np.ndarray:
        """Values less the mean of their symbol, then that of their place in the period."""
        return _centred(_centred(x, self.symbol[has]), self.place[has])

    def _solved(self, has: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        key = has.tobytes()
        if key not in self.solved:
            terms = np.stack([*self.known.T, self.result], axis=1)[has]
            terms = np.stack([self._centred(term, has) for term in terms.T], axis=1)
            terms /= np.maximum(terms.std(axis=0), 1e-12)
            known = np.ascontiguousarray(terms[:, :-1])
            self.solved[key] = [(part, normal_inverse(part)) for part in (known, terms)]
        return self.solved[key]


def _centred(x: np.ndarray, group: np.ndarray) -> np.ndarray:
    """Returns x [n] less its mean over the rows of the same group [n]."""
    count = np.maximum(np.bincount(group), 1)
    return x - (np.bincount(group, x) / count)[group]


def _clipped(x: np.ndarray) -> np.ndarray:
    """Returns x [n] with what is far from its median cut; as it is where half of it is equal."""
    middle = np.median(x)
    most = CLIP * 1.4826 * float(np.median(np.abs(x - middle)))
    return np.clip(x, middle - most, middle + most) if most else x


def _outcomes(market: Market, end: int) -> Iterator[_Outcome]:
    """All that may be compared, by period and kind."""
    stamps = market.timestamps[:end]
    days = stamps.astype("datetime64[D]").astype(np.int64)
    months = stamps.astype("datetime64[M]").astype(np.int64)
    periods = {"week": (days + 3) // 7, "month": months, "quarter": months // 3}
    if market.intraday:
        periods = {"day": days, **periods}
    counts = market.present[:end].sum(axis=0)
    chosen = np.argsort(-counts, kind="stable")[:SYMBOLS]
    for period, number in periods.items():
        usual = float(np.median(np.unique(number, return_counts=True)[1])) if len(number) else 0.0
        if usual < BARS or len(np.unique(number)) < PERIODS + 2:
            continue
        parts: dict[str, list[dict[str, np.ndarray]]] = {}
        for n in chosen:
            own = np.flatnonzero(market.present[:end, n])
            if len(np.unique(number[own])) < PERIODS + 2:
                continue
            for what, part in _of_symbol(market, own, int(n), number[own]).items():
                if what != "volume" or period == "day" or not market.intraday:
                    parts.setdefault(what, []).append(part)
        enough = SHARE if len(np.unique(number)) >= MANY else SHARE_OF_FEW
        for what, found in parts.items():
            whole = {key: np.concatenate([part[key] for part in found]) for key in found[0]}
            at = sampled(np.arange(len(whole["bar"])), ROWS)
            place = whole["place"][at]
            place = place if place.max() < POSITIONS else place * POSITIONS // (place.max() + 1)
            yield _Outcome(
                period,
                what,
                whole["bar"][at],
                whole["symbol"][at],
                place,
                whole["known"][at],
                whole["result"][at],
                enough,
            )


def _of_symbol(
    market: Market, own: np.ndarray, n: int, number: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """By kind of result: cells, places, what is known [n, p] and the result [n] of one symbol.

    Args:
        market: for prices and volume.
        own: [n] bars of the symbol.
        n: number of the symbol.
        number: [n] the period of each bar; the first and the last are left out: they may be cut.
    """
    close = np.log(market.fields["close"][own, n])
    first = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    group = np.cumsum(np.diff(number, prepend=number[0] - 1) != 0) - 1
    ends = np.append(first[1:], len(own)) - 1
    place = np.arange(len(own)) - first[group]
    inside = (group > 0) & (group < len(first) - 1)
    before = close[np.maximum(first[group] - 1, 0)]
    opened = np.log(market.fields["open"][own, n]) if "open" in market.fields else close
    moves = [close - before, opened[first[group]] - before, close[first[group]] - before]
    moves.append(np.diff(close, prepend=close[0]))
    total = np.cumsum(close - close[0])
    since = total - (total - (close - close[0]))[first[group]]
    so_far = since / (place + 1) + close[0]
    whole = (since[ends] / (place[ends] + 1))[group] + close[0]
    results = {"return": (moves, (close[ends])[group] - close)}
    results["mean"] = ([*moves, so_far - close], whole - close)
    high, low = (market.fields.get(name) for name in ("high", "low"))
    top = np.log(high[own, n]) if high is not None else close
    bottom = np.log(low[own, n]) if low is not None else close
    spread, widest = np.empty(len(own)), np.empty(len(own))
    for start, last in zip(first, ends, strict=True):
        part = slice(start, last + 1)
        spread[part] = np.maximum.accumulate(top[part]) - np.minimum.accumulate(bottom[part])
        widest[part] = spread[last]
    results["range"] = ([spread, *moves], widest)
    volume = market.fields.get("volume")
    if volume is not None:
        size = np.nan_to_num(volume[own, n])
        sums = np.cumsum(size)
        so_far = sums - (sums - size)[first[group]]
        ended = np.log1p(so_far[ends])[group]
        results["volume"] = ([np.log1p(so_far), np.log1p(size)], ended)
    bars = {"bar": own[inside], "symbol": np.full(int(inside.sum()), n), "place": place[inside]}
    return {
        what: {
            **bars,
            "known": np.stack(known, axis=1)[inside],
            "result": result[inside],
        }
        for what, (known, result) in results.items()
        if np.isfinite(np.stack([*known, result])[:, inside]).all()
    }
