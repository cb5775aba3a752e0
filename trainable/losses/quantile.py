"""The quantile (pinball) loss: the prediction is one return for each of some quantiles."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from trainable.cli.errors import UserError
from trainable.hyperparameter import entry_name, hyperparameter
from trainable.losses.base import (
    Columns,
    Heads,
    LossResult,
    Targets,
    dead_zone_field,
    mean_of_rows,
)

MEDIAN = 0.5
LEVEL = "quantile."  # begins the names of the columns that hold the quantiles


def levels_of(text: str) -> tuple[float, ...]:
    """Returns the quantiles that "0.1-0.5-0.9" stands for.

    Raises:
        UserError: they are no increasing numbers within 0 … 1, or 0.5 is not among them.
    """
    try:
        levels = tuple(float(part) for part in text.split("-"))
    except ValueError:
        levels = ()
    rising = all(low < high for low, high in zip((0.0, *levels), (*levels, 1.0), strict=True))
    if not rising or MEDIAN not in levels:
        raise UserError(
            f"loss/quantiles={text!r} must be increasing numbers above 0 and below 1 joined by "
            "'-', 0.5 among them, which is traded; 0.1-0.5-0.9 works"
        )
    return levels


def _check(key: str, value: str) -> None:
    levels_of(value)


def quantiles_field() -> Any:
    """Returns the field of the quantiles."""
    return hyperparameter(
        "0.1-0.5-0.9", 'quantiles of the return, joined by "-"; 0.5 is traded', check=_check
    )


@dataclass(frozen=True)
class QuantileConfig:
    """The quantiles that are predicted."""

    name: str = entry_name("quantile")
    quantiles: str = quantiles_field()
    dead_zone: float = dead_zone_field()


class HasQuantiles(Protocol):
    """A configuration with quantiles: of this loss, or of a sum that may hold it."""

    @property
    def quantiles(self) -> str:
        """Text such as 0.1-0.5-0.9."""
        ...


def quantile_head(config: HasQuantiles) -> Heads:
    """Returns the head that answers with Q returns."""
    return (("quantile", len(levels_of(config.quantiles))),)


def level_columns(config: HasQuantiles, epoch: int) -> dict[str, float]:
    """Returns the quantiles, one column each."""
    return {f"{LEVEL}{i}": level for i, level in enumerate(levels_of(config.quantiles))}


def pinball(prediction: Tensor, targets: Targets, columns: Columns, training: bool) -> LossResult:
    """Returns the mean over rows and quantiles q of max(q·r, (q − 1)·r) with r = target − quantile.

    Koenker and Bassett (1978). Predictions are [..., B, Q]; [..., B] where Q is 1. The slope where
    r is 0 is taken as 0.
    """
    target, mask, _ = targets
    levels = [column for name, column in columns.items() if name.startswith(LEVEL)]
    level = torch.stack(levels, -1)
    wide = prediction if len(levels) > 1 else prediction.unsqueeze(-1)
    if wide.shape != (*target.shape, len(levels)):
        raise ValueError(
            f"predictions {tuple(prediction.shape)} must be targets {tuple(target.shape)} × "
            f"{len(levels)} quantiles"
        )
    residual = target.unsqueeze(-1) - wide
    value = torch.maximum(level * residual, (level - 1) * residual).mean(-1)
    slope = torch.where(residual < 0, 1 - level, -level).masked_fill(residual == 0, 0)
    loss, slope, _ = mean_of_rows(value, slope / len(levels), mask)
    return LossResult(loss, slope.reshape(prediction.shape))


def median_signal(config: HasQuantiles, prediction: Tensor, horizon: int) -> Tensor:
    """Returns the median of predictions [..., Q]; of one quantile, the predictions [...]."""
    levels = levels_of(config.quantiles)
    return prediction if len(levels) == 1 else prediction[..., levels.index(MEDIAN)]
