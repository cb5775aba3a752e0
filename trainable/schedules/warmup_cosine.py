"""A linear warm-up, then half a cosine down to a floor at the last step."""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name
from trainable.schedules.base import floor_field, rise, warmup_steps_field


@dataclass(frozen=True)
class WarmupCosineConfig:
    """The length of the warm-up, and where the cosine ends."""

    name: str = entry_name("warmup_cosine", per_member=True)
    warmup_steps: int = warmup_steps_field()
    floor: float = floor_field("share of lr at the end")


def warmup_cosine(config: WarmupCosineConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns the rise, and after it the cosine."""
    done = np.clip((step - config.warmup_steps) / max(1, total - config.warmup_steps), 0.0, 1.0)
    wave = config.floor + (1 - config.floor) * 0.5 * (1 + np.cos(np.pi * done))
    return np.where(step <= config.warmup_steps, rise(config, step), wave)
