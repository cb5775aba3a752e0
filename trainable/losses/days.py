"""Whole days of a batch: its rows as a grid of days and symbols, and moments over a part of it."""

from typing import NamedTuple

import torch
from torch import Tensor

from trainable.losses.base import Targets, check_shapes, facts_of

FLAT = 1e-6  # what spreads less than FLAT × (|mean| + 1) fades out as a prediction


class Grid(NamedTuple):
    """A batch of whole days.

    Attributes:
        prediction: [..., D, N]; 0 where absent.
        target: [..., D, N]; 0 where absent.
        present: [..., D, N] bool, the rows that count.
    """

    prediction: Tensor
    target: Tensor
    present: Tensor


class Moments(NamedTuple):
    """Mean and spread over the last axis, of the values that count.

    Attributes:
        number: of them, [..., 1], at least 1.
        mean: [..., 1].
        deviation: [..., n], from the mean; 0 for values that do not count.
        square: [..., 1], mean squared deviation.
        least: [..., 1], standard deviation at which the values are almost constant.
    """

    number: Tensor
    mean: Tensor
    deviation: Tensor
    square: Tensor
    least: Tensor

    @property
    def std(self) -> Tensor:
        """Standard deviation (ddof 0) [..., 1]; of almost constant values `least`, never 0."""
        return (self.square + self.least.square()).sqrt()


def grid(prediction: Tensor, targets: Targets) -> Grid:
    """Returns a batch of whole days as a grid; what absent rows hold, NaN included, is gone.

    Raises:
        ValueError: it is no batch of whole days.
    """
    check_shapes(prediction, targets.y)
    symbols = facts_of(targets).symbols
    if symbols < 1:
        raise ValueError("this loss needs batches of whole days, and this is one of single rows")
    p, y = (values.unflatten(-1, (-1, symbols)) for values in (prediction, targets.y))
    if targets.mask is None:
        return Grid(p, y, torch.ones_like(y, dtype=torch.bool))
    present = targets.mask.unflatten(-1, (-1, symbols))
    return Grid(p.masked_fill(~present, 0), y.masked_fill(~present, 0), present)


def moments(values: Tensor, present: Tensor) -> Moments:
    """Returns the moments of values [..., n], finite and 0 where not present."""
    number = present.sum(-1, keepdim=True).clamp(min=1)
    mean = values.sum(-1, keepdim=True) / number
    deviation = (values - mean).masked_fill(~present, 0)
    square = deviation.square().sum(-1, keepdim=True) / number
    return Moments(number, mean, deviation, square, FLAT * (mean.abs() + 1))
