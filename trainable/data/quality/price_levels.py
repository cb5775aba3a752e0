"""Further columns at the level of a price: none may become a feature.

A network that sees the level of a price learns which date it is, not what follows. A column that is
the close adjusted for splits, under a name that nobody knows, also means that the close is raw.
"""

import re
from itertools import pairwise
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import RAW_CLOSES, squashed
from trainable.data.ingest.panel import Panel
from trainable.data.least_squares import left_open, normal_inverse

SYMBOLS = 20  # at most so many are looked at, those with the most bars
FACTORS = (  # names of a factor of adjustment
    *("cfacpr", "adjfactor", "adjustmentfactor", "adjfac", "priceadjustmentfactor", "adjustfactor"),
    *("cumfactor", "cumulativefactor", "cumadjfactor", "afactor", "hfqfactor", "qfqfactor"),
    *("backwardfactor", "forwardfactor", "ajexdi", "cumfacpr", "cfadj", "cfret", "cfacshr"),
    *("trfd", "adjratio", "cumfacshr", "adjustmentratio", "splitadjustmentfactor"),
)
PLAIN_FACTORS = ("factor", "factors", "ratio")  # … where it changes in steps
SAME = 1e-5  # log ratio: within the rounding of float32
STEPS = 0.05  # share of the bars on which a factor may change
LARGE_STEP = 0.15  # |log ratio| from which a step is a split
BESIDE = np.log(1.5)  # median log ratio to the close, below which a ready feature is at its level
BARS = 30  # at least so many bars of a symbol
SMALL_STEP = 0.02  # log ratio: beyond rounding
EARLIER = (*range(21), 30, 50, 75, 100, 150, 200, 300)  # bars before, between which closes moved
EXPLAINED = 0.8  # share of a column's moves that those explain, where it is made of earlier closes
WEIGHT = 0.5  # of a mean of earlier closes, at least; it is 1, less what lies further back
ROWS_A_TERM = 3  # rows for each of their terms, at least
PRICES = frozenset(
    (
        *("close", "price", "prices", "open", "high", "low", "vwap", "settle", "settlement"),
        *("last", "bid", "ask", "mid", "px", "nav", "adj"),
    )
)  # a column is one where its name ends so, …
AVERAGES = frozenset(
    (
        *("sma", "ema", "wma", "ma", "avg", "average", "mean", "band", "upper", "lower", "pivot"),
        *("support", "resist", "resistance", "mcap", "cap", "marketcap"),
    )
)  # … or may be one where it is of the close's size
NO_PRICES = frozenset(
    (
        *("volume", "volumes", "vol", "volatility", "interest", "oi", "size", "depth", "qty"),
        *("quantity", "count", "counts", "ratio", "yield", "spread", "ret", "return", "returns"),
        *("change", "pct", "percent", "flow", "flag", "share", "shares", "sentiment", "tone"),
        *("book", "sales", "earnings", "pe", "pb", "ps", "ev", "eps", "rank", "zscore", "score"),
        *("std", "dividend", "rate", "to", "trades", "tweets", "index"),
    )
)  # whatever else a name says
RATIOS = frozenset(("ratio", "yield", "book", "sales", "earnings", "pe", "pb", "ps", "ev"))
LIKE = 1.5  # times the close, or a part of it: of its size
LAGS = 260  # bars: a year of daily ones
SAME_MOVES = 0.98  # correlation of moves that are the same


def leave_out_levels(panel: Panel, quality: dict[str, Any]) -> None:
    """Takes the columns at price level out of `panel.extra` and records them in `quality`.

    Args:
        panel: with prices, repaired and adjusted.
        quality: takes which columns are left out, and why.

    Raises:
        UserError: a column that looks like the adjusted close of a close that is not.
    """
    close = panel.fields["close"]
    chosen = _longest(close)
    for name in list(panel.extra):
        why = "prices that are not adjusted" if squashed(name) in RAW_CLOSES else None
        why = why or _factor(panel, name, bool(quality.get("adjusted")))
        if why is None and chosen:
            cells = [(panel.extra[name][:, n], close[:, n]) for n in chosen]
            pairs = [pair for pair in (_both(*cell) for cell in cells) if pair is not None]
            if 2 * len(pairs) > len(chosen):
                if not quality.get("adjusted"):
                    _refuse_adjusted(panel, name, pairs)
                why = _level(name, pairs)
            affine = not RATIOS.intersection(_words(name)) and why is None
            if affine and 2 * sum(_affine(*cell) for cell in cells) > len(cells):
                why = "moves as the level of the close does; give its return"
        if why:
            panel.extra.pop(name)
            quality.setdefault("left_out_columns", []).append({"column": name, "why": why})


def leave_out_levels_beside(panel: Panel, close: np.ndarray, quality: dict[str, Any]) -> None:
    """Takes ready features at the level of a close [T, N] out of `panel.extra`, and records them.

    Raises:
        UserError: no feature is left.
    """
    chosen = _longest(close)
    found = [
        name
        for name, grid in panel.extra.items()
        if 2 * sum(_at_level(*pair) for pair in _pairs(grid, close, chosen)) > len(chosen)
    ]
    why = "the level of the close; give a ratio to it"
    for name in found:
        panel.extra.pop(name)
        quality.setdefault("left_out_columns", []).append({"column": name, "why": why})
    if not panel.extra:
        names = ", ".join(map(repr, found))
        raise UserError(f"{panel.file}: no feature is left: {names} (at {why})")


def _at_level(x: np.ndarray, price: np.ndarray) -> bool:
    """Whether a column is about the close itself, in logarithms [n]: a quotient of it is not."""
    ratio, spread = x - price, float(np.std(price))
    if spread == 0 or np.std(x) == 0:
        return False
    beside = float(np.std(ratio)) < 0.5 * spread and abs(float(np.median(ratio))) < BESIDE
    return beside and float(np.corrcoef(x, price)[0, 1]) > 0.95


def _longest(close: np.ndarray) -> list[int]:
    """The numbers of the symbols with the most bars."""
    counts = np.isfinite(close).sum(axis=0)
    order = np.argsort(-counts, kind="stable")[:SYMBOLS]
    return [int(n) for n in order if counts[n] >= BARS]


def _pairs(
    grid: np.ndarray, close: np.ndarray, chosen: list[int]
) -> list[tuple[np.ndarray, np.ndarray]]:
    """The logarithms of a column and the close, of the chosen symbols in which it is a price."""
    pairs = [_both(grid[:, n], close[:, n]) for n in chosen]
    return [pair for pair in pairs if pair is not None]


def _factor(panel: Panel, name: str, adjusted: bool) -> str | None:
    """Why a column is left out as a factor of adjustment; None: it is none.

    Its name says so, or it changes in steps, and the close jumps by as much at every large one.

    Raises:
        UserError: such a factor beside a close that is not adjusted.
    """
    raw, steps = _jumps_with(panel.extra[name], panel.fields["close"])
    named = squashed(name) in FACTORS or (squashed(name) in PLAIN_FACTORS and steps > 0)
    if not named and (adjusted or raw != 1.0):
        return None
    if adjusted:
        return "the adjusted close holds it"
    if raw == 0.0:
        return "a factor of adjustment; the close is adjusted for its splits already"
    what = "holds factors of adjustment" if named else "steps by as much as the close jumps, as a "
    what += "" if named else "factor of adjustment does"
    raise UserError(
        f"{panel.file}: column {name!r} {what}, and 'close' is not adjusted; give 'adj_close' "
        "(close ÷ factor at CRSP, close × factor elsewhere), or remove the column"
    )


def _jumps_with(grid: np.ndarray, close: np.ndarray) -> tuple[float | None, int]:
    """The share of a column's large steps at which the close jumps by as much, and all its steps.

    The share is None where there is no large step, or where the column is no step function.
    """
    found: list[bool] = []
    count = 0
    for n in range(grid.shape[1]):
        pair = _both(grid[:, n], close[:, n])
        if pair is None:
            continue
        step, move = map(np.diff, pair)
        changes = np.abs(step) > SAME
        if changes.sum() > max(STEPS * len(step), 1):
            return None, 0
        count += int(changes.sum())
        large = np.abs(step[np.abs(step) > LARGE_STEP])
        jumps = np.abs(move[np.abs(step) > LARGE_STEP])
        usual = 1.4826 * float(np.median(np.abs(move)))
        near = np.maximum(0.25 * large, np.minimum(4 * usual, 0.5 * large))
        found += list((np.abs(jumps - large) < near) & (jumps > 4 * usual))
    return float(np.mean(found)) if found else None, count


def _both(column: np.ndarray, close: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The logarithms of a column and of the close, where both are known; None: it is no price."""
    known = np.isfinite(column) & np.isfinite(close)
    x, price = column[known].astype(np.float64), close[known]
    positive = (x > 0) & (price > 0)
    if len(x) < BARS or np.mean(~positive) > 0.01:
        return None
    return np.log(x[positive]), np.log(price[positive])


def _refuse_adjusted(panel: Panel, name: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> None:
    """Refuses a column that is the close but for the steps that an adjustment takes.

    It is of the close's size at the end or at the start, their ratio is constant but for few steps,
    at large ones it does not move and the close jumps, and small ones (dividends) only lead up.
    """
    anchored = [min(abs(x[-1] - price[-1]), abs(x[0] - price[0])) for x, price in pairs]
    if 2 * sum(distance < np.log(2) for distance in anchored) <= len(pairs):
        return
    for (x, price), distance in zip(pairs, anchored, strict=True):
        steps, moves = np.diff(x - price), np.diff(price)
        if not moves.any() or _touches_one(x, price):
            continue
        typical = float(np.median(np.abs(moves[moves != 0])))
        # float32 and prices of two decimals make small steps on every bar.
        steps = np.where(np.abs(steps) > 0.25 * typical, steps, 0.0)
        at = np.flatnonzero(steps)
        if not len(at) or len(at) > max(STEPS * len(steps), 3):
            continue
        large = at[np.abs(steps[at]) > 0.1]
        small = at[np.abs(steps[at]) <= 0.1]
        rest = np.abs(np.diff(x)[large])
        plain = rest < np.minimum(6 * typical, 0.5 * np.abs(steps[large]))
        pays = bool(np.mean(steps[small] > 0) > 0.95) if len(small) else True
        if not pays or (len(large) and plain.mean() < EXPLAINED):
            continue
        if len(large) or (distance < 1e-3 and np.ptp(x - price) > SMALL_STEP):
            raise UserError(
                f"{panel.file}: column {name!r} is 'close' times a factor that changes in steps: "
                "the close adjusted for splits or dividends? rename it to 'adj_close', or remove it"
            )


def _touches_one(x: np.ndarray, price: np.ndarray) -> bool:
    """Whether a column is 1 again and again: a ratio to an extreme, which the close sets at times.

    Args:
        x: [n] its logarithm.
        price: [n] that of the close.
    """
    ones = np.abs(x) < 1e-7
    return bool(ones.sum() > 2 and (ones & (np.abs(price) < 1e-7)).sum() < 0.5 * ones.sum())


def _words(name: str) -> list[str]:
    """The words of a name, in lower case: divided at capitals, digits and separators."""
    name = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)
    return [word.lower() for word in re.findall(r"[^\W\d_]+", name)]


def _level(name: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> str | None:
    """Why a column is the level of a price; None: it is not."""
    words = _words(name)
    other = bool(NO_PRICES.intersection(words))
    spoken = bool(words) and words[-1] in PRICES and not other
    likely = bool((PRICES | AVERAGES).intersection(words)) and not other
    ratio = bool(RATIOS.intersection(words))
    verdicts = [_verdict(x, price, spoken, likely, other, ratio) for x, price in pairs]
    found = [why for why in verdicts if why]
    return found[0] if 2 * len(found) > len(verdicts) else None


def _verdict(
    x: np.ndarray, price: np.ndarray, spoken: bool, likely: bool, other: bool, named_ratio: bool
) -> str | None:
    """Why one symbol's column is a level of a price; None: it is not.

    Args:
        x: [n] logarithm of the column.
        price: [n] that of the close.
        spoken: its name says that it is a price.
        likely: its name may say so.
        other: its name says that it is something else.
        named_ratio: its name says that it is a ratio, of which one near 1 is no price.
    """
    moves, own = np.diff(price), np.diff(x)
    ratio = x - price
    typical = float(np.median(np.abs(moves)))
    spread, wander = float(np.std(price)), float(np.std(x))
    if min(typical, spread, wander, float(np.std(own)), float(np.std(moves))) < SAME:
        return None
    near = float(np.std(ratio)) < 0.5 * spread
    like = abs(float(np.median(ratio))) < np.log(LIKE)
    if _touches_one(x, price):
        return None
    if float(np.median(np.abs(np.diff(ratio)))) < 0.1 * typical:
        changes = np.abs(np.diff(ratio)) > 0.25 * typical
        same = not other and float(np.ptp(ratio)) < SMALL_STEP
        steps = abs(float(ratio[-1])) < 0.05 and np.mean(changes) < STEPS
        if same or likely or (not named_ratio and (steps or (like and near))):
            return "the level of the close; give a ratio to it"
        return None
    together = float(np.corrcoef(x, price)[0, 1])
    follows = max(
        float(np.corrcoef(own, moves)[0, 1]), float(np.corrcoef(own[1:], moves[:-1])[0, 1])
    )
    if near and (
        (together > 0.95 and follows > 0.15 and (like or likely))
        or (likely and together > 0.5 and abs(float(np.median(ratio))) < np.log(3))
    ):
        return "a price level beside the close; give a ratio to it"
    walks = float(np.std(own)) < 0.35 * wander and float(np.median(np.abs(own))) < 0.1
    if spoken and walks:
        return "a price level; give its return or a ratio"
    if (
        not other
        and abs(float(np.median(ratio))) < np.log(3)
        and ((walks and _of_earlier(own, moves)) or _earlier(own, moves))
    ):
        return "a price level, of earlier closes; give a ratio to it"
    return None


def _affine(column: np.ndarray, close: np.ndarray) -> bool:
    """Whether a column is the close or its logarithm, moved and scaled."""
    known = np.isfinite(column) & np.isfinite(close)
    if known.sum() < BARS:
        return False
    x = column[known].astype(np.float64)
    for price in (close[known], np.log(close[known])):
        moves = np.diff(price)
        if min(float(np.std(np.diff(x))), float(np.std(moves))) == 0:
            return False
        together = float(np.corrcoef(np.diff(x), moves)[0, 1])
        if together > 0.999 and float(np.corrcoef(x, price)[0, 1]) > 0.999:
            return True
    return False


def _earlier(own: np.ndarray, moves: np.ndarray) -> bool:
    """Whether a column's log moves [n] are the close's of the same number of bars before."""
    length = 1 << int(np.ceil(np.log2(2 * len(own))))
    x, y = np.fft.rfft(np.stack([own - own.mean(), moves - moves.mean()]), length, axis=1)
    lags = min(LAGS, len(own) - BARS)
    together = np.fft.irfft(x * np.conj(y), length)[1 : lags + 1]
    lag = int(np.argmax(together)) + 1 if lags > 0 else 0
    if not lag:
        return False
    same = np.corrcoef(own[lag:], moves[:-lag])[0, 1] if own[lag:].any() else 0.0
    return bool(same > SAME_MOVES)


def _of_earlier(own: np.ndarray, moves: np.ndarray) -> bool:
    """Whether a column's log moves [n] are a weighted mean of the close's up to the same bar.

    The weights of a mean add up to 1; those of an oscillator, which returns to where it was, to 0.
    """
    edges = [
        edge
        for i, edge in enumerate(EARLIER)
        if edge <= len(own) // 3 and len(own) - edge >= ROWS_A_TERM * i
    ]
    if len(edges) < 3:
        return False
    total = np.concatenate([[0.0], np.cumsum(moves)])
    last = np.arange(edges[-1], len(own) + 1)
    terms = np.stack([total[last - a] - total[last - b] for a, b in pairwise(edges)], axis=1)
    target = own[edges[-1] - 1 :]
    fair = len(target) / (len(target) - terms.shape[1])
    inverse = normal_inverse(terms)
    rest = left_open(target, terms, inverse)
    if rest * fair >= (1 - EXPLAINED) * float(np.sum(target**2)):
        return False
    weights = np.einsum("ij,kj,k->i", inverse, terms, target)  # of one bar, by term
    return float(np.dot(weights, np.diff(edges))) > WEIGHT
