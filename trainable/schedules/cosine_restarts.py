"""A linear warm-up, then cosines that each begin at the peak: Loshchilov & Hutter (2017), SGDR."""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.schedules.base import cosine, floor_field, period_field, then, warmup_steps_field


@dataclass(frozen=True)
class CosineRestartsConfig:
    """The length of the warm-up and of the first cosine (T₀), and how the next ones grow."""

    name: str = entry_name("cosine_restarts", per_member=True)
    warmup_steps: int = warmup_steps_field()
    period: int = period_field()
    period_multiplier: int = hyperparameter(
        2, "length of each cycle, in lengths of the one before", low=1, high=10, per_member=True
    )
    floor: float = floor_field("share of lr before each restart", 0.002)


def cosine_restarts(config: CosineRestartsConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns the rise, and the cosines; the last one may be cut off."""
    passed = np.maximum(0, step - config.warmup_steps)
    if config.period_multiplier == 1:
        return then(config, step, cosine(passed % config.period / config.period, config.floor))
    starts, lengths = [0], [config.period]
    while starts[-1] + lengths[-1] <= passed.max(initial=0):
        starts.append(starts[-1] + lengths[-1])
        lengths.append(lengths[-1] * config.period_multiplier)
    cycle = np.searchsorted(starts, passed, side="right") - 1
    done = (passed - np.array(starts)[cycle]) / np.array(lengths)[cycle]
    return then(config, step, cosine(done, config.floor))
