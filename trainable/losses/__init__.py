"""The table of training losses, each with its configuration."""

from trainable.losses.base import Loss, LossConfig, elementwise
from trainable.losses.direction import BceConfig, direction
from trainable.losses.huber import AdaptiveHuberConfig, HuberConfig, follow_batch, huber
from trainable.losses.squared import MseConfig, squared

__all__ = ["LOSSES", "Loss", "LossConfig"]

LOSSES: dict[str, Loss] = {
    "mse": Loss(MseConfig, elementwise(squared)),
    "huber": Loss(HuberConfig, elementwise(huber), ("delta",)),
    "adaptive_huber": Loss(AdaptiveHuberConfig, elementwise(huber, follow_batch), ("delta",)),
    "bce": Loss(BceConfig, elementwise(direction)),
}
