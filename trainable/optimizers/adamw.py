"""AdamW: Loshchilov & Hutter (2019), algorithm 2, with decoupled weight decay."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim.adamw import adamw

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

EPS = 1e-8


@dataclass(frozen=True)
class AdamwConfig:
    """AdamW's rates."""

    name: str = entry_name("adamw")
    lr: float = lr_field()
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field()
    clip: float = clip_field()
    beta1: float = decay_rate_field(0.9, "share of the mean gradient kept at each step")
    beta2: float = decay_rate_field(0.999, "share of the mean squared gradient kept at each step")


def build(parameters: NamedParameters, config: AdamwConfig) -> torch.optim.Optimizer:
    """Returns torch's AdamW, in one pass over memory."""
    return torch.optim.AdamW(
        param_groups(parameters, config),
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=EPS,
        weight_decay=config.weight_decay,
        fused=True,
    )


def plan(
    configs: Sequence[AdamwConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`."""
    beta1, beta2 = column(configs, "beta1"), column(configs, "beta2")
    root = np.sqrt(1 - beta2**applied)
    return {
        "decay": 1 - lr * column(configs, "weight_decay"),
        "size": -lr * root / (1 - beta1**applied),
        "eps": EPS * root,
        "first": np.broadcast_to(1 - beta1, lr.shape),
        "second": np.broadcast_to(1 - beta2, lr.shape),
    }


def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
    """Takes one step; both bias corrections are in its size, and that of v in epsilon too."""
    m, v = buffers
    m.lerp_(g, factors["first"])
    v.lerp_(torch.mul(g, g, out=g), factors["second"])
    divisor = torch.sqrt(v, out=g).add_(factors["eps"])
    p.mul_(factors["decay"]).addcmul_(torch.div(m, divisor, out=g), factors["size"])


def single(
    p: Tensor, g: Tensor, buffers: Sequence[Tensor], config: AdamwConfig, lr: float, applied: int
) -> None:
    """Takes one step of one member with torch's fused kernel."""
    m, v = buffers
    adamw(
        [p],
        [g],
        [m],
        [v],
        [],
        [torch.tensor(applied - 1.0)],
        fused=True,
        amsgrad=False,
        beta1=config.beta1,
        beta2=config.beta2,
        lr=lr,
        weight_decay=config.weight_decay,
        eps=EPS,
        maximize=False,
    )
