"""One cycle: Smith & Topin (2018), as `torch.optim.lr_scheduler.OneCycleLR` has it.

The rate rises from a share of lr along half a cosine, and falls along another one to nearly nothing
at the last step. Only the rate follows it: momentum stays as it is.
"""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.schedules.base import cosine, floor_field, warmup_steps_field


@dataclass(frozen=True)
class OneCycleConfig:
    """The length of the rise, where it begins, and where the fall ends."""

    name: str = entry_name("one_cycle", per_member=True)
    warmup_steps: int = warmup_steps_field(100, "rise from start to lr, in optimizer steps")
    start: float = hyperparameter(
        0.04, "share of lr at the first step", above=0, high=1, per_member=True
    )
    floor: float = floor_field("share of lr at the end", 4e-6)


def one_cycle(config: OneCycleConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns the rise and the fall; without a warm-up only the fall."""
    risen = (config.warmup_steps - step) / max(1, config.warmup_steps - 1)
    fallen = (step - config.warmup_steps) / max(1, total - config.warmup_steps)
    return np.where(
        step <= config.warmup_steps, cosine(risen, config.start), cosine(fallen, config.floor)
    )


def idle(config: OneCycleConfig) -> frozenset[str]:
    """Returns the fields without effect: the begin of a rise that is one step, or none."""
    return frozenset({"start"} if config.warmup_steps <= 1 else ())
