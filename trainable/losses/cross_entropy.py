"""Cross-entropy of three actions: sell, hold or buy, by the raw return."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.losses.base import (
    Columns,
    Heads,
    LossConfig,
    LossResult,
    Targets,
    dead_zone_field,
    facts_of,
    mean_of_rows,
)

SELL, HOLD, BUY = range(3)  # the order of the outputs
ACTIONS = 3


def threshold_field() -> Any:
    """Returns the field of the return from which one buys or sells."""
    return hyperparameter(
        0.005,
        "raw return (decimal) above which the label is buy, and below minus which it is sell",
        low=0,
        high=1,
        per_member=True,
    )


def smoothing_field() -> Any:
    """Returns the field of label smoothing."""
    return hyperparameter(
        0.0,
        "share of each label that is spread evenly over sell, hold and buy",
        low=0,
        high=0.9,
        works="0.1",
        per_member=True,
    )


@dataclass(frozen=True)
class CrossEntropyConfig:
    """Where a return is large enough to act, and how sure labels are."""

    name: str = entry_name("cross_entropy")
    threshold: float = threshold_field()
    smoothing: float = smoothing_field()
    dead_zone: float = dead_zone_field()


def action_head(config: LossConfig) -> Heads:
    """Returns the head that answers with a logit for each action."""
    return (("action", ACTIONS),)


def cross_entropy(
    prediction: Tensor, targets: Targets, columns: Columns, training: bool
) -> LossResult:
    """Returns the mean cross-entropy of logits [..., B, 3], in nats, and its slope.

    Labels are made of the decimal return, target × scale, never of the scaled target. Predicting
    nothing (equal logits) has the loss ln 3. Label smoothing: Szegedy et al. (2016).
    """
    target, mask, _ = targets
    if prediction.shape != (*target.shape, ACTIONS):
        raise ValueError(
            f"predictions {tuple(prediction.shape)} must be targets {tuple(target.shape)} × 3"
        )
    raw = target * facts_of(targets).scale
    threshold, smoothing = columns["threshold"], columns["smoothing"].unsqueeze(-1)
    sell, buy = raw < -threshold, raw > threshold
    label = torch.stack([sell, ~(sell | buy), buy], -1).to(prediction.dtype)
    label = label * (1 - smoothing) + smoothing / ACTIONS
    logs = log_softmax(prediction)
    return mean_of_rows(-(label * logs).sum(-1), logs.exp() - label, mask)


def log_softmax(logits: Tensor) -> Tensor:
    """Returns log-probabilities [..., 3] of logits.

    In operations that treat all values alike: torch's own takes other instructions for the last
    rows of a tensor, and a member's last bits would depend on how many members there are.
    """
    shifted = logits - logits.amax(-1, keepdim=True)
    return shifted - shifted.exp().sum(-1, keepdim=True).log()


def action_signal(config: LossConfig, prediction: Tensor, horizon: int) -> Tensor:
    """Returns P(buy) − P(sell) of logits [..., 3], in −1 … 1."""
    share = log_softmax(prediction).exp()
    return share[..., BUY] - share[..., SELL]
