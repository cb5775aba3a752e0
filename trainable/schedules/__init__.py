"""Learning-rate schedules as shares of the peak rate, counted in optimizer steps."""

from collections.abc import Callable

import numpy as np

from trainable.config import ScheduleConfig

Schedule = Callable[[ScheduleConfig, np.ndarray, int], np.ndarray]


def _rise(config: ScheduleConfig, step: np.ndarray) -> np.ndarray:
    """Linear warm-up: the first step already moves, step `warmup_steps` reaches the peak."""
    return np.minimum(1.0, step / max(1, config.warmup_steps))


def _constant(config: ScheduleConfig, step: np.ndarray, total: int) -> np.ndarray:
    return np.ones(len(step))


def _warmup(config: ScheduleConfig, step: np.ndarray, total: int) -> np.ndarray:
    return _rise(config, step)


def _warmup_cosine(config: ScheduleConfig, step: np.ndarray, total: int) -> np.ndarray:
    done = np.clip((step - config.warmup_steps) / max(1, total - config.warmup_steps), 0.0, 1.0)
    wave = config.floor + (1 - config.floor) * 0.5 * (1 + np.cos(np.pi * done))
    return np.where(step <= config.warmup_steps, _rise(config, step), wave)


SCHEDULES: dict[str, Schedule] = {
    "constant": _constant,
    "warmup": _warmup,
    "warmup_cosine": _warmup_cosine,
    "plateau": _warmup,  # and after the warm-up `Plateau` lowers it
}


class Plateau:
    """Lowers the rate when the validation loss stops falling, as torch's ReduceLROnPlateau does.

    Relative threshold 1e-4; a reduction is followed by no cool-down.
    """

    def __init__(self, config: ScheduleConfig) -> None:
        self.config = config
        self.scale = 1.0
        self.best = float("inf")
        self.bad = 0

    def after_epoch(self, val_loss: float) -> None:
        """Takes the epoch's validation loss; lowers `scale` when due."""
        if val_loss < self.best * (1 - 1e-4):
            self.best, self.bad = val_loss, 0
        else:
            self.bad += 1
        if self.bad > self.config.plateau_patience:
            self.scale = max(self.config.floor, self.scale * self.config.factor)
            self.bad = 0
