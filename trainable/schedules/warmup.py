"""A linear warm-up, then the peak rate."""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name
from trainable.schedules.base import rise, warmup_steps_field


@dataclass(frozen=True)
class WarmupConfig:
    """The length of the warm-up."""

    name: str = entry_name("warmup", per_member=True)
    warmup_steps: int = warmup_steps_field()


def warmup(config: WarmupConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns the rise, and 1 after it."""
    return rise(config, step)
