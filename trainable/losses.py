"""Training losses, elementwise over [..., B], each with its slope for the batched backward.

Predictions are raw; targets are returns divided by their training standard deviation.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

Elementwise = Callable[[Tensor, Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss: `value(prediction, target, delta)` and `slope`, its derivative by the prediction.

    With `adaptive`, delta follows the batch in training and is the configured one in evaluation.
    """

    value: Elementwise
    slope: Elementwise
    adaptive: bool = False


def _squared(prediction: Tensor, target: Tensor, delta: Tensor) -> Tensor:
    return (prediction - target).square()


def _squared_slope(prediction: Tensor, target: Tensor, delta: Tensor) -> Tensor:
    return 2 * (prediction - target)


def _huber(prediction: Tensor, target: Tensor, delta: Tensor) -> Tensor:
    size = (prediction - target).abs()
    return torch.where(size <= delta, 0.5 * size.square(), delta * (size - 0.5 * delta))


def _huber_slope(prediction: Tensor, target: Tensor, delta: Tensor) -> Tensor:
    return torch.clamp(prediction - target, -delta, delta)


def _direction(prediction: Tensor, target: Tensor, delta: Tensor) -> Tensor:
    up = (target > 0).to(prediction.dtype)
    return torch.nn.functional.binary_cross_entropy_with_logits(prediction, up, reduction="none")


def _direction_slope(prediction: Tensor, target: Tensor, delta: Tensor) -> Tensor:
    return prediction.sigmoid() - (target > 0).to(prediction.dtype)


LOSSES: dict[str, Loss] = {
    "mse": Loss(_squared, _squared_slope),
    "huber": Loss(_huber, _huber_slope),
    "adaptive_huber": Loss(_huber, _huber_slope, adaptive=True),
    "bce": Loss(_direction, _direction_slope),
}


def check_shapes(prediction: Tensor, target: Tensor) -> None:
    """Raises ValueError unless both have one shape: (B,) against (B, 1) would broadcast to B×B."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"predictions {tuple(prediction.shape)} and targets {tuple(target.shape)} must have "
            "the same shape: a loss never broadcasts them"
        )


def training_delta(loss: Loss, residual: Tensor, keep: Tensor | None, smallest: Tensor) -> Tensor:
    """Returns delta [..., 1]: max(smallest, 2·median|residual|) over the kept rows if adaptive."""
    if not loss.adaptive:
        return smallest
    size = residual.detach().abs()
    if keep is not None:
        size = size.masked_fill(~keep, torch.nan)
    return torch.fmax(smallest, 2 * size.nanmedian(-1, keepdim=True).values)


def mean_loss(
    loss: Loss, prediction: Tensor, target: Tensor, keep: Tensor | None, delta: Tensor
) -> Tensor:
    """Returns the mean over the kept rows: [..., B] → [...]; 0 where none is kept.

    Args:
        loss: of `LOSSES`.
        prediction: [..., B], raw.
        target: [..., B].
        keep: [..., B] bool, the rows that count; None: all of them.
        delta: [..., 1].
    """
    check_shapes(prediction, target)
    value = loss.value(prediction, target, delta)
    if keep is None:
        return value.mean(-1)
    return value.masked_fill(~keep, 0).sum(-1) / keep.sum(-1).clamp(min=1)


def mean_slope(
    loss: Loss, prediction: Tensor, target: Tensor, keep: Tensor | None, delta: Tensor
) -> Tensor:
    """Returns the derivative [..., B] of `mean_loss` by the predictions."""
    slope = loss.slope(prediction, target, delta)
    if keep is None:
        return slope / prediction.shape[-1]
    return slope.masked_fill(~keep, 0) / keep.sum(-1, keepdim=True).clamp(min=1)
