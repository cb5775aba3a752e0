"""Shampoo: Gupta et al. (2018), algorithm 2, by `pytorch_optimizer`; it has no batched form.

Each dimension of a weight has a matrix that its gradient is multiplied by, the inverse root of the
sum of its gradients' products. A singular value decomposition of each takes most of a step.
"""

from dataclasses import dataclass

import torch

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.optimizers.base import (
    NamedParameters,
    clip_field,
    head_lr_field,
    lr_field,
    param_groups,
    weight_decay_field,
)


@dataclass(frozen=True)
class ShampooConfig:
    """Shampoo's rate, and how often its matrices are inverted."""

    name: str = entry_name("shampoo")
    lr: float = lr_field(1e-2)
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field()
    clip: float = clip_field()
    precondition_every: int = hyperparameter(
        1, "steps between inversions of its matrices; before the first no weight moves", low=1
    )


def build(parameters: NamedParameters, config: ShampooConfig) -> torch.optim.Optimizer:
    """Returns Shampoo for one model."""
    from pytorch_optimizer import Shampoo  # slow to import, and rarely needed

    return Shampoo(
        param_groups(parameters, config),
        lr=config.lr,
        weight_decay=config.weight_decay,
        weight_decouple=True,
        preconditioning_compute_steps=config.precondition_every,
    )
