"""LAMB: You et al. (2020), algorithm 2: Adam with a trust ratio for each tensor.

The update of a tensor, weight decay included, is scaled to the norm of its weights, so that all
tensors change by about the same share; made for large batches.
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

EPS = 1e-6
LARGEST_NORM = 10.0  # of weights, in the trust ratio, as `pytorch_optimizer.Lamb` has it


@dataclass(frozen=True)
class LambConfig:
    """LAMB's rates."""

    name: str = entry_name("lamb")
    lr: float = lr_field(1e-3)
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field(1e-2)
    clip: float = clip_field()
    beta1: float = decay_rate_field(0.9, "share of the mean gradient kept at each step")
    beta2: float = decay_rate_field(0.999, "share of the mean squared gradient kept at each step")


def build(parameters: NamedParameters, config: LambConfig) -> torch.optim.Optimizer:
    """Returns LAMB for one model."""
    from pytorch_optimizer import Lamb  # slow to import, and rarely needed

    return Lamb(
        param_groups(parameters, config),
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=EPS,
        weight_decay=config.weight_decay,
        weight_decouple=False,
    )


def plan(
    configs: Sequence[LambConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`. Only the mean is bias-corrected."""
    beta1, beta2 = column(configs, "beta1"), column(configs, "beta2")
    return {
        "coupled": spread_column(configs, "weight_decay", lr),
        "size": -lr / (1 - beta1**applied),
        "first": np.broadcast_to(1 - beta1, lr.shape),
        "second": np.broadcast_to(1 - beta2, lr.shape),
    }


def update_by_part(layout: Layout) -> Update:
    """Returns the update of models whose tensors lie like this."""
    parts = PartNorms(layout)

    def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
        m, v = buffers
        m.lerp_(g, factors["first"])
        v.lerp_(torch.mul(g, g, out=g), factors["second"])
        u = torch.div(m, torch.sqrt(v, out=g).add_(EPS), out=g).addcmul_(p, factors["coupled"])
        weights, updates = parts.norms(p).clamp_(max=LARGEST_NORM), parts.norms(u)
        one = (weights == 0) | (updates == 0)
        ratio = (weights / updates.add_(EPS)).masked_fill_(one, 1.0).mul_(factors["size"])
        p.addcmul_(u, parts.spread(ratio, p.shape[1]))

    return update
