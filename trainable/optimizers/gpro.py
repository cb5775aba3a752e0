"""GPro: Adam (Kingma & Ba 2015) whose update of each tensor is capped in its L2 norm.

Weight decay is coupled: it is added to the gradient. With u, Adam's update of a tensor, the tensor
changes by −lr · u · min(1, ρ / ‖u‖₂). So no tensor moves further than lr · ρ in a step, however
many numbers it has.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.optimizers.base import (
    Factors,
    NamedParameters,
    Update,
    clip_field,
    column,
    decay_rate_field,
    head_lr_field,
    lr_field,
    param_groups,
    spread_column,
    weight_decay_field,
)
from trainable.optimizers.layout import Layout, PartNorms

EPS = 1e-8


@dataclass(frozen=True)
class GProConfig:
    """Adam's rates, and the cap ρ."""

    name: str = entry_name("gpro")
    lr: float = lr_field(1e-3)
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field(1e-4)
    clip: float = clip_field()
    beta1: float = decay_rate_field(0.9, "share of the mean gradient kept at each step")
    beta2: float = decay_rate_field(0.999, "share of the mean squared gradient kept at each step")
    max_update_norm: float = hyperparameter(
        0.5, "limit of the L2 norm of each tensor's update, before lr", above=0, per_member=True
    )


class GPro(torch.optim.Optimizer):
    """GPro for one model."""

    def __init__(self, groups: list[dict[str, object]], config: GProConfig) -> None:
        self.config = config
        super().__init__(groups, {"lr": config.lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Takes one step; the gradients are left as they are."""
        config = self.config
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["step"] = 0
                    state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
                state["step"] += 1
                m, v, t = state["exp_avg"], state["exp_avg_sq"], state["step"]
                gradient = p.grad.add(p, alpha=config.weight_decay)
                m.lerp_(gradient, 1 - config.beta1)
                v.lerp_(gradient.square(), 1 - config.beta2)
                divisor = (v / (1 - config.beta2**t)).sqrt_().add_(EPS)
                u = m / (1 - config.beta1**t) / divisor
                norm = torch.linalg.vector_norm(u)
                share = (config.max_update_norm / norm).clamp_(max=1.0)
                p.sub_(u.mul_(share.mul_(group["lr"])))


def build(parameters: NamedParameters, config: GProConfig) -> torch.optim.Optimizer:
    """Returns GPro for one model."""
    return GPro(param_groups(parameters, config), config)


def plan(
    configs: Sequence[GProConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`."""
    beta1, beta2 = column(configs, "beta1"), column(configs, "beta2")
    root = np.sqrt(1 - beta2**applied)
    return {
        "coupled": spread_column(configs, "weight_decay", lr),
        "direction": root / (1 - beta1**applied),
        "size": -lr,
        "eps": EPS * root,
        "first": np.broadcast_to(1 - beta1, lr.shape),
        "second": np.broadcast_to(1 - beta2, lr.shape),
        "cap": spread_column(configs, "max_update_norm", lr),
    }


def update_by_part(layout: Layout) -> Update:
    """Returns the update of models whose tensors lie like this."""
    parts = PartNorms(layout)

    def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
        m, v = buffers
        g.addcmul_(p, factors["coupled"])
        m.lerp_(g, factors["first"])
        v.lerp_(torch.mul(g, g, out=g), factors["second"])
        divisor = torch.sqrt(v, out=g).add_(factors["eps"])
        u = torch.div(m, divisor, out=g).mul_(factors["direction"])
        share = torch.div(factors["cap"], parts.norms(u)).clamp_(max=1.0).mul_(factors["size"])
        p.addcmul_(u, parts.spread(share, p.shape[1]))

    return update
