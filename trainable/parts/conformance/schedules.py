"""What a schedule must be: a share of the learning rate at each step, whichever are asked for."""

from dataclasses import dataclass

import numpy as np

from trainable.parts.conformance.finding import Check
from trainable.schedules import Schedule, ScheduleConfig

STEPS = 200


@dataclass(frozen=True)
class ScheduleSubject:
    """A schedule with a configuration."""

    schedule: Schedule
    config: ScheduleConfig

    def shares(self, first: int = 1, last: int = STEPS) -> np.ndarray:
        """Returns the shares of some steps of a training."""
        return np.asarray(self.schedule.share(self.config, np.arange(first, last + 1), STEPS))


def is_a_share(subject: ScheduleSubject) -> str | None:
    """Checks that each step has a number of 0 … 1, and not all of them 0."""
    shares = subject.shares()
    if shares.shape != (STEPS,):
        return f"it returns {shares.shape} for {STEPS} steps; it must return ({STEPS},)"
    if not np.isfinite(shares).all():
        return "a share is not finite"
    if shares.min() < 0 or shares.max() > 1 + 1e-9:
        return (
            f"its shares are {shares.min():.4g} … {shares.max():.4g}; they must lie in 0 … 1, "
            "since lr is the highest rate"
        )
    if not shares.any():
        return "all its shares are 0: nothing would be trained"
    return None


def steps_stand_alone(subject: ScheduleSubject) -> str | None:
    """Checks that a step's share does not depend on which steps are asked for with it."""
    parts = [subject.shares(first, first + 49) for first in range(1, STEPS, 50)]
    if not np.array_equal(np.concatenate(parts), subject.shares()):
        return "a step has another share where other steps are asked for: count from its number"
    return None


CHECKS: tuple[tuple[str, Check[ScheduleSubject]], ...] = (
    ("shares of 0 … 1", is_a_share),
    ("steps by themselves", steps_stand_alone),
)
