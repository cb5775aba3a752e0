"""Lion: Chen et al. (2023), algorithm 2; steps by the sign of the mean gradient."""

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
class LionConfig:
    """Lion's rates."""

    name: str = entry_name("lion")
    lr: float = lr_field()
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field()
    clip: float = clip_field()
    beta1: float = decay_rate_field(0.9, "share of the mean gradient in the step's direction")
    beta2: float = decay_rate_field(0.999, "share of the mean gradient kept at each step")


def build(parameters: NamedParameters, config: LionConfig) -> torch.optim.Optimizer:
    """Returns Lion for one model."""
    from pytorch_optimizer import Lion  # slow to import, and rarely needed

    return Lion(
        param_groups(parameters, config),
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        weight_decouple=True,
    )


def plan(
    configs: Sequence[LionConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`."""
    return {
        "decay": 1 - lr * column(configs, "weight_decay"),
        "size": -lr,
        "first": np.broadcast_to(1 - column(configs, "beta1"), lr.shape),
        "second": np.broadcast_to(1 - column(configs, "beta2"), lr.shape),
    }


def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
    """Takes one step."""
    (m,) = buffers
    direction = m.lerp(g, factors["first"]).sign_()
    p.mul_(factors["decay"]).add_(direction.mul_(factors["size"]))
    m.lerp_(g, factors["second"])
