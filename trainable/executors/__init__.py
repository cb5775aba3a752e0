"""The table of executors, and which one a configuration gets."""

from collections.abc import Callable

import torch

from trainable.config import TrialConfig
from trainable.executors.base import Executor
from trainable.executors.batched import CohortEngine
from trainable.executors.sequential import SerialEngine
from trainable.executors.solo import SoloEngine
from trainable.models import BATCHED, count_parameters

EXECUTORS: dict[str, Callable[..., Executor]] = {
    "cohort": CohortEngine,
    "serial": SerialEngine,
    "solo": SoloEngine,
}
LARGE = 2**17  # parameters from which a CPU gains nothing from batching


def executor_for(config: TrialConfig, inputs: int, device: torch.device | str) -> str:
    """Returns `solo` for models without a batched form, `serial` for large ones, else `cohort`.

    Args:
        config: of any member.
        inputs: values of one input.
        device: where it trains.
    """
    if config.model.name not in BATCHED:
        return "solo"
    on_cpu = torch.device(device).type == "cpu"
    return "serial" if on_cpu and is_large(config, inputs) else "cohort"


def is_large(config: TrialConfig, inputs: int) -> bool:
    """Says whether a model is so large that its steps take long."""
    return count_parameters(config.model, inputs) >= LARGE


def state_form(executor: str) -> str:
    """Returns the form of an executor's states: `cohort` and `serial` go on from each other's."""
    return "cohort" if executor == "serial" else executor


def why_alone(config: TrialConfig, inputs: int, device: torch.device | str) -> str | None:
    """Returns why a configuration trains as a cohort of one; None where it does not."""
    model = config.model
    return {
        "cohort": None,
        "serial": f"{model.name} {model.hidden_dims} is too large to gain from a cohort on a CPU",
        "solo": f"{model.name} has no batched form",
    }[executor_for(config, inputs, device)]
