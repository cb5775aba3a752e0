"""The table of executors, and which one a configuration gets."""

from collections.abc import Callable
from functools import partial

import torch

from trainable.config import TrialConfig
from trainable.executors.base import Executor
from trainable.executors.batched import BatchedExecutor, by_hand
from trainable.executors.sequential import SequentialExecutor
from trainable.executors.solo import SoloExecutor
from trainable.executors.vmapped.fusion import fusion_of
from trainable.models import InputShape, count_parameters
from trainable.optimizers import OPTIMIZERS

EXECUTORS: dict[str, Callable[..., Executor]] = {
    "cohort": BatchedExecutor,
    "vmapped": partial(BatchedExecutor, vmapped=True),
    "serial": SequentialExecutor,
    "solo": SoloExecutor,
}
LARGE = 2**17  # parameters from which a CPU gains nothing from batching
WORK = 2**25  # multiplications of a forward of one batch, likewise


def executor_for(config: TrialConfig, shape: InputShape, device: torch.device | str) -> str:
    """Returns the executor of a configuration; it depends on nothing that is measured.

    `solo` for what cannot train as one program with others; `serial` for what gains nothing from
    it on a CPU; else `cohort` where that program is written by hand, and `vmapped` where not.

    Args:
        config: of any member.
        shape: of an input.
        device: where it trains.
    """
    if why_solo(config, shape) is not None:
        return "solo"
    if torch.device(device).type == "cpu" and fills_a_core(config, shape):
        return "serial"
    return "cohort" if by_hand(config, shape) else "vmapped"


def is_large(config: TrialConfig, shape: InputShape) -> bool:
    """Returns whether a model has so many parameters that batching gains nothing on a CPU."""
    return count_parameters(config.model, shape) >= LARGE


def fills_a_core(config: TrialConfig, shape: InputShape) -> bool:
    """Returns whether a step of one member fills a core of a CPU: batching gains nothing."""
    if is_large(config, shape):
        return True
    if by_hand(config, shape):
        return False
    rows = config.train.batch_size // config.train.accumulate
    return fusion_of(config.model, shape).work * rows >= WORK


def state_form(executor: str) -> str:
    """Returns the form of an executor's states: all but `solo` read each other's."""
    return "solo" if executor == "solo" else "cohort"


def why_not_fused(config: TrialConfig, shape: InputShape) -> str | None:
    """Returns why a model cannot train as one program with others, in plain words; None: it can.

    Args:
        config: of any member.
        shape: of an input.
    """
    return None if by_hand(config, shape) else fusion_of(config.model, shape).why


def why_alone(config: TrialConfig, shape: InputShape, device: torch.device | str) -> str | None:
    """Returns why a configuration trains as a cohort of one; None where it does not."""
    name = executor_for(config, shape, device)
    if name == "serial":
        return f"{config.model} is too large to gain from a cohort on a CPU"
    return why_solo(config, shape) if name == "solo" else None


def why_solo(config: TrialConfig, shape: InputShape) -> str | None:
    """Returns why no other executor than `solo` can train a configuration; None: others can."""
    why = why_not_fused(config, shape)
    if why is not None:
        return f"{config.model.name} trains alone: {why}"
    if not OPTIMIZERS[config.optimizer.name].has_batched_form:
        return f"optimizer {config.optimizer.name} has no batched form"
    return None
