"""Sophia: Liu et al. (2023), algorithm 3, with the squared gradient as its diagonal Hessian.

The paper estimates the diagonal of the Hessian every ten steps by a second backward pass: through
the gradient (Sophia-H, `create_graph`), or from labels drawn from the model (Sophia-G, the
Gauss–Newton–Bartlett estimate B·ĝ²). A training step has one backward pass. So this is Sophia-G
with the true labels: h is the mean of c·g², which costs nothing, at every step. It is the empirical
Fisher diagonal. It equals the paper's estimate, in expectation, where the model's distribution of
labels is the true one; Kunstner et al. (2019) show how far that may be from the case. c is γ·B of
the paper, which tunes γ so that some of the updates are clipped at 1, but not all.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable.hyperparameter import entry_name, hyperparameter
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

EPS = 1e-12


@dataclass(frozen=True)
class SophiaConfig:
    """Sophia's rates, and the weight of its Hessian."""

    name: str = entry_name("sophia")
    lr: float = lr_field(1e-4)
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field(0.1)
    clip: float = clip_field()
    beta1: float = decay_rate_field(0.96, "share of the mean gradient kept at each step")
    beta2: float = decay_rate_field(0.99, "share of the mean Hessian kept at each step")
    hessian_scale: float = hyperparameter(
        1.0, "squared gradient → Hessian; less clips more updates", above=0, per_member=True
    )


def build(parameters: NamedParameters, config: SophiaConfig) -> torch.optim.Optimizer:
    """Returns Sophia for one model; a hook hands it its Hessian before each step."""
    from pytorch_optimizer import SophiaH  # slow to import, and rarely needed

    def with_hessian(
        optimizer: torch.optim.Optimizer, args: Any, kwargs: dict[str, Any]
    ) -> tuple[Any, dict[str, Any]]:
        everyone = [p for group in optimizer.param_groups for p in group["params"]]
        scale = config.hessian_scale
        hessian = [
            torch.zeros_like(p) if p.grad is None else p.grad.square().mul_(scale) for p in everyone
        ]
        return args, kwargs | {"hessian": hessian}

    sophia = SophiaH(
        param_groups(parameters, config),
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        p=1.0,
        eps=EPS,
    )
    sophia.register_step_pre_hook(with_hessian)
    return sophia


def plan(
    configs: Sequence[SophiaConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`."""
    return {
        "decay": 1 - lr * column(configs, "weight_decay"),
        "size": -lr,
        "scale": spread_column(configs, "hessian_scale", lr),
        "first": np.broadcast_to(1 - column(configs, "beta1"), lr.shape),
        "second": np.broadcast_to(1 - column(configs, "beta2"), lr.shape),
    }


def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
    """Takes one step."""
    m, h = buffers
    m.lerp_(g, factors["first"])
    h.lerp_(torch.mul(g, g, out=g).mul_(factors["scale"]), factors["second"])
    u = torch.div(m, torch.clamp(h, min=EPS, out=g), out=g).clamp_(-1.0, 1.0)
    p.mul_(factors["decay"]).addcmul_(u, factors["size"])
