"""What an optimizer is: torch's for one model, and the same update on [K, P] for a cohort."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trainable.hyperparameter import hyperparameter

Factors = dict[str, Tensor]
Single = Callable[[Tensor, Tensor, Sequence[Tensor], Any, float, int], None]


class OptimizerConfig(Protocol):
    """What the configuration of every optimizer has."""

    @property
    def name(self) -> str:
        """Its entry in the table."""
        ...

    @property
    def lr(self) -> float:
        """Peak learning rate, which the schedule scales."""
        ...

    @property
    def clip(self) -> float:
        """Limit of the gradient's L2 norm."""
        ...


@dataclass(frozen=True)
class Optimizer:
    """An entry of the table of optimizers.

    Attributes:
        config: the class of its configuration.
        build: the torch optimizer of a single model.
        buffers: state tensors of the batched form, each [K, P].
        plan: (configs, lr [S, K], applied [S, K]) → named factors [S, K] of an epoch's S steps;
            `applied` counts the updates of a member up to and with this step.
        update: (parameters [K, P], gradients [K, P], buffers, factors of this step as [K, 1]);
            changes parameters and buffers in place, and overwrites the gradients.
        single: the same for one member on a CPU in one pass over memory, where torch has it:
            (parameters [P], gradients [P], buffers, config, lr, applied).
    """

    config: type[OptimizerConfig]
    build: Callable[[Iterable[Tensor], Any], torch.optim.Optimizer]
    buffers: int
    plan: Callable[[Sequence[Any], np.ndarray, np.ndarray], dict[str, np.ndarray]]
    update: Callable[[Tensor, Tensor, Sequence[Tensor], Factors], None]
    single: Single | None = None


def lr_field() -> Any:
    """Returns the field `lr`, which every optimizer has; too high a rate is not an error."""
    return hyperparameter(5e-5, "peak learning rate", above=0, works="1e-4", per_member=True)


def clip_field() -> Any:
    """Returns the field `clip`, which every optimizer has."""
    meaning = "limit of the gradient's L2 norm, per model"
    return hyperparameter(5.0, meaning, above=0, works="1.0", per_member=True)


def weight_decay_field() -> Any:
    """Returns the field `weight_decay`."""
    meaning = "decoupled (sgd: coupled, as torch does)"
    return hyperparameter(1e-3, meaning, low=0, high=100, works="1e-3", per_member=True)


def decay_rate_field(default: float, meaning: str) -> Any:
    """Returns the field of an exponential average: the share kept at each step."""
    return hyperparameter(default, meaning, low=0, high=0.99999, per_member=True)


def column(configs: Sequence[OptimizerConfig], name: str) -> np.ndarray:
    """Returns a field of K configurations, [K] float64."""
    return np.array([getattr(config, name) for config in configs], dtype=np.float64)
