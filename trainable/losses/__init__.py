"""The table of training losses, each with its configuration."""

from trainable.losses.base import Loss, LossConfig
from trainable.losses.weighted import LOSSES

__all__ = ["LOSSES", "Loss", "LossConfig"]
