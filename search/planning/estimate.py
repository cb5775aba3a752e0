"""How long a search will take: the steps it expects, times what a step takes here."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from search.planning.plan import Plan
from search.scheduling.cohorts import sizes
from trainable.config import TrialConfig, shape_key
from trainable.data.dataset.windows import make_windows
from trainable.executors.calibration import best_size, step_seconds

STEPS = 20  # measured; one more comes first, uncounted


@dataclass(frozen=True)
class Estimate:
    """Expected work and time.

    Attributes:
        epochs: of all trials together, finalists' seeds included.
        steps: optimizer steps of all trials together.
        step_us: of one member, in a cohort as the search forms them.
        seconds: on so many workers.
    """

    epochs: float
    steps: float
    step_us: float
    seconds: float


def expected_epochs(
    levels: Sequence[int], trials: int, reduction_factor: int, finalist_seeds: int
) -> float:
    """Returns the epochs that a search trains if each rung passes one in `reduction_factor`."""
    epochs, alive, before = 0.0, float(trials), 0
    for i, level in enumerate(levels):
        epochs += alive * (level - before)
        before = level
        if i < len(levels) - 1:
            alive = max(1.0, alive / reduction_factor)
    return epochs + alive * (finalist_seeds - 1) * levels[-1]


def estimate(plan: Plan, slots: int) -> Estimate:
    """Measures a few steps of the space's most frequent shape and returns what follows."""
    settings = plan.settings
    epochs = expected_epochs(
        plan.levels, settings.trials, settings.reduction_factor, settings.finalist_seeds
    )
    by_shape: dict[object, list[TrialConfig]] = {}
    for config in plan.facts.configs:
        by_shape.setdefault(shape_key(config), []).append(config)
    configs = max(by_shape.values(), key=len)
    most = sizes(settings.trials, slots, settings.cohort_size).members
    view = make_windows(plan.dataset, configs[0].data)
    threads = torch.get_num_threads()
    torch.set_num_threads(max(1, int(settings.cpus_per_trial)))  # as the workers do
    try:
        members = best_size(configs[0], view, "cpu", most)
        cohort = [configs[i % len(configs)] for i in range(members)]
        step = step_seconds(cohort, view, "cpu", STEPS)
    finally:
        torch.set_num_threads(threads)
    steps = epochs * configs[0].train.batches(len(view.train_rows))
    return Estimate(epochs, steps, step * 1e6, steps * step / slots)
