"""A linear warm-up, the peak rate for a while, then half a cosine down to a floor."""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.schedules.base import cosine, floor_field, then, warmup_steps_field


@dataclass(frozen=True)
class WarmupHoldCosineConfig:
    """The length of the warm-up and of the hold, and where the cosine ends.

    The hold is a share, so that it fits a training of any length.
    """

    name: str = entry_name("warmup_hold_cosine", per_member=True)
    warmup_steps: int = warmup_steps_field()
    hold: float = hyperparameter(
        0.5, "share of the steps after the warm-up at the peak", low=0, high=0.99, per_member=True
    )
    floor: float = floor_field("share of lr at the end")


def warmup_hold_cosine(config: WarmupHoldCosineConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns the rise, ones, and the cosine."""
    after = max(1, total - config.warmup_steps)
    held = config.hold * after
    done = (step - config.warmup_steps - held) / (after - held)
    return then(config, step, cosine(done, config.floor))
