"""How many members of a shape are best trained as one cohort: measured where they will train."""

import math
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch

from trainable.cli.errors import look_up
from trainable.config import TrialConfig, input_shape
from trainable.data.dataset.windows import Windows
from trainable.executors import EXECUTORS, executor_for
from trainable.executors.base import Executor
from trainable.losses.base import Targets

STEPS = 5  # timed of each size; one more comes first
GAIN = 0.97  # a cohort twice the size must cost a member less than this share of a step


def best_size(config: TrialConfig, windows: Windows, device: torch.device | str, most: int) -> int:
    """Returns the cohort size at which a member's step takes least time.

    Sizes are doubled while that saves time. A small network gains from every further member; a few
    large ones fill the processor and its caches. Other work may disturb the measurement of one
    size, so only two in a row that gain nothing end it.

    Args:
        config: any member of the shape.
        windows: that it trains on.
        device: where it trains.
        most: the largest size wanted.
    """
    name = executor_for(config, input_shape(config, windows.groups), device)
    if name not in ("cohort", "vmapped"):
        return 1
    best, least, size, lost = 1, math.inf, min(2, most), 0
    while size <= most and lost < 2:
        seconds = step_seconds([config] * size, windows, device)
        if seconds > least * GAIN:
            lost += 1
        else:
            best, least, lost = size, seconds, 0
        size = 2 * size if 2 * size <= most or size == most else most
    return best


def step_seconds(
    configs: Sequence[TrialConfig], windows: Windows, device: torch.device | str, steps: int = STEPS
) -> float:
    """Returns the seconds of one optimizer step of one member, the median of `steps` tries."""
    first = configs[0]
    shape = input_shape(first, windows.groups)
    name = executor_for(first, shape, device)
    executor: Executor = look_up(EXECUTORS, name, "executor")(
        configs, shape, torch.device(device), windows.x.dtype
    )
    executor.plan(np.zeros((steps + 1, len(configs))))
    draw = torch.randint(len(windows.train_rows), (steps + 1, len(configs), first.train.batch_size))
    rows = windows.train_rows[draw.to(windows.train_rows.device)]
    times = []
    for i in range(steps + 1):
        begun = time.perf_counter()
        x = executor.prepare(windows.at(rows[i]))
        executor.step(i, x, Targets(windows.targets(rows[i])))  # waits for its losses
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:]) / len(configs)
