"""Features that are too good to be true, or whose relation with the label changes, named early.

A search would reward both: a leak with a Sharpe ratio far above the luck line, a relation that
turns between training and validation with losses that look like no skill at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, copysign, hypot, sqrt
from typing import Any

import numpy as np
from scipy.special import stdtrit

from trainable.data.dataset.dataset import Dataset
from trainable.data.gather import columns_on
from trainable.metrics.information_coefficient import ranks, standardise

KEY = "suspicious_features"  # of `data_quality` in run.json
BELIEVED = 5.0  # annual Sharpe ratio of one feature, beyond which a leak is the likelier cause
ERRORS = 1.0  # standard errors by which it must be beyond
SURE = 3.0  # standard errors by which an IC differs from 0 on both sides of a turn
CHANCE = 0.001  # of any false alarm among all features of a market of noise
KINDS = ("IC", "rank IC")
TESTS = 3  # a feature and kind: its IC in training, in validation, and their difference
MATERIAL = 1.0  # annual Sharpe ratio that a change of the IC must be worth
HORIZONS = 4  # of a block of bars: labels of neighbouring blocks overlap little
BLOCKS, FEWEST_BLOCKS = 250, 8  # of a part, at most and at least
SYMBOLS = 3  # at a bar, from which on its correlation counts
CELLS = 1 << 18  # rows of a part that are looked at, at most: those next to the other part
EDGE = 10  # bars at either end, among which no change is looked for
NAMED = 5  # features with a line of their own
LEAST_SPREAD = 1e-6  # of what single bars add to an IC, beyond rounding
FAR = 100.0  # a Sharpe ratio that is not worth telling exactly


@dataclass(frozen=True)
class Relation:
    """How a feature goes with the label in one part of the split.

    Attributes:
        ic: mean over bars of the correlation across symbols; of fewer than five symbols of their
            correlations over time, each counting with its bars.
        error: its standard error, from means of blocks of bars.
        freedom: degrees of freedom of `error`.
        per_ic: annual Sharpe ratio that an IC of 1 would imply: √(breadth × labels a year).
        cost: what trading costs, in units of the IC.
        by_bar: [V] what each bar adds to the mean. bars: [V] of the grid.
    """

    ic: float
    error: float
    freedom: int
    per_ic: float
    cost: float
    by_bar: np.ndarray
    bars: np.ndarray

    @property
    def net(self) -> float:
        """What is left of the IC after costs, with its sign."""
        return copysign(max(abs(self.ic) - self.cost, 0.0), self.ic)

    @property
    def sharpe(self) -> float:
        """Annual Sharpe ratio that the IC implies, net of costs."""
        return abs(self.net) * self.per_ic

    def with_later(self, later: "Relation") -> "Relation":
        """Returns the relation in two parts together."""
        counts = np.array([len(self.by_bar), len(later.by_bar)])
        share = counts / counts.sum()
        by_bar = np.concatenate([self.by_bar, later.by_bar])
        return Relation(
            ic=float(by_bar.mean()),
            error=float(np.hypot(share[0] * self.error, share[1] * later.error)),
            freedom=self.freedom + later.freedom,
            per_ic=self.per_ic * float(self.by_bar.std(ddof=1) / by_bar.std(ddof=1)),
            cost=float(share @ [self.cost, later.cost]),
            by_bar=by_bar,
            bars=np.concatenate([self.bars, later.bars]),
        )

    def record(self) -> dict[str, float]:
        """Returns what `run.json` holds."""
        figures = {"ic": self.ic, "error": self.error, "implied_sharpe": self.sharpe}
        return {name: round(value, 6) for name, value in figures.items()}


def with_suspicious_features(dataset: Dataset, generated: bool) -> dict[str, Any]:
    """Returns `dataset.quality` with what `suspicious_features` finds.

    Args:
        dataset: of the search.
        generated: whether its market was made by a generator, whose signal is no leak.
    """
    return dataset.quality | {KEY: [] if generated else suspicious_features(dataset)}


def suspicious_features(dataset: Dataset) -> list[dict[str, Any]]:
    """Looks for features that imply too high a Sharpe ratio, or whose IC changes with validation.

    The implied annual Sharpe ratio is |IC| × √(breadth × labels a year), the fundamental law of
    active management (Grinold 1989). The breadth is measured: 1 ÷ the variance of what single bars
    add to the IC (Qian and Hua 2004), about N for N symbols that move independently, less for
    others. Costs are subtracted from the IC, in deviations of the label: cost × mean change of the
    standardised feature over a horizon ÷ deviation of the label. Pearson's and Spearman's
    correlation are both looked at. A feature is suspicious

    - that implies more than 5, by a standard error, and whose IC differs from 0, or
    - whose IC in validation differs from that in training, by more than a Sharpe ratio of 1,

    where to differ is to differ beyond doubt: with a chance of 1 in 1,000 for all features together
    (Bonferroni), errors from means of blocks of four horizons or more, and Student's t.

    Returns:
        A record for `run.json` each, the most suspicious first: `feature`, `why` (too_good,
        too_good_from, too_good_until, turned, changed), `kind`, `train`, `valid` (IC, error and
        implied Sharpe ratio), `since` (the date of a change, else None), `warning`.
    """
    train = _Part.of(dataset, dataset.train_rows, last=True)
    valid = _Part.of(dataset, dataset.valid_rows, last=False)
    if train is None or valid is None:
        return []
    columns = (columns_on(dataset.features, part.rows) for part in (train, valid))
    chance = CHANCE / (len(dataset.feature_names) * len(KINDS) * TESTS)
    found: list[tuple[float, dict[str, Any]]] = []
    for name, early, late in zip(dataset.feature_names, *columns, strict=True):
        each: list[tuple[float, dict[str, Any]]] = []
        for kind in KINDS:
            before, now = train.relation(early, kind, dataset), valid.relation(late, kind, dataset)
            why, strength = _why(before, now, chance)
            if why is not None:
                since = _since(before, now, dataset) if why != "too_good" else None
                each.append((strength, _record(name, kind, why, before, now, since)))
        found += [max(each, key=lambda one: one[0])] if each else []
    return [record for _, record in sorted(found, key=lambda one: -one[0])]


def suspicion_lines(quality: Mapping[str, Any]) -> list[str]:
    """Returns a line each of the first five suspicious features, and one that names the others."""
    records: Sequence[Mapping[str, Any]] = quality.get(KEY, [])
    lines = [str(record["warning"]) for record in records[:NAMED]]
    rest = [str(record["feature"]) for record in records[NAMED:]]
    if rest:
        more = f" and {len(rest) - NAMED} others" if len(rest) > NAMED else ""
        lines.append(f"and {len(rest)} more such features: {', '.join(rest[:NAMED])}{more}")
    return lines


@dataclass(frozen=True)
class _Part:
    """The labels of one part, standardised by line: a bar of five or more symbols, else a symbol.

    Attributes:
        rows: [n] of the dataset, those with a label.
        place: [n] cell of each row in a grid of `shape`.
        mask: [L, C] cells that have a row.
        labels: by kind, [L, C] standardised.
        varies: by kind, [L] bool.
        spread: standard deviation of a line's labels, mean over lines; decimal return.
        bars: [V] of the grid, those with a row.
    """

    rows: np.ndarray
    place: np.ndarray
    mask: np.ndarray
    labels: dict[str, np.ndarray]
    varies: dict[str, np.ndarray]
    spread: float
    bars: np.ndarray
    panel: bool

    @staticmethod
    def of(dataset: Dataset, rows: np.ndarray, last: bool) -> "_Part | None":
        """Returns the part of these rows, the last or the first of many; None without a label."""
        rows = rows[np.isfinite(dataset.target[rows])]
        if len(rows) > CELLS:
            times = np.sort(dataset.time[rows])
            near = (
                dataset.time[rows] >= times[-CELLS] if last else dataset.time[rows] <= times[CELLS]
            )
            rows = rows[near]
        if not len(rows):
            return None
        bars, bar = np.unique(dataset.time[rows], return_inverse=True)
        symbol = dataset.symbol[rows].astype(np.int64)
        count = len(dataset.symbols)
        shape = (len(bars), count) if dataset.panel else (count, len(bars))
        place = bar * count + symbol if dataset.panel else symbol * len(bars) + bar
        mask, label = np.zeros(shape, bool), np.zeros(shape)
        mask.flat[place], label.flat[place] = True, dataset.target[rows]
        scaled = standardise(label, mask)
        ordered = standardise(ranks(label, mask), mask)
        enough = mask.sum(axis=1) >= SYMBOLS
        known = enough & scaled.varies
        return _Part(
            rows=rows,
            place=place,
            mask=mask,
            labels=dict(zip(KINDS, (scaled.values, ordered.values), strict=True)),
            varies=dict.fromkeys(KINDS, known),
            spread=float(scaled.std[known].mean()) if known.any() else 0.0,
            bars=bars,
            panel=dataset.panel,
        )

    def relation(self, column: np.ndarray, kind: str, dataset: Dataset) -> Relation | None:
        """Returns how a feature [n] goes with the labels; None where that is undefined."""
        grid = np.zeros(self.mask.shape)
        grid.flat[self.place] = column
        if kind != KINDS[0]:
            grid = ranks(grid, self.mask)
        x = standardise(grid, self.mask)
        lines = x.varies & self.varies[kind]
        cells = self.mask & lines[:, None]
        count = cells.sum(axis=1 if self.panel else 0)
        bars = count > 0
        if not bars.any():
            return None
        product = np.where(cells, x.values * self.labels[kind], 0.0)
        by_bar = product.sum(axis=1 if self.panel else 0)[bars] / count[bars]
        measured = block_error(by_bar, HORIZONS * dataset.horizon)
        if measured is None:
            return None
        error, freedom = measured
        # A feature that varies on few bars earns on few; one that is always right, without risk.
        share, spread = len(by_bar) / len(self.bars), max(float(by_bar.std(ddof=1)), LEAST_SPREAD)
        per_ic = sqrt(share * dataset.periods_per_year / dataset.horizon) / spread
        ic = float(by_bar.mean())
        cost = dataset.cost_bps * 1e-4 * self._moved(x.values, cells, dataset.horizon)
        return Relation(ic, error, freedom, per_ic, cost / self.spread, by_bar, self.bars[bars])

    def _moved(self, values: np.ndarray, cells: np.ndarray, horizon: int) -> float:
        """Returns the mean |change| over a horizon of a standardised feature; 0 where unknown."""
        if not self.panel:
            values, cells = values.T, cells.T
        both = cells[horizon:] & cells[:-horizon]
        change = np.abs(values[horizon:] - values[:-horizon])
        return float(change[both].mean()) if both.any() else 0.0


def block_error(values: np.ndarray, least: int) -> tuple[float, int] | None:
    """Returns the standard error of a mean, from the means of blocks, and its degrees of freedom.

    Neighbours within a block may depend on each other (non-overlapping batch means; Schmeiser
    1982). It is no smaller than that of independent values.

    Args:
        values: [V] in order.
        least: values of a block, at least.

    Returns:
        None for fewer than eight blocks, or values that are all the same.
    """
    length = max(least, ceil(len(values) / BLOCKS))
    blocks = len(values) // length
    if blocks < FEWEST_BLOCKS:
        return None
    means = values[-blocks * length :].reshape(blocks, length).mean(axis=1)
    apart = values.std(ddof=1) / sqrt(len(values))
    error = max(float(means.std(ddof=1)) / sqrt(blocks), float(apart))
    return None if error <= 0 else (error, blocks - 1)


def change_point(values: np.ndarray) -> int | None:
    """Returns the index from which on the mean is another one, by least squares (Bai 1994).

    Args:
        values: [V] in order.

    Returns:
        None for too few values.
    """
    count = len(values)
    before = np.arange(EDGE, count - EDGE + 1)
    if not len(before):
        return None
    total = np.cumsum(values - values.mean())[before - 1]
    return int(before[np.argmax(total**2 / (before * (count - before)))])


def _why(before: Relation | None, now: Relation | None, chance: float) -> tuple[str | None, float]:
    """Returns why a feature is suspicious, None: it is not, and by how many standard errors."""
    if before is None or now is None:
        one = before or now
        if one is None or not _too_good(one, chance):
            return None, 0.0
        return "too_good", abs(one.ic) / one.error
    gap, error = abs(now.ic - before.ic), hypot(before.error, now.error)
    freedom = min(before.freedom, now.freedom)
    differ = gap > _quantile(freedom, chance) * error
    worth = abs(now.net - before.net) * min(before.per_ic, now.per_ic)
    if not differ or worth < MATERIAL:
        both = before.with_later(now)
        return ("too_good" if _too_good(both, chance) else None), abs(both.ic) / both.error
    sure = all(abs(one.ic) > SURE * one.error for one in (before, now))
    if sure and before.ic * now.ic < 0:
        return "turned", gap / error
    good = [_too_good(one, chance) for one in (before, now)]
    if all(good):
        return "too_good", gap / error
    if any(good):
        return ("too_good_from" if good[1] else "too_good_until"), gap / error
    return "changed", gap / error


def _too_good(one: Relation, chance: float) -> bool:
    """Says whether an IC implies more than is believed, and differs from 0 beyond doubt."""
    beyond = one.sharpe - ERRORS * one.error * one.per_ic > BELIEVED
    return beyond and abs(one.ic) > _quantile(one.freedom, chance) * one.error


def _since(before: Relation | None, now: Relation | None, dataset: Dataset) -> str | None:
    """Returns the date from which on the IC is another one."""
    if before is None or now is None:
        return None
    at = change_point(np.concatenate([before.by_bar, now.by_bar]))
    bars = np.concatenate([before.bars, now.bars])
    return None if at is None else f"{dataset.timestamps[bars[at]]:.10}"


def _quantile(freedom: int, chance: float) -> float:
    """Returns the two-sided quantile of Student's t."""
    return float(stdtrit(freedom, 1.0 - chance / 2))


def _record(
    name: str, kind: str, why: str, before: Relation | None, now: Relation | None, since: str | None
) -> dict[str, Any]:
    """Returns what `run.json` holds of a suspicious feature."""
    return {
        "feature": name,
        "why": why,
        "kind": kind,
        "train": None if before is None else before.record(),
        "valid": None if now is None else now.record(),
        "since": since,
        "warning": _warning(name, kind, why, before, now, since),
    }


def _warning(
    name: str, kind: str, why: str, before: Relation | None, now: Relation | None, since: str | None
) -> str:
    """Returns in one line what is suspicious."""
    known = [(one, words) for one, words in ((before, "training"), (now, "validation")) if one]
    ics = " and ".join(f"{one.ic:.3f} in {words}" for one, words in known).replace("-", "−")
    when = f"at about {since}"
    if why in ("turned", "changed"):
        held = before is not None and now is not None and 0 < before.ic / now.ic < 1
        so = (
            "it is stronger there, as what leaks from then on would be"
            if held
            else "what is learnt of it in training does not hold in validation"
        )
        return f"feature {name!r}: its relation with the label {why} {when}: {kind} {ics}; {so}"
    if why != "too_good":
        when = f" from about {since} on" if why == "too_good_from" else f" until about {since}"
    else:
        when = ""
    best = max(one.sharpe for one, _ in known)
    implied = f"of {best:.1f}" if best < FAR else f"above {FAR:.0f}"
    return (
        f"feature {name!r} is too good to be true{when}: {kind} {ics}, which implies a Sharpe "
        f"ratio {implied} from it alone (honest ones stay below {BELIEVED:g}): does it know "
        "the future?"
    )
