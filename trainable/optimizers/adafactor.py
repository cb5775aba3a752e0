"""Adafactor: Shazeer & Stern (2018), algorithm 4, with the learning rate of the schedule.

The mean squared gradient of a matrix is kept as its row and column means. The update of a tensor is
scaled by the root mean square of its weights, at least 1e-3, and is clipped at a root mean square
of 1. There is no momentum, and no rate that falls by itself: lr is all there is.
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
    weight_decay_field,
)
from trainable.optimizers.layout import Layout, Part, PartNorms

TINY = 1e-30  # added to squared gradients
LEAST_RMS = 1e-3  # of weights, so that those that begin at 0 move
DECAY = -0.8  # step t keeps the share 1 − t^DECAY of the mean squares, at most beta2


@dataclass(frozen=True)
class AdafactorConfig:
    """Adafactor's rates; lr is a share of each tensor's root mean square."""

    name: str = entry_name("adafactor")
    lr: float = lr_field(1e-3)
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field()
    clip: float = clip_field()
    beta2: float = decay_rate_field(0.999, "largest share of the mean squared gradient kept")


def build(parameters: NamedParameters, config: AdafactorConfig) -> torch.optim.Optimizer:
    """Returns Adafactor for one model."""
    from pytorch_optimizer import AdaFactor  # slow to import, and rarely needed

    return AdaFactor(
        param_groups(parameters, config),
        lr=config.lr,
        betas=(None, config.beta2),
        decay_rate=DECAY,
        weight_decay=config.weight_decay,
        weight_decouple=True,
        scale_parameter=True,
        relative_step=False,
        eps1=TINY,
        eps2=LEAST_RMS,
    )


def plan(
    configs: Sequence[AdafactorConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`."""
    kept = np.minimum(column(configs, "beta2"), 1 - applied**DECAY)
    return {
        "lr": lr,
        "decay": -lr * column(configs, "weight_decay"),
        "second": np.broadcast_to(1 - kept, lr.shape),
    }


def update_by_part(layout: Layout) -> Update:
    """Returns the update of models whose tensors lie like this.

    A matrix [n, m] keeps its n row means and m column means in the first n + m of its columns of
    the buffer; so do those in a tensor [..., n, m]. A matrix with one row or column is kept whole,
    which is the same.
    """
    parts = PartNorms(layout)
    matrices = [part for part in layout if len(part.shape) > 1 and min(part.shape[-2:]) > 1]

    def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
        (state,) = buffers
        size = parts.root_mean_squares(p).clamp_(min=LEAST_RMS)
        p.mul_(parts.spread(size * factors["decay"] + 1, p.shape[1]))
        squares = torch.mul(g, g).add_(TINY)
        means = [_means(squares, part, state, factors["second"]) for part in matrices]
        state.lerp_(squares, factors["second"])
        scale = torch.rsqrt(state, out=squares)
        for part, (kept, factor) in zip(matrices, means, strict=True):
            state[:, part.start : part.start + kept.shape[1]] = kept
            scale[:, part.columns] = factor
        u = g.mul_(scale)
        too_large = parts.root_mean_squares(u).clamp_(min=1.0)
        share = size.mul_(factors["lr"]).div_(too_large).neg_()
        p.addcmul_(u, parts.spread(share, p.shape[1]))

    return update


def _means(squares: Tensor, part: Part, state: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Returns new row and column means of matrices [K, matrices · (n + m)], and their scale."""
    n, m = part.shape[-2:]
    square = squares[:, part.columns].unflatten(1, (-1, n, m))
    now = torch.cat([square.mean(3), square.mean(2)], dim=2).flatten(1)
    kept = state[:, part.start : part.start + now.shape[1]].lerp(now, weight)
    rows, columns = kept.unflatten(1, (-1, n + m)).split((n, m), dim=2)
    by_row = (rows / rows.mean(2, keepdim=True)).rsqrt_()
    return kept, (by_row.unsqueeze(3) * columns.rsqrt().unsqueeze(2)).flatten(1)
