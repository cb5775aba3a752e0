"""What the end of a trial teaches a sampler, and which of many trials it should see."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from optuna.distributions import BaseDistribution
from optuna.trial import TrialState

from trainable.stop_reasons import NUMERIC_FAILURES

# Told trials that TPE sees: the best half and the newest half. What the bound changes of the true
# Sharpe ratio of what is chosen (`benchmarks.bound`, 2,400 noisy trials, 10 seeds), 8 parameters:
# +0.08 ± 0.05 at 1,000, −0.02 ± 0.06 at 500, −0.01 ± 0.05 at 250; 12 parameters: −0.10 ± 0.09,
# −0.07 ± 0.06, −0.13 ± 0.06.
TOLD_LIMIT = 1000
TOLD_STEP = 250  # the view is trimmed once in so many

Rank = tuple[int, int, float, int]


@dataclass
class Observation:
    """A searched trial as far as the sampler is concerned.

    Attributes:
        number: of the durable trial.
        params: what was suggested, without constants.
        distributions: from what, by the same names.
        reports: the objective by epoch, finite values only.
        state: COMPLETE, PRUNED or FAIL; None while in flight.
        reason: the stop reason.
        value: the objective at the end of a COMPLETE trial; None where undefined.
    """

    number: int
    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    reports: dict[int, float] = field(default_factory=dict)
    state: str | None = None
    reason: str | None = None
    value: float | None = None


def lesson(seen: Observation) -> TrialState | None:
    """Returns what a finished trial is to TPE; None when it teaches nothing.

    A numeric failure is PRUNED (with a constraint). An infrastructure failure, a trial out of time
    before its first report, and one that completed with an undefined objective say nothing about
    their parameters.
    """
    if seen.reason in NUMERIC_FAILURES:
        return TrialState.PRUNED
    if seen.state == "COMPLETE":
        return TrialState.COMPLETE if seen.value is not None else None
    if seen.state == "PRUNED" and (seen.reports or seen.reason != "time_budget"):
        return TrialState.PRUNED
    return None


def view_of(told: Sequence[Observation]) -> list[Observation]:
    """Returns the told trials that TPE sees: all of few, the best and the newest of many.

    Args:
        told: all that teach, in the order in which they ended.

    Returns:
        At most `TOLD_LIMIT + TOLD_STEP - 1` of them: of those told before the last cut the best
        and the newest `TOLD_LIMIT / 2` each, and all that were told since.
    """
    if len(told) < TOLD_LIMIT:
        return list(told)
    cut = len(told) - (len(told) - TOLD_LIMIT) % TOLD_STEP
    newest = told[cut - TOLD_LIMIT // 2 : cut]
    older = sorted(told[: cut - TOLD_LIMIT // 2], key=rank)
    return [*older[: TOLD_LIMIT // 2], *newest, *told[cut:]]


def is_cut(told: int) -> bool:
    """Returns whether the view is cut anew when so many were told."""
    return told >= TOLD_LIMIT and (told - TOLD_LIMIT) % TOLD_STEP == 0


def rank(seen: Observation) -> Rank:
    """Orders as TPE does: complete by value, pruned by last epoch and value, numeric failures."""
    if seen.reason in NUMERIC_FAILURES:
        return 2, 0, 0.0, seen.number
    if seen.value is not None:
        return 0, 0, -seen.value, seen.number
    if not seen.reports:
        return 1, 0, 0.0, seen.number
    epoch = max(seen.reports)
    return 1, -epoch, -seen.reports[epoch], seen.number
