"""Losses of the information coefficient: 1 − Pearson's or Spearman's correlation across symbols."""

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
    dead_zone_field,
)
from trainable.losses.days import FLAT, grid, moments

LEAST = 3  # symbols of a day: two are always perfectly correlated
STEEP = 30.0  # differences ÷ temperature beyond this are decided, and exp of them is finite


def rank_temperature_field() -> Any:
    """Returns the field of the softness of ranks."""
    return hyperparameter(
        0.1,
        "softness of ranks: the difference that half decides one ÷ the day's prediction spread",
        above=0,
        high=10,
        per_member=True,
    )


@dataclass(frozen=True)
class IcConfig:
    """The information coefficient has no parameter of its own."""

    name: str = entry_name("ic")
    dead_zone: float = dead_zone_field()


@dataclass(frozen=True)
class RankIcConfig:
    """How soft the ranks of predictions are."""

    name: str = entry_name("rank_ic")
    rank_temperature: float = rank_temperature_field()
    dead_zone: float = dead_zone_field()


def ic(prediction: Tensor, targets: Targets, columns: Columns, training: bool) -> LossValue:
    """Returns 1 − the mean over days of Pearson's correlation with the targets, across symbols.

    Days with fewer than three symbols, or whose targets are all the same, are left out; of no day
    the loss is 1. On a day of equal predictions the correlation is 0.
    """
    p, y, present = grid(prediction, targets)
    return one_minus_correlation(p, y, present), NO_PARTS


def rank_ic(prediction: Tensor, targets: Targets, columns: Columns, training: bool) -> LossValue:
    """Returns 1 − the mean over days of Spearman's correlation, with soft ranks of predictions.

    The soft rank of a symbol is the sum over the others of sigmoid(difference ÷ (temperature ×
    spread)), after Qin, Liu and Li (2010); as the temperature falls it becomes the rank. Ranks of
    targets are exact, ties at their mean. Days are left out as by `ic`.
    """
    p, y, present = grid(prediction, targets)
    temperature = columns["rank_temperature"].unsqueeze(-1) * moments(p, present).std
    order = soft_ranks(p, present, temperature)
    return one_minus_correlation(order, ranks(y, present), present), NO_PARTS


def one_minus_correlation(x: Tensor, y: Tensor, present: Tensor) -> Tensor:
    """Returns 1 − the mean over days of the correlation of x and y [..., D, N]."""
    of_x, of_y = moments(x, present), moments(y, present)
    spread = of_y.square.sqrt()
    counts = (present.sum(-1, keepdim=True) >= LEAST) & (spread > FLAT * of_y.mean.abs())
    covariance = (of_x.deviation * of_y.deviation).sum(-1, keepdim=True) / of_x.number
    correlation = covariance / (of_x.std * torch.where(counts, spread, 1))
    days = counts.sum((-1, -2)).clamp(min=1)
    return 1 - correlation.masked_fill(~counts, 0).sum((-1, -2)) / days


def soft_ranks(values: Tensor, present: Tensor, temperature: Tensor) -> Tensor:
    """Returns ranks [..., D, N] from about 0.5 to n − 0.5; 0 where absent.

    Args:
        values: [..., D, N].
        present: likewise, bool.
        temperature: [..., D, 1], the difference that half decides.
    """
    difference = values.unsqueeze(-1) - values.unsqueeze(-2)
    steep = (difference / temperature.unsqueeze(-1)).clamp(-STEEP, STEEP)
    # Not torch.sigmoid: its last bits depend on how many members there are.
    above = 1 / (1 + torch.exp(-steep))
    others = above.masked_fill(~present.unsqueeze(-2), 0)
    return others.sum(-1).masked_fill(~present, 0)


def ranks(values: Tensor, present: Tensor) -> Tensor:
    """Returns exact ranks [..., D, N] from 1, ties at their mean; 0 where absent."""
    filled = values.masked_fill(~present, torch.inf).contiguous()
    ordered = filled.sort(-1).values
    below = torch.searchsorted(ordered, filled)
    up_to = torch.searchsorted(ordered, filled, right=True)
    return ((below + up_to + 1).to(values.dtype) / 2).masked_fill(~present, 0)


def check_symbols(config: LossConfig, trained: Trained | None) -> None:
    """Raises `UserError` where the data have too few symbols to compare."""
    if trained is not None and trained.symbols < LEAST:
        raise UserError(
            f"loss {config.name} compares the symbols of a day and needs {LEAST}; the data have "
            f"{trained.symbols}; loss huber works"
        )
