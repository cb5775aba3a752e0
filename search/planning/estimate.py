"""Estimates how long a search takes: its expected steps and evaluated rows, timed here."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from search.monitor.time_left import Member, Outlook, after_s, time_left
from search.planning.earlier import Earlier
from search.planning.memory import machine_memory, needed
from search.planning.plan import Plan
from search.scheduling.capacity import capacity_of
from search.scheduling.cohorts import PROGRAM
from search.scheduling.regret_trials import lot
from search.scheduling.seed_race import CHALLENGERS, Finalist
from trainable.config import TrialConfig, shape_key
from trainable.data.dataset.epoch_length import epoch_steps
from trainable.data.dataset.windows import make_windows, train_eval_rows
from trainable.executors.calibration import best_size, row_seconds, step_seconds

START_S = 6.0  # for Ray and the workers to start, on two cores
SHARE = 0.05  # of the memory here: other programs have theirs, and a step takes several copies
MEASURED_STEPS = 20  # after one step that is not counted


@dataclass(frozen=True)
class Estimate:
    """Expected work and time.

    Attributes:
        epochs: of all trials together; seeds of finalists, and what is finished on the side,
            included.
        steps: optimizer steps of all trials together.
        step_us: microseconds of one step of one member, in a cohort as the search forms them;
            None: not measured, since the model is too large for that here.
        rows: evaluated, of all trials together.
        row_us: microseconds in which one member predicts one of them; None likewise.
        seconds: of the whole search, from its start to its ranking; None likewise.
    """

    epochs: float
    steps: float
    step_us: float | None
    rows: float
    row_us: float | None
    seconds: float | None


RACING = 0.4  # share of the seeds of finalists that do not lead which the race trains, as measured


def expected_epochs(
    rungs: Sequence[int],
    trials: int,
    reduction_factor: int,
    finalist_seeds: int,
    default: bool = False,
) -> float:
    """Returns the epochs of a search, all trials together, if one in `reduction_factor` passes.

    Args:
        rungs: their epochs, the last epoch included.
        trials: searched configurations.
        reduction_factor: one in this many trials passes a rung.
        finalist_seeds: seeds that a configuration of the last rung is trained with at most.
        default: whether one of the trials is the default, which no rung stops.
    """
    others = _epochs(rungs, [0] * (trials - default), reduction_factor, finalist_seeds, 1.0)
    return others + (_of_default(rungs, 0, finalist_seeds) if default else 0.0)


def expected_rest(
    earlier: Earlier,
    rungs: Sequence[int],
    trials: int,
    reduction_factor: int,
    finalist_seeds: int,
) -> float:
    """Returns the epochs that are left of a resumed search, as `expected_epochs` counts them.

    Args:
        earlier: what is there already; the rest of the arguments is that of the whole search.
        rungs: see there.
        trials: see there.
        reduction_factor: see there.
        finalist_seeds: see there.
    """
    begun = [*earlier.begun, *[0] * max(0, trials - earlier.trials)]
    of_default = 0.0
    if earlier.default is not None:
        begun.remove(earlier.default)
        of_default = _of_default(rungs, earlier.default, finalist_seeds)
    at_least = 0.0 if earlier.seeds else 1.0  # nobody need go on where somebody has finished
    searched = _epochs(rungs, begun, reduction_factor, finalist_seeds, at_least)
    missing = 0.0
    # Where one has all of its seeds the race is nearly over.
    if all(there < finalist_seeds - 1 for there in earlier.seeds):
        expected = _further_seeds(len(earlier.seeds), finalist_seeds)
        missing = max(0.0, expected - sum(earlier.seeds))
    begun = sum(max(0, rungs[-1] - done) for done in earlier.seeds_begun)
    return searched + of_default + begun + missing * rungs[-1]


def expected_stopped(rungs: Sequence[int], trials: int, reduction_factor: int) -> float:
    """Returns how many trials rungs stop, if one in `reduction_factor` passes.

    Those that are stopped as flat are not counted: how many that are depends on the data.

    Args:
        rungs: their epochs, the last epoch included.
        trials: searched configurations.
        reduction_factor: one in this many trials passes a rung.
    """
    alive = float(trials)
    for _ in rungs[:-1]:
        alive = max(min(1.0, alive), alive / reduction_factor)
    return trials - alive


def expected_aside(plan: Plan) -> tuple[float, float]:
    """Returns how many stopped trials are still to be finished on the side, and in what epochs.

    Of those that are stopped already it is known which are chosen.
    """
    settings, earlier = plan.settings, plan.earlier or Earlier({})
    left = max(0, plan.counted - sum(earlier.lengths.values()))
    count = settings.regret * expected_stopped(plan.rungs, left, _factor(plan))
    count += sum(lot(settings.seed, number) < settings.regret for number in earlier.stopped)
    begun = sum(max(0, plan.epochs - done) for done in earlier.regret_begun)
    return count + len(earlier.regret_begun), count * plan.epochs + begun


def _factor(plan: Plan) -> int:
    return plan.settings.reduction_factor if plan.rung_rule.cuts else 1


def _epochs(
    rungs: Sequence[int],
    begun: Sequence[int],
    reduction_factor: int,
    finalist_seeds: int,
    at_least: float,
) -> float:
    """Returns the expected epochs of trials that have so many epochs behind them.

    At least so many of them, if there are any, pass each rung.
    """
    epochs, alive, before = 0.0, 0.0, 0
    for i, rung in enumerate(rungs):
        last = i == len(rungs) - 1
        joining = [done for done in begun if before <= done and (done < rung or last)]
        epochs += alive * (rung - before) + sum(max(0, rung - done) for done in joining)
        alive += len(joining)
        before = rung
        if not last:
            alive = max(min(at_least, alive), alive / reduction_factor)
    return epochs + _further_seeds(alive, finalist_seeds) * rungs[-1]


def _of_default(rungs: Sequence[int], begun: int, finalist_seeds: int) -> float:
    """Returns the epochs of the default, with so many behind it, and of its further seeds."""
    return max(0, rungs[-1] - begun) + (finalist_seeds - 1) * rungs[-1]


def _further_seeds(finalists: float, most: int) -> float:
    """Returns how many seeds are trained of so many finalists: all of one, some of the others."""
    others = min(RACING * max(0.0, finalists - 1.0), CHALLENGERS - 1)
    return (min(finalists, 1.0) + others) * (most - 1)


def _played(plan: Plan, slots: int, unit_s: float) -> float:
    """Returns the seconds in which a new search trains, its last trials and seeds alone included.

    Args:
        plan: of the search.
        slots: number of workers that train at once.
        unit_s: seconds that a member adds to an epoch of its cohort.
    """
    settings = plan.settings
    capacity = capacity_of(settings.trials, slots, settings.cohort_size)
    default = plan.default is not None
    outlook = Outlook(
        slots=((),) * slots,
        waiting=(Member(0, "default", number=0),) if default else (),
        unasked=settings.trials - default,
        in_flight=capacity.in_flight,
        members=capacity.members,
        epochs=plan.epochs,
        rungs=plan.rungs,
        reduction_factor=_factor(plan),
        finalists=(Finalist(0, (), begun=1, reference=True),) if default else (),
        finalist_seeds=settings.finalist_seeds,
        regret=settings.regret,
        unit_s=unit_s,
        batches=MEASURED_STEPS,
        budget_s=settings.time_budget_s,
    )
    found = time_left(outlook)
    return 0.0 if found is None else found.expected


def estimate(plan: Plan, slots: int) -> Estimate:
    """Measures a few steps and predictions of the space's most frequent shape, and extrapolates.

    Of a resumed search, what is left of it.

    Args:
        plan: of the search.
        slots: number of workers that train at once.
    """
    settings = plan.settings
    search = (plan.rungs, settings.trials, _factor(plan), settings.finalist_seeds)
    if plan.earlier is None:
        epochs = expected_epochs(*search, default=plan.default is not None)
    else:
        epochs = expected_rest(plan.earlier, *search)
    epochs += expected_aside(plan)[1]
    by_shape: dict[object, list[TrialConfig]] = {}
    for config in plan.facts.configs:
        by_shape.setdefault(shape_key(config), []).append(config)
    configs = max(by_shape.values(), key=len)
    steps = epochs * epoch_steps(configs[0], plan.dataset)
    there = machine_memory()
    large = there is not None and needed(configs[0], plan.dataset)[1] > SHARE * there
    evaluated = len(plan.dataset.valid_rows) + len(train_eval_rows(plan.dataset))
    rows = epochs * evaluated
    if large or not steps:
        return Estimate(epochs, steps, None, rows, None, None)
    most = capacity_of(settings.trials, slots, settings.cohort_size).members
    windows = make_windows(plan.dataset, configs[0].data)
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(settings.cpus_per_trial)))  # as the workers do
    try:
        members = best_size(configs[0], windows, "cpu", most)
        cohort = [configs[i % len(configs)] for i in range(members)]
        step = step_seconds(cohort, windows, "cpu", MEASURED_STEPS)
        row = row_seconds(cohort, windows, "cpu")
    finally:
        torch.set_num_threads(threads)
    an_epoch = epoch_steps(configs[0], plan.dataset) * step + evaluated * row
    seconds = (steps * step + rows * row) / slots
    if plan.earlier is None:
        unit_s = an_epoch * members / (members + PROGRAM)
        seconds = _played(plan, slots, unit_s)
    seconds += START_S + after_s(plan.counted, len(plan.dataset.valid_rows))
    return Estimate(epochs, steps, step * 1e6, rows, row * 1e6, seconds)
