"""Features that hold the result of a whole day, week, month or quarter before it has ended.

A daily table joined to intraday bars by date gives every bar its day's return or range; a total
over a calendar period that is written to all its rows does the same.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.dataset import ready_prices
from trainable.data.dataset.leaks.leaks import ReadyColumn
from trainable.data.gather import sampled
from trainable.data.least_squares import left_open, normal_inverse
from trainable.data.market import Market

AMONG = 5  # symbols, from which returns are compared with the others'
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


def refuse_whole_periods(
    market: Market, columns: dict[str, np.ndarray], end: int, ready: ReadyColumn | None = None
) -> None:
    """Refuses columns that are explained by what their day, week, month or quarter will bring.

    A column is regressed on what is known of the period at its bar, then on the period's return,
    mean, range, volatility or volume as well; the same is done for returns and columns less the
    mean of the symbols. All are taken less their means of the symbol and of the same place in a
    period: the time of day is no leak.

    Args:
        market: for its prices; without them its ready returns, and a close beside them, are taken.
        columns: further columns by name, [T, N].
        end: number of the first bar after the training part; nothing from there on is looked at.
        ready: the column of the returns, where they are ready made.

    Raises:
        UserError: such a column.
    """
    if not columns:
        return
    close = ready_prices.log_close(market, 0 if ready is None else ready.begins)
    if close is None:
        return
    outcomes = list(_outcomes(market, close, end))
    _refuse(market.name, columns, outcomes)
    if len(market.symbols) < AMONG or not outcomes:
        return
    outcomes = [
        outcome
        for outcome in _outcomes(market, _among(close, market.present), end)
        if outcome.what in ("return", "mean")
    ]
    _refuse(market.name, {name: _less_mean(grid) for name, grid in columns.items()}, outcomes)


def _refuse(where: str, columns: dict[str, np.ndarray], outcomes: list["_Outcome"]) -> None:
    for name, grid in columns.items():
        for outcome in outcomes:
            share = outcome.explains(grid)
            if share > outcome.enough:
                raise UserError(
                    f"{where}: feature {name!r} holds the {outcome.what} of the whole "
                    f"{outcome.period}, which explains {share:.0%} of what is open at its bars; "
                    f"remove the column, or give each bar that of the {outcome.period} before"
                )


def _less_mean(grid: np.ndarray) -> np.ndarray:
    """Returns a grid [T, N] less its mean over the symbols known at each bar."""
    known = np.isfinite(grid)
    total = np.where(known, grid, 0.0).sum(axis=1)
    return grid - (total / np.maximum(known.sum(axis=1), 1))[:, None]


def _among(log_close: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Returns [T, N] prices of which each return is the symbol's less the mean at its bar."""
    growth = np.full(log_close.shape, np.nan)
    for n in range(len(present.T)):
        bars = np.flatnonzero(present[:, n])
        growth[bars[1:], n] = np.diff(log_close[bars, n])
    return np.where(present, np.cumsum(np.nan_to_num(_less_mean(growth)), axis=0), np.nan)


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


def _outcomes(market: Market, log_close: np.ndarray, end: int) -> Iterator[_Outcome]:
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
            for what, part in _of_symbol(market, log_close, own, int(n), number[own]).items():
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
    market: Market, log_close: np.ndarray, own: np.ndarray, n: int, number: np.ndarray
) -> dict[str, dict[str, np.ndarray]]:
    """By kind of result: cells, places, what is known [n, p] and the result [n] of one symbol.

    Args:
        market: for volume and the other prices; the close stands in for those that it lacks.
        log_close: [T, N].
        own: [n] bars of the symbol.
        n: number of the symbol.
        number: [n] the period of each bar; the first and the last are left out: they may be cut.
    """
    close = log_close[own, n]
    first = np.flatnonzero(np.diff(number, prepend=number[0] - 1))
    group = np.cumsum(np.diff(number, prepend=number[0] - 1) != 0) - 1
    ends = np.append(first[1:], len(own)) - 1
    place = np.arange(len(own)) - first[group]
    inside = (group > 0) & (group < len(first) - 1)
    before = close[np.maximum(first[group] - 1, 0)]
    opened, high, low = (
        np.log(market.fields[name][own, n]) if name in market.fields else close
        for name in ("open", "high", "low")
    )
    moves = [close - before, opened[first[group]] - before, close[first[group]] - before]
    moves.append(np.diff(close, prepend=close[0]))
    total = np.cumsum(close - close[0])
    since = total - (total - (close - close[0]))[first[group]]
    so_far = since / (place + 1) + close[0]
    whole = (since[ends] / (place[ends] + 1))[group] + close[0]
    results = {"return": (moves, (close[ends])[group] - close)}
    results["mean"] = ([*moves, so_far - close], whole - close)
    spread, widest = np.empty(len(own)), np.empty(len(own))
    for start, last in zip(first, ends, strict=True):
        part = slice(start, last + 1)
        spread[part] = np.maximum.accumulate(high[part]) - np.minimum.accumulate(low[part])
        widest[part] = spread[last]
    results["range"] = ([spread, *moves], widest)
    squares = np.cumsum(moves[-1] ** 2)
    squares -= (squares - moves[-1] ** 2)[first[group]]
    so_far = np.sqrt(np.maximum(squares, 0.0) / (place + 1))
    results["volatility"] = ([so_far, spread, np.abs(moves[-1])], so_far[ends][group])
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
