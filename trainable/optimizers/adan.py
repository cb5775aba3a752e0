"""Adan: Xie et al. (2024), algorithm 1, with decoupled weight decay.

Adam with the difference of successive gradients as Nesterov's look ahead.
"""

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
    spread_column,
    weight_decay_field,
)

EPS = 1e-8


@dataclass(frozen=True)
class AdanConfig:
    """Adan's rates; `beta1` … `beta3` are the shares kept, 1 − β of the paper."""

    name: str = entry_name("adan")
    lr: float = lr_field(3e-4)
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field(2e-2)
    clip: float = clip_field()
    beta1: float = decay_rate_field(0.98, "share of the mean gradient kept at each step")
    beta2: float = decay_rate_field(0.92, "share of the mean difference of gradients kept")
    beta3: float = decay_rate_field(0.99, "share of the mean square of gradient and difference")


def build(parameters: NamedParameters, config: AdanConfig) -> torch.optim.Optimizer:
    """Returns Adan for one model."""
    from pytorch_optimizer import Adan  # slow to import, and rarely needed

    return Adan(
        param_groups(parameters, config),
        lr=config.lr,
        betas=(config.beta1, config.beta2, config.beta3),
        eps=EPS,
        weight_decay=config.weight_decay,
        weight_decouple=True,
    )


def plan(
    configs: Sequence[AdanConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`."""
    beta1, beta2, beta3 = (column(configs, name) for name in ("beta1", "beta2", "beta3"))
    root = np.sqrt(1 - beta3**applied)
    return {
        "decay": 1 - lr * column(configs, "weight_decay"),
        "size": -lr * root / (1 - beta1**applied),
        "size_ahead": -lr * root * beta2 / (1 - beta2**applied),
        "eps": EPS * root,
        "seen": np.broadcast_to(applied > 1, lr.shape).astype(np.float64),
        "ahead": spread_column(configs, "beta2", lr),
        "first": np.broadcast_to(1 - beta1, lr.shape),
        "second": np.broadcast_to(1 - beta2, lr.shape),
        "third": np.broadcast_to(1 - beta3, lr.shape),
    }


def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
    """Takes one step; a first gradient differs from none before it by nothing."""
    m, ahead, v, last = buffers
    difference = torch.sub(g, last).mul_(factors["seen"])
    last.copy_(g)
    m.lerp_(g, factors["first"])
    ahead.lerp_(difference, factors["second"])
    g.addcmul_(difference, factors["ahead"])
    v.lerp_(torch.mul(g, g, out=g), factors["third"])
    divisor = torch.sqrt(v, out=g).add_(factors["eps"])
    torch.mul(ahead, factors["size_ahead"], out=difference).addcmul_(m, factors["size"])
    p.mul_(factors["decay"]).add_(difference.div_(divisor))
