"""A linear warm-up; then the rate falls each time the validation loss stops falling."""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.schedules.base import floor_field, rise, warmup_steps_field


@dataclass(frozen=True)
class PlateauConfig:
    """The warm-up, and when and how far the rate is reduced."""

    name: str = entry_name("plateau", per_member=True)
    warmup_steps: int = warmup_steps_field()
    floor: float = floor_field("smallest share of lr")
    factor: float = hyperparameter(
        0.5, "share kept at each reduction", above=0, high=0.99, per_member=True
    )
    plateau_patience: int = hyperparameter(
        5,
        "epochs without a better validation loss that change nothing; the next one does",
        low=1,
        per_member=True,
    )


def warmup_then_plateau(config: PlateauConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns the rise, and 1 after it: what the validation loss asks for is `Plateau.scale`."""
    return rise(config, step)


class Plateau:
    """Lowers the rate when the validation loss stops falling, as torch's ReduceLROnPlateau does.

    Relative threshold 1e-4; a reduction is followed by no cool-down.

    Args:
        config: of the schedule; None for another schedule, whose rate never depends on the loss.

    Attributes:
        scale: the share of the rate that is left.
        best: the lowest validation loss.
        bad: epochs since then, or since the last reduction.
    """

    def __init__(self, config: PlateauConfig | None) -> None:
        self.config = config
        self.scale = 1.0
        self.best = float("inf")
        self.bad = 0

    def after_epoch(self, val_loss: float) -> None:
        """Takes the epoch's validation loss; lowers `scale` when due."""
        if self.config is None:
            return
        least = 1e-4 if self.best > 0 else -1e-4  # a loss may be negative
        if val_loss < self.best * (1 - least):
            self.best, self.bad = val_loss, 0
        else:
            self.bad += 1
        if self.bad > self.config.plateau_patience:
            self.scale = max(self.config.floor, self.scale * self.config.factor)
            self.bad = 0
