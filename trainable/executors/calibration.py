"""What a step and an evaluated row cost, and how many members are best trained as one cohort.

Measured where they will train.
"""

import math
import statistics
import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainable.cli.errors import look_up
from trainable.config import TrialConfig, batch_order, input_shape
from trainable.data.dataset.epoch_length import days_of_batch
from trainable.data.dataset.windows import Windows
from trainable.executors import EXECUTORS, executor_for
from trainable.executors.base import Executor, rows_at_once
from trainable.losses import LOSSES
from trainable.losses.base import RowFacts, Targets
from trainable.models import MODELS
from trainable.models.base import EDGE_FEATURES, Days

ENOUGH_S = 3.0  # of steps, after which no more are timed
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
    """Returns the seconds of one optimizer step of one member, the median of `steps` tries.

    The first one is not counted. Of slow steps there are fewer tries, one at least, which may be
    the first: a large network takes seconds for each.
    """
    first, executor = configs[0], _executor(configs, windows, device)
    executor.plan(np.zeros((steps + 1, len(configs))))
    symbols, size = 0, first.train.batch_size
    if batch_order(first) == "days":
        symbols = windows.symbols
        size = symbols * days_of_batch(size, symbols)
    days = random_days(first, (len(configs), size // max(1, symbols), symbols), windows.x)
    draw = torch.randint(len(windows.train_rows), (steps + 1, len(configs), size))
    rows = windows.train_rows[draw.to(windows.train_rows.device)]
    times: list[float] = []
    for i in range(steps + 1):
        if sum(times) > ENOUGH_S:
            break
        begun = time.perf_counter()
        x = executor.prepare(windows.at(rows[i]))
        targets = _targets(first, windows, rows[i], symbols)
        executor.step(i, x, targets, days)  # waits for its losses
        times.append(time.perf_counter() - begun)
    return statistics.median(times[1:] or times) / len(configs)


def row_seconds(
    configs: Sequence[TrialConfig], windows: Windows, device: torch.device | str
) -> float:
    """Returns the seconds in which one member predicts one row, as evaluation does; of two tries.

    The first one counts only where it takes seconds.
    """
    executor, size, days = _executor(configs, windows, device), rows_at_once(windows), None
    if MODELS[configs[0].model.name].batches == "days":
        size = windows.symbols
        shown = random_days(configs[0], (1, 1, size), windows.x)
        days = None if shown is None else shown.member(0)
    rows = windows.valid_rows[torch.arange(size) % len(windows.valid_rows)]
    taken = 0.0
    for _ in range(2):
        if taken > ENOUGH_S:
            break
        begun = time.perf_counter()
        executor.predict(windows.at(rows), days).sum().item()  # waits for a GPU
        taken = time.perf_counter() - begun
    return taken / size / len(configs)


def _executor(
    configs: Sequence[TrialConfig], windows: Windows, device: torch.device | str
) -> Executor:
    """Returns the executor that a search takes for them."""
    shape = input_shape(configs[0], windows.groups)
    name = executor_for(configs[0], shape, device)
    return look_up(EXECUTORS, name, "executor")(
        configs, shape, torch.device(device), windows.x.dtype
    )


def _targets(config: TrialConfig, windows: Windows, rows: Tensor, symbols: int) -> Targets:
    """Returns targets of rows in the form that the loss asks for; one horizon stands for all."""
    loss, y = LOSSES[config.loss.name], windows.targets(rows)
    if not symbols and not loss.needs_facts(config.loss):
        return Targets(y)
    horizons = loss.horizons(config.loss) or (1,)
    scale = torch.full((len(horizons),), windows.target_scale, dtype=y.dtype, device=y.device)
    facts = RowFacts(scale, y * scale[0], symbols, 1e-4, horizons)
    if len(horizons) > 1:
        y = y.unsqueeze(-1).repeat_interleave(len(horizons), -1)
    return Targets(y, torch.ones_like(y, dtype=torch.bool), facts)


def random_days(config: TrialConfig, shape: tuple[int, int, int], like: Tensor) -> Days | None:
    """Returns days of symbols that are connected at random; None: the model needs none.

    Args:
        config: of any member.
        shape: members, days and symbols.
        like: a tensor of the same device and type.
    """
    model, symbols = MODELS[config.model.name], shape[-1]
    if model.batches != "days":
        return None
    links = 1 + min(model.graph(config.model).neighbours, symbols - 1)
    there = torch.ones(*shape, links, dtype=torch.bool, device=like.device)
    neighbours = torch.randint(symbols, there.shape, device=like.device)
    edges = torch.rand(*there.shape, EDGE_FEATURES, dtype=like.dtype, device=like.device)
    return Days(there[..., 0], neighbours, edges, there)
