"""The variance penalty: predictions that spread too little cost something."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainable.cli.errors import UserError
from trainable.hyperparameter import entry_name, hyperparameter
from trainable.losses.base import (
    NO_PARTS,
    Columns,
    LossConfig,
    LossValue,
    Targets,
    Trained,
    check_shapes,
    dead_zone_field,
)
from trainable.losses.days import grid, moments


def variance_floor_field() -> Any:
    """Returns the field of the smallest spread that costs nothing."""
    return hyperparameter(
        0.1,
        "prediction spread below which the variance penalty begins, ÷ that of the targets",
        low=0,
        high=1,
        per_member=True,
    )


@dataclass(frozen=True)
class VarianceConfig:
    """How much predictions must spread."""

    name: str = entry_name("variance")
    variance_floor: float = variance_floor_field()
    dead_zone: float = dead_zone_field()


def variance(prediction: Tensor, targets: Targets, columns: Columns, training: bool) -> LossValue:
    """Returns max(0, floor × std of the targets − std of the predictions)².

    Of whole days the mean over days with two symbols or more, std across symbols; else of the
    batch's rows. Equal predictions have no slope: nothing says which of them should rise.
    """
    if targets.rows is not None and targets.rows.symbols > 1:
        p, y, present = grid(prediction, targets)
    else:
        check_shapes(prediction, targets.y)
        mask = targets.mask
        every = torch.ones_like(targets.y, dtype=torch.bool) if mask is None else mask
        present = every.unsqueeze(-2)
        p, y = (t.unsqueeze(-2).masked_fill(~present, 0) for t in (prediction, targets.y))
    of_p, of_y = moments(p, present), moments(y, present)
    counts = present.sum(-1, keepdim=True) > 1
    missing = columns["variance_floor"].unsqueeze(-1) * of_y.square.sqrt() - of_p.std
    penalty = missing.clamp(min=0).square().masked_fill(~counts, 0)
    return penalty.sum((-1, -2)) / counts.sum((-1, -2)).clamp(min=1), NO_PARTS


def refuse_alone(config: LossConfig, trained: Trained | None) -> None:
    """Raises `UserError`: alone it would only drive predictions apart."""
    raise UserError(
        "loss/name=variance alone says nothing of the target: it is a part of a sum; "
        """fix.loss/name=weighted 'fix.loss/phases={"0": {"huber": 1, "variance": 1}}' works"""
    )
