"""Stochastic gradient descent with momentum, as `torch.optim.SGD` has it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.hyperparameter import entry_name
from trainable.optimizers.base import (
    Factors,
    NamedParameters,
    clip_field,
    column,
    decay_rate_field,
    head_lr_field,
    lr_field,
    param_groups,
    weight_decay_field,
)


@dataclass(frozen=True)
class SgdConfig:
    """The rates of gradient descent."""

    name: str = entry_name("sgd")
    lr: float = lr_field()
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field()
    clip: float = clip_field()
    momentum: float = decay_rate_field(0.9, "share of the last step kept in the next")


def build(parameters: NamedParameters, config: SgdConfig) -> torch.optim.Optimizer:
    """Returns torch's SGD for one model."""
    return torch.optim.SGD(
        param_groups(parameters, config),
        lr=config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
    )


def plan(
    configs: Sequence[SgdConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`."""
    return {
        "size": -lr,
        "coupled": np.broadcast_to(column(configs, "weight_decay"), lr.shape),
        "momentum": np.broadcast_to(column(configs, "momentum"), lr.shape),
    }


def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
    """Takes one step; weight decay is added to the gradient before the momentum."""
    (buffer,) = buffers
    buffer.mul_(factors["momentum"]).add_(g).add_(torch.mul(p, factors["coupled"], out=g))
    p.add_(torch.mul(buffer, factors["size"], out=g))
