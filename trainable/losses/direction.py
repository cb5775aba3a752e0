"""Binary cross-entropy of the sign: the prediction is the logit of a rise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from trainable.hyperparameter import entry_name
from trainable.losses.base import Columns, Pair, dead_zone_field


@dataclass(frozen=True)
class BceConfig:
    """The cross-entropy has no parameter of its own."""

    name: str = entry_name("bce")
    dead_zone: float = dead_zone_field()


def direction(prediction: Tensor, target: Tensor, columns: Columns) -> Pair:
    """Returns the cross-entropy of each row and its slope."""
    up = (target > 0).to(prediction.dtype)
    value = torch.nn.functional.binary_cross_entropy_with_logits(prediction, up, reduction="none")
    # torch.sigmoid takes other instructions for the last numbers of a tensor than for those before:
    # its last bits would depend on how many members there are.
    return value, torch.nn.functional.logsigmoid(prediction).exp() - up
