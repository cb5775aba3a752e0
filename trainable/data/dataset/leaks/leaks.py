"""Features that know the future: the label or close to it, or made of later prices."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.dataset.ready_prices import log_close
from trainable.data.gather import sampled
from trainable.data.least_squares import left_open, normal_inverse
from trainable.data.market import Market

IDENTICAL = 0.999  # |correlation| beyond which a feature is the label
BOTH = 0.9  # … while that of the ranks is no lower than this: one outlier makes no label
SUSPICIOUS = 0.2  # … and beyond which it deserves a look: honest features stay far below
RANK_SAMPLE = 100_000  # rows for the rank correlation, at most: its error is then 0.003
CLASSES = 10  # a feature of at most so many values may be the label's class

EDGES = (  # bars before and after, between which prices are compared; fewer where rows are few
    (*range(21), 30, 50, 100),
    (*range(21), 30, 50),
    (*range(11), 15, 20, 30),
    tuple(range(11)),
)
FUTURE = 0.5  # share of what the past leaves open that later prices explain: a leak
EXACT = 0.9  # … of a column that moves slowly
EARLY = 0.2  # … that deserves a look
SHIFTED = 0.9  # correlation with the move of one later bar, from which on it is named
OPEN = 0.005  # share of a column's variance that the past must leave open
ROWS_A_TERM = 6  # rows for each term of the regression, at least
SAMPLE_ROWS = 2000  # rows looked at, at most
SYMBOLS = 20  # symbols looked at, at most: those with the most bars
CLIP = 6.0  # robust deviations: one outlier in both must not look like agreement
PRICES = ("close", "open", "high", "low")


@dataclass(frozen=True)
class ReadyColumn:
    """A ready column with which features are compared: it may itself be at fault.

    Attributes:
        name: as the settings call it.
        back: bars by which it must be shifted back where it ends on its row.
        begins: bars after its row at which it begins.
    """

    name: str
    back: int
    begins: int = 0


def find_leaks(
    columns: Iterable[np.ndarray],
    label: np.ndarray,
    names: Sequence[str],
    where: str,
    ready: ReadyColumn | None = None,
) -> list[str]:
    """Compares each feature with the label on the training rows.

    Args:
        columns: F features [n] on the training rows, finite.
        label: [n] their labels, finite.
        names: F names.
        where: the data's name, for messages.
        ready: the label's column, where it is ready made.

    Returns:
        A warning for each feature whose Pearson or Spearman correlation exceeds 0.2.

    Raises:
        UserError: a feature is the label, its rank, its class, or a multiple of it.
    """
    sample = sampled(np.arange(len(label)), RANK_SAMPLE)
    values, ranked = _unit(label), _unit(ranks(label[sample]))
    warnings = []
    for name, column in zip(names, columns, strict=True):
        found = {
            "correlation": _product(_unit(column), values),
            "rank correlation": _product(_unit(ranks(column[sample])), ranked),
        }
        kind = max(found, key=lambda k: abs(found[k]))
        if abs(found[kind]) > IDENTICAL and abs(found["rank correlation"]) > BOTH:
            raise UserError(
                f"{where}: feature {name!r} is the label itself ({kind} {found[kind]:.4f} on "
                f"{len(label)} training rows); remove the column{or_else(ready)}"
            )
        if _is_class(column, label):
            raise UserError(
                f"{where}: feature {name!r} is the label's class: its values divide the label "
                f"without exception on {len(label)} training rows; remove the column"
                f"{or_else(ready)}"
            )
        if abs(found[kind]) > SUSPICIOUS:
            warnings.append(
                f"feature {name!r} has {kind} {found[kind]:.2f} with the label on {len(label)} "
                f"training rows: does it know the future{_or_past(ready)}?"
            )
    return warnings


def or_else(ready: ReadyColumn | None) -> str:
    """Returns advice for a ready column that was over on its row: an honest feature may know it."""
    if ready is None:
        return ""
    return (
        f"; or, if {ready.name!r} is a return that ends on its row, so that it is over when the "
        f"decision is made, keep the feature and shift {ready.name!r} back by "
        f"{counted(ready.back, 'bar')} in each symbol: groupby(symbol).shift(-{ready.back})"
    )


def _or_past(ready: ReadyColumn | None) -> str:
    return "" if ready is None else f", or does {ready.name!r} end on its row"


def _unit(x: np.ndarray) -> np.ndarray:
    """Returns x [n] as float64, centred and of length 1 (0 for a constant)."""
    x = x.astype(np.float64)
    x -= x.mean()
    length = np.sqrt(_product(x, x))
    if length > 0:
        x /= length
    return x


def _product(a: np.ndarray, b: np.ndarray) -> float:
    """Returns the scalar product, not by BLAS: its threads wait longer than they work."""
    return float(np.einsum("i,i->", a, b))


def ranks(x: np.ndarray) -> np.ndarray:
    """Returns the ranks 1 … n of x [n]; equal values have their average.

    Those of `correlation.ranks`, which has a mask and takes three times as long for many ties.
    """
    order = np.argsort(x)
    ordered = x[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(starts, append=len(x))
    out = np.empty(len(x))
    out[order] = np.repeat(starts + (counts + 1) / 2, counts)
    return out


def _is_class(column: np.ndarray, label: np.ndarray) -> bool:
    """Whether a column of few values divides the label [n] at thresholds, without exception."""
    order = np.argsort(label, kind="stable")
    changes = np.count_nonzero(np.diff(column[order]))
    if not 0 < changes < CLASSES:
        return False
    return len(np.unique(column)) == changes + 1


def find_later_prices(
    market: Market,
    columns: dict[str, np.ndarray],
    end: int,
    ready: ReadyColumn | None = None,
) -> list[str]:
    """Compares the moves of a source's own columns with those of later prices.

    A column's change from bar to bar is regressed on the changes of a price (or the volume) up to
    the bar, then on those after it as well. What is known at a bar cannot be explained by later
    changes; a close, return or mean that is shifted into the past, or a centred mean, is explained
    by nothing else.

    Args:
        market: for its prices; without prices its ready returns are taken.
        columns: further columns by name, [T, N].
        end: number of the first bar after the training part; nothing from there on is looked at.
        ready: the column of the returns, where they are ready made.

    Returns:
        A warning for each column of which later prices explain 20 to 50 % of what the past leaves
        open.

    Raises:
        UserError: they explain more than half.
    """
    if not columns:
        return []
    warnings = []
    regressions = _regressions(market, end, ready)
    for name, grid in columns.items():
        found = [regression.later(grid) for regression in regressions]
        best = max(found, key=lambda later: later.share, default=None)
        if best is None or best.share <= EARLY:
            continue
        if best.share > FUTURE:
            what = f"is made of the {best.price} of later bars"
            if best.lead:
                bars = "1 bar" if best.lead == 1 else f"{best.lead} bars"
                what = f"moves as the {best.price} does {bars} later"
            raise UserError(
                f"{market.name}: feature {name!r} {what}, which explains {best.share:.0%} of what "
                "earlier bars leave open; remove the column, or move it to the bar at which it is "
                f"known{or_else(ready)}"
            )
        warnings.append(
            f"feature {name!r}: the {best.price} of later bars explains {best.share:.0%} of what "
            f"those before leave open: does it know the future{_or_past(ready)}?"
        )
    return warnings


@dataclass(frozen=True)
class _Later:
    """How far later bars explain a column.

    Attributes:
        share: of the variance that earlier bars leave open.
        price: whose changes explain it.
        lead: bars after which the price alone moves so; 0 where there is no such number.
    """

    share: float
    price: str
    lead: int = 0


@dataclass(frozen=True)
class _Regression:
    """Changes of one price before and after each of n sampled bars.

    Attributes:
        price: its name.
        bar, symbol: [n] of the sampled cells.
        before: [n] bar of the symbol before each.
        scale: [n] what changes of a column are divided by.
        past: [n, p] changes up to the bar, and a constant.
        ahead: [n, f] changes after it.
        solved: terms and their inverse, of the past and of both, by the rows that a column has.
    """

    price: str
    bar: np.ndarray
    symbol: np.ndarray
    before: np.ndarray
    scale: np.ndarray
    past: np.ndarray
    ahead: np.ndarray
    solved: dict[bytes, list[tuple[np.ndarray, np.ndarray]]] = field(default_factory=dict)

    def later(self, grid: np.ndarray) -> _Later:
        """Returns how far the changes after a bar explain that of a column [T, N]."""
        now, before = grid[self.bar, self.symbol], grid[self.before, self.symbol]
        change = (now.astype(np.float64) - before.astype(np.float64)) / self.scale
        known = np.isfinite(change)
        terms = self.past.shape[1] + self.ahead.shape[1]
        rows = int(known.sum())
        if rows < ROWS_A_TERM * terms:
            return _Later(0.0, self.price)
        change = _clipped(change[known])
        change -= change.mean()
        total = _product(change, change)
        if total == 0:
            return _Later(0.0, self.price)
        past, both = self._solved(known)
        left, rest = left_open(change, *past), left_open(change, *both)
        if left < OPEN * total:
            return _Later(0.0, self.price)
        fair = (rows - self.past.shape[1]) / (rows - terms)  # each term explains a little by chance
        share = 1.0 - rest / left * fair
        if _independent(_residual(change, *past)) < ROWS_A_TERM * self.ahead.shape[1]:
            share = share if share > EXACT else 0.0  # what moves slowly fits anything that does
        ahead = self.ahead[known]
        together = [abs(_product(_unit(ahead[:, k]), _unit(change))) for k in range(ahead.shape[1])]
        lead = int(np.argmax(together)) + 1
        lead = lead if together[lead - 1] > SHIFTED else 0
        if self.price == "volume" and not lead:
            return _Later(0.0, self.price)  # the time of day and events tell it in advance
        return _Later(share, self.price, lead)

    def _solved(self, known: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """The terms on the rows that a column has, and their inverse: of the past, and of both."""
        key = known.tobytes()
        if key not in self.solved:
            both = np.hstack([self.past[known], self.ahead[known]])
            past = np.ascontiguousarray(both[:, : self.past.shape[1]])
            self.solved[key] = [(terms, normal_inverse(terms)) for terms in (past, both)]
        return self.solved[key]


def _regressions(market: Market, end: int, ready: ReadyColumn | None) -> list[_Regression]:
    """One for each price and the volume, for changes as such and for those of the logarithm."""
    present = market.present[:end]
    prices = {name: market.fields[name][:end] for name in PRICES if name in market.fields}
    if not prices:
        logarithm = log_close(market, 0 if ready is None else ready.begins)
        if logarithm is None:
            return []
        logarithm = logarithm[:end]
        return _of_price("return", logarithm, logarithm, present, None)
    close = prices["close"]
    logs = {name: np.log(price) for name, price in prices.items()}
    found: list[_Regression] = []
    for name, price in prices.items():
        found += _of_price(name, logs[name], logs["close"], present, None)
        found += _of_price(name, price, close, present, close)
    if "volume" in market.fields:
        volume = market.fields["volume"][:end]
        for values in (volume, np.log1p(volume)):
            found += _of_price("volume", values, values, present, None)
    return found


def _of_price(
    name: str,
    price: np.ndarray,
    close: np.ndarray,
    present: np.ndarray,
    scale: np.ndarray | None,
) -> list[_Regression]:
    """The regression on a price [T, N], its changes divided by `scale`; none for too few bars."""
    counts = present.sum(axis=0)
    chosen = np.argsort(-counts, kind="stable")[:SYMBOLS]
    for edges in EDGES:
        reach = edges[-1]
        cells = [np.flatnonzero(present[:, n] & np.isfinite(price[:, n])) for n in chosen]
        places = [np.arange(reach, len(own) - reach) for own in cells]
        rows = sum(map(len, places))
        if rows >= ROWS_A_TERM * 3 * len(edges):
            break
    else:
        return []
    step = -(-rows // SAMPLE_ROWS)
    parts: list[tuple[np.ndarray, ...]] = []
    for n, own, at in zip(chosen, cells, places, strict=True):
        if not len(at):
            continue
        at = at[::step]
        level, last = price[own, n], close[own, n]
        by = np.ones(len(at)) if scale is None else scale[own, n][at]
        terms = [level[at - a] - level[at - b] for a, b in pairwise(edges)]
        later = [level[at + b] - level[at + a] for a, b in pairwise(edges)]
        if price is not close:
            terms += [(last - level)[at], (last - level)[at - 1]]
        symbol = np.full(len(at), n)
        parts.append((own[at], symbol, own[at - 1], by, np.stack(terms) / by, np.stack(later) / by))
    bar, symbol, before, by, past, ahead = (
        np.concatenate(arrays, axis=-1) for arrays in zip(*parts, strict=True)
    )
    constants = [np.ones(len(bar))] if scale is None else [np.ones(len(bar)), by.mean() / by]
    past = np.stack([*constants, *map(_clipped, past)], axis=1)
    ahead = np.stack([*map(_clipped, ahead)], axis=1)
    return [_Regression(name, bar, symbol, before, by, past, ahead)]


def _residual(x: np.ndarray, terms: np.ndarray, inverse: np.ndarray) -> np.ndarray:
    """What of x [n] the terms [n, p] leave; `inverse` as `normal_inverse` gives it."""
    weights = np.einsum("ij,j->i", inverse, np.einsum("ij,i->j", terms, x))
    return x - np.einsum("ij,j->i", terms, weights)


def _independent(x: np.ndarray) -> float:
    """The number of independent values that x [n] is worth, by its autocorrelation of lag 1."""
    together = _product(_unit(x[1:]), _unit(x[:-1]))
    together = min(max(together, 0.0), 1.0)
    return len(x) * (1 - together) / (1 + together)


def _clipped(x: np.ndarray) -> np.ndarray:
    """Returns x [n] with what is further than six robust deviations from its median cut there."""
    middle = np.median(x)
    most = CLIP * 1.4826 * float(np.median(np.abs(x - middle)))
    return np.clip(x, middle - most, middle + most)
