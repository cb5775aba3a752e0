"""The table of executors, and which one a configuration gets."""

from collections.abc import Callable

import torch

from trainable.config import TrialConfig
from trainable.executors.base import Executor
from trainable.executors.batched import BatchedExecutor
from trainable.executors.sequential import SequentialExecutor
from trainable.executors.solo import SoloExecutor
from trainable.models import MODELS, InputShape, count_parameters
from trainable.optimizers import OPTIMIZERS

EXECUTORS: dict[str, Callable[..., Executor]] = {
    "cohort": BatchedExecutor,
    "serial": SequentialExecutor,
    "solo": SoloExecutor,
}
LARGE = 2**17  # parameters from which a CPU gains nothing from batching


def executor_for(config: TrialConfig, shape: InputShape, device: torch.device | str) -> str:
    """Returns `solo` for models and optimizers without a batched form, `serial` for large models.

    All others train in a `cohort`.

    Args:
        config: of any member.
        shape: of an input.
        device: where it trains.
    """
    if MODELS[config.model.name].batched is None or shape.outputs > 1:
        return "solo"
    if not OPTIMIZERS[config.optimizer.name].has_batched_form:
        return "solo"
    on_cpu = torch.device(device).type == "cpu"
    return "serial" if on_cpu and is_large(config, shape) else "cohort"


def is_large(config: TrialConfig, shape: InputShape) -> bool:
    """Returns whether a model is so large that batching gains nothing on a CPU."""
    return count_parameters(config.model, shape) >= LARGE


def state_form(executor: str) -> str:
    """Returns the form of an executor's states: `cohort` and `serial` read each other's."""
    return "cohort" if executor == "serial" else executor


def why_alone(config: TrialConfig, shape: InputShape, device: torch.device | str) -> str | None:
    """Returns why a configuration trains as a cohort of one; None where it does not."""
    batched = MODELS[config.model.name].batched is not None
    lacking = config.model.name if not batched else f"optimizer {config.optimizer.name}"
    return {
        "cohort": None,
        "serial": f"{config.model} is too large to gain from a cohort on a CPU",
        "solo": f"{lacking} has no batched form",
    }[executor_for(config, shape, device)]
