"""What a running search tells Prometheus: each metric's name, meaning and value. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from search.monitor.progress import Snapshot
from search.scheduling.capacity import Capacity
from search.scheduling.trial_progress import ProgressTable
from trainable.stop_reasons import STOP_REASONS

RUN = "run"  # the tag that every metric has
METRICS = {
    "asharpe_trials": "Searched configurations that have ended, by state and stop reason.",
    "asharpe_trials_wanted": "Searched configurations that the search was asked for.",
    "asharpe_running": "Configurations in training; seeds of finalists, and what is finished on "
    "the side, included.",
    "asharpe_seeds": "Further seeds of finalists that were begun.",
    "asharpe_seeds_ended": "Those of them that have ended.",
    "asharpe_seconds_left": "Seconds that the search is expected to take from now on.",
    "asharpe_sharpe_best": "Annual Sharpe ratio, net of costs, of the configuration that the "
    "ranking would put first now: the mean over its seeds that have ended.",
    "asharpe_sharpe_best_expected": "What of it is to be expected on other days: the mean of all "
    "trials, and the share of its lead that is signal.",
    "asharpe_sharpe_best_seeds": "Seeds that the best is the mean of; one seed is provisional.",
    "asharpe_sharpe_median": "Median Sharpe ratio of the searched configurations, each at its "
    "epoch of lowest validation loss.",
    "asharpe_sharpe_luck": "Luck line: the annual Sharpe ratio that as many useless "
    "configurations would reach on as many days.",
    "asharpe_steps": "Optimizer steps that this process has heard of, of all members together.",
    "asharpe_failed_steps": "Those of them with a loss, gradient or weight that is not finite.",
    "asharpe_slots": "Workers that the machines hold at once.",
    "asharpe_slots_busy": "Workers that have members.",
    "asharpe_cohort_occupancy": "Members of a busy worker as a share of the members that it "
    "is meant to have; above 1 while seeds are shared out.",
}
COUNTERS = ("asharpe_steps", "asharpe_failed_steps")  # they only grow; Prometheus adds `_total`
BY_REASON = {"asharpe_trials": ("state", "reason")}  # metrics with more tags than the run


class Figure(NamedTuple):
    """One value of one metric; `tags` are those beside the run."""

    name: str
    value: float
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Moment:
    """A search at one moment.

    Attributes:
        shown: what the live display shows.
        progress: of the trials.
        running: the numbers that train, by slot.
        capacity: of the machines.
    """

    shown: Snapshot
    progress: ProgressTable
    running: Mapping[int, set[int]]
    capacity: Capacity


def figures(moment: Moment) -> list[Figure]:
    """Returns every figure that is known: none of a metric that is still undefined."""
    shown, progress = moment.shown, moment.progress
    busy = [slot for slot, members in moment.running.items() if members]
    members = sum(len(moment.running[slot]) for slot in busy)
    values = {
        "asharpe_trials_wanted": shown.total,
        "asharpe_running": members,
        "asharpe_seeds": shown.seeds,
        "asharpe_seeds_ended": shown.seeds_ended,
        "asharpe_seconds_left": shown.left.expected if shown.left else None,
        "asharpe_sharpe_best": shown.best.sharpe if shown.best else None,
        "asharpe_sharpe_best_expected": shown.best.expected if shown.best else None,
        "asharpe_sharpe_best_seeds": shown.best.seeds if shown.best else None,
        "asharpe_sharpe_median": progress.median,
        "asharpe_sharpe_luck": shown.luck,
        "asharpe_steps": progress.steps,
        "asharpe_failed_steps": progress.failed_steps,
        "asharpe_slots": moment.capacity.slots,
        "asharpe_slots_busy": len(busy),
        "asharpe_cohort_occupancy": members / (len(busy) * moment.capacity.members)
        if busy
        else 0.0,
    }
    found = [
        Figure("asharpe_trials", count, {"state": state_of(reason), "reason": reason})
        for reason, count in shown.reasons.items()
    ]
    found += [Figure(name, value, {}) for name, value in values.items() if value is not None]
    return [figure._replace(value=float(figure.value)) for figure in found]


def state_of(reason: str) -> str:
    """Returns the state of a trial that ended for this reason."""
    return STOP_REASONS[reason].state
