"""Losses of the information coefficient: 1 − Pearson's or Spearman's correlation across symbols."""

from dataclasses import dataclass
from typing import Any, cast

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
PAIRS = 2**16  # of symbols that are compared at once


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

    Where no slope is asked for, ranks of predictions are exact, too: epochs and trials are compared
    by Spearman's correlation itself, whatever their temperature, and no pairs of symbols are made.
    """
    p, y, present = grid(prediction, targets)
    if not torch.is_grad_enabled():
        return one_minus_correlation(ranks(p, present), ranks(y, present), present), NO_PARTS
    of_day = moments(p, present)
    temperature = columns["rank_temperature"].unsqueeze(-1) * of_day.std
    order = soft_ranks(of_day.deviation, present, temperature)
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
    return cast(Tensor, _SoftRanks.apply(values, present, temperature))


class _SoftRanks(torch.autograd.Function):
    """Soft ranks and their slope, a few days at a time: the pairs of all days may be many."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, present: Tensor, temperature: Tensor) -> Tensor:
        ctx.save_for_backward(values, present, temperature)
        days = zip(*_split(values, present, temperature), strict=True)
        found = [
            _above(p, t).masked_fill_(~there.unsqueeze(-2), 0).sum(-1).masked_fill_(~there, 0)
            for p, there, t in days
        ]
        return torch.cat(found).view_as(values)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor, None, Tensor]:
        values, present, temperature = ctx.saved_tensors
        of_values, of_temperature = [], []
        days = zip(*_split(values, present, temperature, slopes[0]), strict=True)
        for p, there, t, slope in days:
            above = _above(p, t)
            both = there.unsqueeze(-1) & there.unsqueeze(-2)
            # Of a pair one rank rises by what the other falls.
            pairs = torch.addcmul(above, above, above, value=-1).masked_fill_(~both, 0)
            of_p = pairs.mul_(slope.unsqueeze(-1) - slope.unsqueeze(-2)).sum(-1) / t
            of_values.append(of_p)
            of_temperature.append(-(of_p * p).sum(-1, keepdim=True) / t)
        return (
            torch.cat(of_values).view_as(values),
            None,
            torch.cat(of_temperature).view_as(temperature),
        )


def _split(*tensors: Tensor) -> list[tuple[Tensor, ...]]:
    """Returns tensors [..., D, n] as parts [d, n] of a few days each."""
    symbols = tensors[0].shape[-1]
    days = max(1, PAIRS // symbols**2)
    return [t.reshape(-1, t.shape[-1]).split(days) for t in tensors]


def _above(values: Tensor, temperature: Tensor) -> Tensor:
    """Returns how much each of values [d, N] lies above each other, 0 … 1, [d, N, N]."""
    scaled = values / temperature
    below = scaled.unsqueeze(-2) - scaled.unsqueeze(-1)
    # Not torch.sigmoid: its last bits depend on how many members there are.
    return below.clamp_(-STEEP, STEEP).exp_().add_(1).reciprocal_()


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
