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
    *("backwardfactor", "forwardfactor", "ajexdi", "cumfacpr"),
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
ROWS_A_TERM = 3  # rows for each of their terms, at least
PRICE_WORDS = re.compile(
    r"close|price|open|high|low|vwap|settle|last|bid|ask|mid|avg|average|mean|sma|ema|wma|(^|_)ma"
    r"|band|upper|lower|pivot|support|resist|nav|mcap|marketcap|market_cap|px"
)


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
            pairs = _pairs(panel.extra[name], close, chosen)
            if 2 * len(pairs) > len(chosen):
                if not quality.get("adjusted"):
                    _refuse_adjusted(panel, name, pairs)
                why = _level(name, pairs)
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
        found += list(np.abs(jumps - large) < near)
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
    """Refuses a column whose ratio to the close is constant but for steps that only one takes."""
    for x, price in pairs:
        ratio = x - price
        steps, moves = np.abs(np.diff(ratio)), np.abs(np.diff(price))
        if not moves.any():
            continue
        # float32 and prices of two decimals make small steps on every bar.
        if np.quantile(steps, 0.9) > 0.25 * np.median(moves[moves > 0]):
            continue
        largest = int(np.argmax(steps))
        jumps = steps[largest] > 0.1 and abs(np.diff(x)[largest]) < 0.5 * moves[largest]
        pays = (
            np.ptp(ratio) > SMALL_STEP
            and steps[largest] < 0.1
            and min(abs(ratio[-1]), abs(ratio[0])) < 1e-3
        )
        if jumps or pays:
            raise UserError(
                f"{panel.file}: column {name!r} is 'close' times a factor that changes in steps: "
                "the close adjusted for splits or dividends? rename it to 'adj_close', or remove it"
            )


def _level(name: str, pairs: list[tuple[np.ndarray, np.ndarray]]) -> str | None:
    """Why a column is the level of a price; None: it is not."""
    spoken = PRICE_WORDS.search(name.lower()) is not None
    verdicts = [_verdict(x, price, spoken) for x, price in pairs]
    found = [why for why in verdicts if why]
    return found[0] if 2 * len(found) > len(verdicts) else None


def _verdict(x: np.ndarray, price: np.ndarray, spoken: bool) -> str | None:
    moves, own = np.diff(price), np.diff(x)
    ratio = x - price
    typical = float(np.median(np.abs(moves)))
    spread, wander = float(np.std(price)), float(np.std(x))
    if typical == 0 or spread == 0 or wander == 0:
        return None
    if float(np.median(np.abs(np.diff(ratio)))) < 0.1 * typical:
        return "the level of the close; give a ratio to it"
    together = float(np.corrcoef(x, price)[0, 1])
    near = float(np.std(ratio)) < 0.5 * spread
    follows = max(
        float(np.corrcoef(own, moves)[0, 1]), float(np.corrcoef(own[1:], moves[:-1])[0, 1])
    )
    if (together > 0.95 and near and follows > 0.15) or (
        spoken and together > 0.5 and abs(float(np.median(ratio))) < np.log(3) and near
    ):
        return "a price level beside the close; give a ratio to it"
    walks = float(np.std(own)) < 0.35 * wander and float(np.median(np.abs(own))) < 0.1
    if spoken and walks:
        return "a price level; give its return or a ratio"
    if walks and abs(float(np.median(ratio))) < np.log(3) and _of_earlier(own, moves):
        return "a price level, of earlier closes; give a ratio to it"
    return None


def _of_earlier(own: np.ndarray, moves: np.ndarray) -> bool:
    """Whether a column's log moves [n] are a weighted sum of the close's up to the same bar."""
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
    rest = left_open(target, terms, normal_inverse(terms))
    return rest * fair < (1 - EXPLAINED) * float(np.sum(target**2))
