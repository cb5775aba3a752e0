"""Training losses, elementwise over [..., B], each with its slope for the batched backward.

Predictions are raw; targets are returns divided by their training standard deviation.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

Pair = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class Loss:
    """A loss: `both(prediction, target, delta)` are its value and its slope by the prediction.

    With `adaptive`, delta follows the batch in training and is the configured one in evaluation.
    """

    both: Callable[[Tensor, Tensor, Tensor], Pair]
    adaptive: bool = False


def _squared(prediction: Tensor, target: Tensor, delta: Tensor) -> Pair:
    residual = prediction - target
    return residual.square(), 2 * residual


def _huber(prediction: Tensor, target: Tensor, delta: Tensor) -> Pair:
    """r²/2 up to delta, then delta·(|r| − delta/2): both are s·(r − s/2) with the slope s."""
    residual = prediction - target
    slope = torch.clamp(residual, -delta, delta)
    return torch.sub(residual, slope, alpha=0.5) * slope, slope


def _direction(prediction: Tensor, target: Tensor, delta: Tensor) -> Pair:
    up = (target > 0).to(prediction.dtype)
    value = torch.nn.functional.binary_cross_entropy_with_logits(prediction, up, reduction="none")
    # torch.sigmoid takes other instructions for the last numbers of a tensor than for those before:
    # its last bits would depend on how many members there are.
    return value, torch.nn.functional.logsigmoid(prediction).exp() - up


LOSSES: dict[str, Loss] = {
    "mse": Loss(_squared),
    "huber": Loss(_huber),
    "adaptive_huber": Loss(_huber, adaptive=True),
    "bce": Loss(_direction),
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
    return mean_loss_and_slope(loss, prediction, target, keep, delta)[0]


def mean_loss_and_slope(
    loss: Loss, prediction: Tensor, target: Tensor, keep: Tensor | None, delta: Tensor
) -> Pair:
    """Returns `mean_loss` [...] and its derivative [..., B] by the predictions."""
    check_shapes(prediction, target)
    value, slope = loss.both(prediction, target, delta)
    if keep is None:
        rows = _number(value.shape[-1], value.device, value.dtype)
        return value.sum(-1).div_(rows), slope / rows
    count = keep.sum(-1, keepdim=True).clamp(min=1)
    value, slope = value.masked_fill(~keep, 0), slope.masked_fill(~keep, 0)
    return value.sum(-1) / count.squeeze(-1), slope / count


@cache
def _number(value: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A number as a tensor: torch would make one of it, and convert that, each time."""
    with torch.inference_mode(False):  # it is also used where gradients are asked for
        return torch.tensor(value, device=device, dtype=dtype)
