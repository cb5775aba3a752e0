"""The mean squared error."""

from dataclasses import dataclass

from torch import Tensor

from trainable.hyperparameter import entry_name
from trainable.losses.base import Columns, Pair, dead_zone_field


@dataclass(frozen=True)
class MseConfig:
    """The squared error has no parameter of its own."""

    name: str = entry_name("mse")
    dead_zone: float = dead_zone_field()


def squared(prediction: Tensor, target: Tensor, columns: Columns) -> Pair:
    """Returns r² of each row and its slope."""
    residual = prediction - target
    return residual.square(), 2 * residual
