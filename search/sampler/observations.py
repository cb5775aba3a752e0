"""What the sampler knows of a trial, and which of many ended trials it learns from."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution
from optuna.trial import TrialState
from scipy.special import ndtri

from trainable.stop_reasons import NUMERIC_FAILURES

# TPE learns from at most about so many told trials: the best half and the newest half. What the
# limit changes of the true Sharpe ratio of the chosen trial (`benchmarks.bound`, 2,400 noisy
# trials, 10 seeds), 8 parameters: +0.08 ± 0.05 at 1,000, −0.02 ± 0.06 at 500, −0.01 ± 0.05 at 250;
# 12 parameters: −0.10 ± 0.09, −0.07 ± 0.06, −0.13 ± 0.06.
TOLD_LIMIT = 1000
TOLD_STEP = 250  # the selection is made again after so many more told trials

Rank = tuple[int, int, float, int]


@dataclass
class Observation:
    """A searched trial as the sampler knows it.

    Attributes:
        number: of the trial.
        params: the suggested values, without constants.
        distributions: of the suggested values, by the same names.
        reports: the objective by epoch, finite values only.
        state: COMPLETE, PRUNED or FAIL; None while the trial is in flight.
        reason: the stop reason; None while the trial is in flight.
        value: the objective at the end of a COMPLETE trial; None where undefined.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    reports: dict[int, float] = field(default_factory=dict)
    state: str | None = None
    reason: str | None = None
    value: float | None = None


def state_for_tpe(ended: Observation) -> TrialState | None:
    """Returns the state that TPE treats an ended trial as; None where TPE must ignore the trial.

    A numeric failure is PRUNED (and ranked last). An infrastructure failure, a trial out of time
    before its first report, and one that completed with an undefined objective say nothing about
    their parameters.
    """
    if ended.reason in NUMERIC_FAILURES:
        return TrialState.PRUNED
    if ended.state == "COMPLETE":
        return TrialState.COMPLETE if ended.value is not None else None
    if ended.state == "PRUNED" and (ended.reports or ended.reason != "time_budget"):
        return TrialState.PRUNED
    return None


def select_told(told: Sequence[Observation]) -> list[Observation]:
    """Returns the told trials that TPE learns from: all of few, the best and newest of many.

    Args:
        told: all trials that TPE does not ignore, in the order in which they ended.

    Returns:
        At most `TOLD_LIMIT + TOLD_STEP - 1` trials: the best and the newest `TOLD_LIMIT / 2` of
        those told before the selection was last made, and all trials told since.
    """
    if len(told) < TOLD_LIMIT:
        return list(told)
    made_at = len(told) - (len(told) - TOLD_LIMIT) % TOLD_STEP
    newest = told[made_at - TOLD_LIMIT // 2 : made_at]
    older = sorted(told[: made_at - TOLD_LIMIT // 2], key=rank)
    return [*older[: TOLD_LIMIT // 2], *newest, *told[made_at:]]


def is_selection_due(n_told: int) -> bool:
    """Says whether the selection is made again when so many trials were told."""
    return n_told >= TOLD_LIMIT and (n_told - TOLD_LIMIT) % TOLD_STEP == 0


def rank(ended: Observation) -> Rank:
    """Returns a sort key that orders trials as TPE does, the best first.

    Complete trials by value, then pruned ones by last epoch and value, then numeric failures.
    """
    if ended.reason in NUMERIC_FAILURES:
        return 2, 0, 0.0, ended.number
    if ended.value is not None:
        return 0, 0, -ended.value, ended.number
    if not ended.reports:
        return 1, 0, 0.0, ended.number
    epoch = max(ended.reports)
    return 1, -epoch, -ended.reports[epoch], ended.number


def normal_scores(told: Sequence[Observation]) -> list[float]:
    """Returns a score of each trial, higher is better, in the order of preference of `rank`.

    The scores are those quantiles of a standard normal that the ranks stand at, so they need no
    common scale of objectives after one epoch and after many. Numeric failures have one score, as
    have pruned trials that never reported.
    """
    if not told:
        return []
    preference = {key: place for place, key in enumerate(sorted({rank(one)[:3] for one in told}))}
    places = [preference[rank(one)[:3]] for one in told]
    alike = np.bincount(places)
    no_worse = np.cumsum(alike[::-1])[::-1]  # scipy.stats has ranks, and takes half a second
    ranks = no_worse - (alike - 1) / 2
    return ndtri((ranks[places] - 0.5) / len(told)).tolist()
