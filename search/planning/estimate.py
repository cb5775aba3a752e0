"""Estimates how long a search takes: the expected steps, times the time of one step here."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from search.planning.plan import Plan
from search.scheduling.capacity import capacity_of
from trainable.config import TrialConfig, shape_key
from trainable.data.dataset.windows import make_windows
from trainable.executors.calibration import best_size, step_seconds

MEASURED_STEPS = 20  # after one step that is not counted


@dataclass(frozen=True)
class Estimate:
    """Expected work and time.

    Attributes:
        epochs: of all trials together, the seeds of finalists included.
        steps: optimizer steps of all trials together.
        step_us: microseconds of one step of one member, in a cohort as the search forms them.
        seconds: of the whole search.
    """

    epochs: float
    steps: float
    step_us: float
    seconds: float


def expected_epochs(
    rungs: Sequence[int], trials: int, reduction_factor: int, finalist_seeds: int
) -> float:
    """Returns the epochs of a search, all trials together, if one in `reduction_factor` passes.

    Args:
        rungs: their epochs, the last epoch included.
        trials: searched configurations.
        reduction_factor: one in this many trials passes a rung.
        finalist_seeds: seeds that each configuration of the last rung is trained with.
    """
    epochs, alive, before = 0.0, float(trials), 0
    for i, rung in enumerate(rungs):
        epochs += alive * (rung - before)
        before = rung
        if i < len(rungs) - 1:
            alive = max(1.0, alive / reduction_factor)
    return epochs + alive * (finalist_seeds - 1) * rungs[-1]


def estimate(plan: Plan, slots: int) -> Estimate:
    """Measures a few steps of the space's most frequent shape, and extrapolates.

    Args:
        plan: of the search.
        slots: number of workers that train at once.
    """
    settings = plan.settings
    epochs = expected_epochs(
        plan.rungs, settings.trials, settings.reduction_factor, settings.finalist_seeds
    )
    by_shape: dict[object, list[TrialConfig]] = {}
    for config in plan.facts.configs:
        by_shape.setdefault(shape_key(config), []).append(config)
    configs = max(by_shape.values(), key=len)
    most = capacity_of(settings.trials, slots, settings.cohort_size).members
    windows = make_windows(plan.dataset, configs[0].data)
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(settings.cpus_per_trial)))  # as the workers do
    try:
        members = best_size(configs[0], windows, "cpu", most)
        cohort = [configs[i % len(configs)] for i in range(members)]
        step = step_seconds(cohort, windows, "cpu", MEASURED_STEPS)
    finally:
        torch.set_num_threads(threads)
    steps = epochs * configs[0].train.batches(len(windows.train_rows))
    return Estimate(epochs, steps, step * 1e6, steps * step / slots)
