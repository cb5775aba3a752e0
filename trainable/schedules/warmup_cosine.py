"""A linear warm-up, then half a cosine down to a floor at the last step."""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name
from trainable.schedules.base import cosine, floor_field, then, warmup_steps_field


@dataclass(frozen=True)
class WarmupCosineConfig:
    """The length of the warm-up, and where the cosine ends."""

    name: str = entry_name("warmup_cosine", per_member=True)
    warmup_steps: int = warmup_steps_field()
    floor: float = floor_field("share of lr at the end")


def warmup_cosine(config: WarmupCosineConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns the rise, and after it the cosine."""
    done = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    return then(config, step, cosine(done, config.floor))
