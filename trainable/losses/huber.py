"""The Huber loss: squared near 0, linear beyond delta; fixed, or following the batch."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.losses.base import Columns, Pair, dead_zone_field


def delta_field(meaning: str) -> Any:
    """Returns the field of where a loss turns linear."""
    return hyperparameter(1.0, meaning, above=0, per_member=True)


@dataclass(frozen=True)
class HuberConfig:
    """The Huber loss with a fixed delta."""

    name: str = entry_name("huber")
    delta: float = delta_field("where the loss turns linear, in target standard deviations")
    dead_zone: float = dead_zone_field()


@dataclass(frozen=True)
class AdaptiveHuberConfig:
    """The Huber loss whose delta follows the residuals of the batch."""

    name: str = entry_name("adaptive_huber")
    delta: float = delta_field(
        "the smallest delta, in target standard deviations; that of evaluation"
    )
    dead_zone: float = dead_zone_field()


def huber(prediction: Tensor, target: Tensor, columns: Columns) -> Pair:
    """r²/2 up to delta, then delta·(|r| − delta/2): both are s·(r − s/2) with the slope s."""
    delta = columns["delta"]
    residual = prediction - target
    slope = torch.clamp(residual, -delta, delta)
    return torch.sub(residual, slope, alpha=0.5) * slope, slope


def follow_batch(
    prediction: Tensor, target: Tensor, mask: Tensor | None, columns: Columns
) -> Columns:
    """Returns delta [..., 1] = max(smallest, 2·median|residual|) over the rows that count."""
    size = (prediction - target).detach().abs()
    if mask is not None:
        size = size.masked_fill(~mask, torch.nan)
    return {"delta": torch.fmax(columns["delta"], 2 * size.nanmedian(-1, keepdim=True).values)}
