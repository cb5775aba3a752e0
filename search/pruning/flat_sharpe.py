"""Has a trial's Sharpe ratio stopped improving? A test on paired returns decides, not the curve.

A single Sharpe ratio is very uncertain: on five years of days its standard error is 0.45. But two
epochs of one training hold nearly the same positions, so their *difference* is known ten times
better. A trial is flat only if even the upper confidence bound of that difference is small.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from analysis.statistics.paired_sharpe import sharpe_difference
from search.pruning.history import Epoch, mean_of_finite, mean_returns
from search.pruning.verdict import Verdict


@dataclass(frozen=True)
class FlatRule:
    """When a trial counts as flat.

    Attributes:
        window: epochs over which the improvement is measured, by default a tenth of the training.
        margin: improvement over the window that would matter, in annual Sharpe.
        confidence: level of the one-sided upper bound of the improvement.
        ic_margin: rise of the information coefficient over the window that counts as none; 0.002
            is 0.1 annual Sharpe for ten symbols a day (IC × √(symbols × days a year)).
        loss_margin: fall of the validation loss, relative, that counts as none where it is the
            objective; 5e-4 is the gain of an IC of 0.022.
        smoothing: epochs averaged at either end, as in the objective. The jitter of single epochs
            would only widen the bound.
        streak: number of epochs in a row that must be flat.
        patience: no trial is flat before so many epochs have passed since its validation loss
            last improved, by default a fifth of the training. The loss is less noisy than the
            Sharpe ratio: with it one flat epoch is enough, and one stop in 45 is false instead of
            one in 15 (`benchmarks.truth.flat`).
        min_delta: fall of the validation loss, relative, that counts as an improvement; an IC of
            0.01 is worth as much.
        minimum_days: with fewer days there is no verdict, since the error itself is not known.
    """

    window: int = 5
    margin: float = 0.1
    confidence: float = 0.9
    ic_margin: float = 0.002
    loss_margin: float = 5e-4
    smoothing: int = 3
    streak: int = 1
    patience: int = 10
    min_delta: float = 1e-4
    minimum_days: int = 60

    def __post_init__(self) -> None:
        if self.window < 1 or self.smoothing < 1 or self.streak < 1:
            raise ValueError(f"window, smoothing and streak are at least 1: {self}")

    @property
    def epochs(self) -> int:
        """Number of epochs of returns that one test needs."""
        return self.window + self.smoothing


def default_rule(epochs: int) -> FlatRule:
    """Returns the rule for a training of `epochs` epochs."""
    return FlatRule(window=max(5, epochs // 10), patience=max(5, epochs // 5))


@dataclass(frozen=True)
class Flatness:
    """Whether a trial is flat, with the figures; `improvement` and errors are in annual Sharpe."""

    flat: bool
    evidence: dict[str, Any]


def flatness(
    before: np.ndarray,
    now: np.ndarray,
    ic_change: float | None,
    periods_per_year: float,
    rule: FlatRule,
) -> Flatness:
    """Tests whether the Sharpe ratio has improved by less than the margin.

    Args:
        before: [T] net simple returns at the window's start, one per period, decimal.
        now: [T] the same periods at the window's end.
        ic_change: information coefficient now minus before; None if undefined, then not flat.
        periods_per_year: number of periods (of the returns given) in a year.
        rule: margin, confidence and the other limits.

    Returns:
        Flat if the upper confidence bound of the Sharpe ratio's improvement is below the margin
        and the IC does not rise. Never flat if a Sharpe ratio is undefined or there are few days.
    """
    if before.shape != now.shape or now.ndim != 1:
        raise ValueError(f"returns must be paired, [T]: {before.shape} before, {now.shape} now")
    days = len(now)
    evidence: dict[str, Any] = {"days": days, "margin": rule.margin, "ic_change": ic_change}
    measured = None if days < rule.minimum_days else sharpe_difference(before, now)
    if measured is None or ic_change is None:
        return Flatness(False, evidence)
    scale = math.sqrt(periods_per_year)
    improvement, error = (scale * value for value in measured)
    upper = improvement + NormalDist().inv_cdf(rule.confidence) * error
    evidence |= {"improvement": improvement, "standard_error": error, "upper_bound": upper}
    return Flatness(upper < rule.margin and ic_change <= rule.ic_margin, evidence)


def plateau(
    epochs: Sequence[Epoch], objective: str, days_per_year: float, rule: FlatRule
) -> dict[str, Any] | None:
    """Returns the figures if Sharpe, IC and objective are flat over the newest window.

    Args:
        epochs: of one trial, the newest last.
        objective: `sharpe`, `rank_ic` or `val_loss`.
        days_per_year: number of days in a year, to annualise.
        rule: window, margin, confidence and the other limits.

    Returns:
        The evidence; None if the trial is not flat, or if a report at either end of the window is
        missing or has no position.
    """
    epochs = epochs[-rule.epochs :]
    if len(epochs) < rule.epochs or epochs[-1].epoch - epochs[0].epoch != rule.epochs - 1:
        return None
    first, last = epochs[: rule.smoothing], epochs[-rule.smoothing :]
    before, now = mean_returns(first), mean_returns(last)
    if before is None or now is None or not _objective_is_flat(objective, first, last, rule):
        return None
    result = flatness(before, now, _change("ic", first, last), days_per_year, rule)
    return {"window": rule.window, **result.evidence} if result.flat else None


def flat_verdict(
    figures: Mapping[str, Any],
    sharpe: float | None,
    value: float | None,
    median_epoch: int | None,
    median: float | None,
) -> Verdict:
    """Decides what becomes of a flat trial: `converged` if it is good, else `flat_sharpe`.

    Args:
        figures: the evidence that it is flat.
        sharpe: its annual Sharpe ratio at the epoch that would rank it.
        value: its objective there, higher is better.
        median_epoch: epoch of the highest rung that enough other trials have reached; None: there
            is none.
        median: median of what theirs were, each at the epoch that would have ranked it then. With
            no such rung there is no median that a good trial could miss.
    """
    evidence = {**figures, "sharpe": sharpe, "value": value}
    evidence |= {"median": median, "median_level": median_epoch}
    positive = sharpe is not None and sharpe > 0
    if positive and value is not None and (median is None or value > median):
        return Verdict("complete", "converged", evidence)
    return Verdict("prune", "flat_sharpe", evidence)


def _objective_is_flat(
    objective: str, first: Sequence[Epoch], last: Sequence[Epoch], rule: FlatRule
) -> bool:
    """Returns whether an objective other than the Sharpe has stopped improving, too."""
    if objective == "sharpe":
        return True
    change = _change(objective, first, last)
    if change is None:
        return False
    if objective == "rank_ic":
        return change <= rule.ic_margin
    loss = mean_of_finite(e.values["val_loss"] for e in first)
    return loss is not None and -change <= rule.loss_margin * abs(loss)


def _change(metric: str, first: Sequence[Epoch], last: Sequence[Epoch]) -> float | None:
    """Returns the mean of a metric at the end minus at the start; None if any report lacks it."""
    before, now = ([e.values[metric] for e in end] for end in (first, last))
    if None in before or None in now:
        return None
    start, end = mean_of_finite(before), mean_of_finite(now)
    return None if start is None or end is None else end - start
