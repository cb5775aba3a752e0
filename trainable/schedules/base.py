"""What a learning-rate schedule is: a share of the peak rate, counted in optimizer steps."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from trainable.hyperparameter import hyperparameter


class ScheduleConfig(Protocol):
    """What the configuration of every schedule has."""

    @property
    def name(self) -> str:
        """Its entry in the table."""
        ...

    @property
    def warmup_steps(self) -> int:
        """Optimizer steps before the peak rate is reached; no trial is judged before."""
        ...


def nothing_idle(config: ScheduleConfig) -> frozenset[str]:
    """Returns the fields without effect of a schedule that uses all of its own: none."""
    return frozenset()


@dataclass(frozen=True)
class Schedule:
    """An entry of the table of schedules.

    Attributes:
        config: the class of its configuration.
        share: (config, steps [S] counted from 1, steps of the whole training) → shares [S] of the
            peak rate.
        idle: configuration → its fields that change nothing beside its other values.
    """

    config: type[ScheduleConfig]
    share: Callable[[Any, np.ndarray, int], np.ndarray]
    idle: Callable[[Any], frozenset[str]] = nothing_idle


def warmup_steps_field(
    default: int = 0, meaning: str = "linear rise from 0 to lr, in optimizer steps"
) -> Any:
    """Returns the field of schedules that begin with a warm-up."""
    return hyperparameter(default, meaning, low=0, per_member=True)


def floor_field(meaning: str, default: float = 0.05) -> Any:
    """Returns the field of schedules that lower the rate, but not below a share of its peak."""
    return hyperparameter(default, meaning, low=0, high=1, per_member=True)


def period_field() -> Any:
    """Returns the field of schedules that come back to the peak rate."""
    meaning = "optimizer steps from one peak to the next; of cosine_restarts the first time"
    return hyperparameter(1000, meaning, low=2, per_member=True)


def rise(config: ScheduleConfig, step: np.ndarray) -> np.ndarray:
    """Linear warm-up: the first step already moves, step `warmup_steps` reaches the peak."""
    return np.minimum(1.0, step / max(1, config.warmup_steps))


def then(config: ScheduleConfig, step: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Returns the rise up to the last step of the warm-up, and `share` after it."""
    return np.where(step <= config.warmup_steps, rise(config, step), share)


def cosine(done: np.ndarray, floor: float) -> np.ndarray:
    """Returns half a cosine from 1 to `floor`; `done` is how much of it has passed, 0 … 1."""
    return floor + (1 - floor) * 0.5 * (1 + np.cos(np.pi * np.clip(done, 0.0, 1.0)))
