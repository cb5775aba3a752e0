"""What a training loss is: a function of a whole batch and its mask, with its slope.

Predictions are raw; targets are returns divided by their training standard deviation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

from trainable.hyperparameter import hyperparameter

Columns = Mapping[str, Tensor]  # a number of each member by its field, [..., 1]
Pair = tuple[Tensor, Tensor]  # a loss and its slope
Elementwise = Callable[[Tensor, Tensor, Columns], Pair]
Adapt = Callable[[Tensor, Tensor, Tensor | None, Columns], Columns]


class LossConfig(Protocol):
    """What the configuration of every loss has."""

    @property
    def name(self) -> str:
        """Its entry in the table."""
        ...

    @property
    def dead_zone(self) -> float:
        """Size of a return, decimal, up to which its row is left out of the training loss."""
        ...


class OfBatch(Protocol):
    """A loss over a batch: a mean over its rows, or anything else that the whole batch decides."""

    def __call__(
        self,
        prediction: Tensor,
        target: Tensor,
        mask: Tensor | None,
        columns: Columns,
        training: bool,
    ) -> Pair:
        """Returns the loss [...] and its derivative [..., B] by the predictions.

        Args:
            prediction: [..., B], raw.
            target: [..., B].
            mask: [..., B] bool, the rows that count; None: all of them.
            columns: the configurations' numbers by field, each [..., 1].
            training: in training, not in the evaluation that compares epochs.
        """
        ...


@dataclass(frozen=True)
class Loss:
    """An entry of the table of losses.

    Attributes:
        config: the class of its configuration.
        of_batch: the loss and its slope.
        columns: the fields of its configuration that `of_batch` needs, which may differ by member.
    """

    config: type[LossConfig]
    of_batch: OfBatch
    columns: tuple[str, ...] = ()

    def columns_of(
        self, configs: Sequence[LossConfig], device: torch.device, dtype: torch.dtype
    ) -> dict[str, Tensor]:
        """Returns the columns of K members, each [K, 1]."""
        return {
            name: torch.tensor(
                [getattr(config, name) for config in configs], device=device, dtype=dtype
            ).unsqueeze(1)
            for name in self.columns
        }


def dead_zone_field() -> Any:
    """Returns the field that every loss has."""
    return hyperparameter(
        0.0,
        "|return| up to this (decimal) is left out of the training loss",
        low=0,
        high=1,
        works="0.001",
        per_member=True,
    )


def elementwise(both: Elementwise, adapt: Adapt | None = None) -> OfBatch:
    """Returns the mean over the rows that count of a loss of single rows; 0 where none counts.

    The slope is a formula, not a backward pass: the batched models need no autograd.

    Args:
        both: (prediction, target, columns) → value and slope of each row, [..., B].
        adapt: (prediction, target, mask, columns) → the columns that this batch trains with.
    """

    def of_batch(
        prediction: Tensor,
        target: Tensor,
        mask: Tensor | None,
        columns: Columns,
        training: bool,
    ) -> Pair:
        check_shapes(prediction, target)
        if training and adapt is not None:
            columns = adapt(prediction, target, mask, columns)
        value, slope = both(prediction, target, columns)
        if mask is None:
            rows = _number(value.shape[-1], value.device, value.dtype)
            return value.sum(-1).div_(rows), slope / rows
        count = mask.sum(-1, keepdim=True).clamp(min=1)
        value, slope = value.masked_fill(~mask, 0), slope.masked_fill(~mask, 0)
        return value.sum(-1) / count.squeeze(-1), slope / count

    return of_batch


def check_shapes(prediction: Tensor, target: Tensor) -> None:
    """Raises ValueError unless both have one shape: (B,) against (B, 1) would broadcast to B×B."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"predictions {tuple(prediction.shape)} and targets {tuple(target.shape)} must have "
            "the same shape: a loss never broadcasts them"
        )


@cache
def _number(value: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Returns a number as a tensor; torch would make one of it at each step."""
    with torch.inference_mode(False):  # it is also used where gradients are asked for
        return torch.tensor(value, device=device, dtype=dtype)
