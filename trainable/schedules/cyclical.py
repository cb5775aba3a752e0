"""A linear warm-up, then the rate falls and rises again linearly: Smith (2017), `triangular`.

The first cycle begins at the peak, where the warm-up ends.
"""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name
from trainable.schedules.base import floor_field, period_field, then, warmup_steps_field


@dataclass(frozen=True)
class CyclicalConfig:
    """The length of the warm-up and of a cycle, and where its lowest rate lies."""

    name: str = entry_name("cyclical", per_member=True)
    warmup_steps: int = warmup_steps_field()
    period: int = period_field()
    floor: float = floor_field("share of lr halfway between two peaks")


def cyclical(config: CyclicalConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns the rise, and the triangles."""
    passed = np.maximum(0, step - config.warmup_steps) % config.period / config.period
    return then(config, step, config.floor + (1 - config.floor) * np.abs(1 - 2 * passed))
