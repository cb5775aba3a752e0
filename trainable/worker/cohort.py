"""One cohort of a worker: its training, the members that join it next, and its checkpoints."""

import time
from collections.abc import Hashable
from dataclasses import dataclass, field

from trainable.config import input_shape
from trainable.executors import is_large
from trainable.report import Report
from trainable.training.loop import Training
from trainable.training.member import MemberStart

SAVE_EVERY_S = 30.0  # also at every rung
SAVE_LARGE_EVERY = 500  # optimizer steps of large models, unless set


@dataclass
class WorkerCohort:
    """The members of one shape that train together in a worker.

    Attributes:
        shape: what its members share.
        training: of them.
        every: optimizer steps between two checkpoints; None: at rungs and by the clock only.
        joining: members that join at the end of the present epoch.
        waited: turns of other cohorts since its own.
        broken: an exception was raised within one of its steps.
        at_rung: it passed a rung since its last checkpoint.
    """

    shape: Hashable
    training: Training
    every: int | None
    joining: list[MemberStart] = field(default_factory=list)
    waited: int = 0
    broken: bool = False
    at_rung: bool = False
    _saved: float = field(default_factory=time.monotonic)
    _steps: int = 0

    @property
    def priority(self) -> int:
        """The priority: a begun epoch first, then the size times the turns waited."""
        if not self.training.at_epoch_end():
            return 2**62
        return self.size * (self.waited + 1)

    @property
    def size(self) -> int:
        """The number of members, those that are about to join included."""
        return len(self.training.live) + len(self.joining)

    def advance(self, until: float) -> list[Report]:
        """Trains on to the end of the epoch, to the next checkpoint, or until the clock says so.

        Args:
            until: a value of `time.monotonic()`.
        """
        before = self.training.taken
        reports = self.training.advance(until, self.steps_left)
        self._steps += self.training.taken - before
        return reports

    @property
    def steps_left(self) -> int | None:
        """Steps until the next checkpoint is due; None: steps do not count."""
        return None if self.every is None else max(0, self.every - self._steps)

    def take_in(self, other: "WorkerCohort") -> None:
        """Takes in all members of another cohort of the shape; both are between two epochs.

        The next checkpoint is due when it was due of either.
        """
        going = other.training.members
        self.training.add(
            [MemberStart(m.number, m.config, other.training.saved(m.number)) for m in going]
        )
        other.training.retire([member.number for member in going])
        self.joining, other.joining = [*self.joining, *other.joining], []
        self.at_rung |= other.at_rung
        self._saved = min(self._saved, other._saved)
        self._steps = max(self._steps, other._steps)

    def due(self) -> list[int]:
        """Returns the members whose checkpoints are due now, and counts them as written."""
        now = time.monotonic()
        late = now - self._saved >= SAVE_EVERY_S
        training = self.training
        if not ((self.at_rung or late or self.steps_left == 0) and training.can_be_saved):
            return []
        self._saved, self._steps, self.at_rung = now, 0, False
        return [member.number for member in training.members if member.steps]


def steps_between_checkpoints(training: Training, wanted: int | None) -> int | None:
    """Returns the optimizer steps between two checkpoints; None: the clock decides.

    Args:
        training: of the members.
        wanted: by the person; None: only large models, whose epochs are long, count steps.
    """
    if wanted is not None:
        return wanted
    config = training.members[0].config
    shape = input_shape(config, training.windows.groups)
    return SAVE_LARGE_EVERY if is_large(config, shape) else None
