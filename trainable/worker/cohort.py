"""One cohort within a worker: its training, who joins it next, and when it is saved."""

import time
from collections.abc import Hashable
from dataclasses import dataclass, field

from trainable.executors import is_large
from trainable.report import Report
from trainable.training.loop import Training
from trainable.training.member import MemberStart

SAVE_EVERY_S = 30.0  # also at every rung
SAVE_LARGE_EVERY = 500  # optimizer steps of large models, unless set


@dataclass
class WorkerCohort:
    """One training, who joins it at the end of its epoch, and how it stands in the queue.

    Attributes:
        key: what its members share.
        every: optimizer steps between two checkpoints; None: at rungs and by the clock only.
        joining: who takes part from the end of its epoch on.
        waited: turns of others since its own.
        broken: an exception left it amid a step.
        at_rung: it passed a rung since it was saved.
    """

    key: Hashable
    training: Training
    every: int | None
    joining: list[MemberStart] = field(default_factory=list)
    waited: int = 0
    broken: bool = False
    at_rung: bool = False
    _saved: float = field(default_factory=time.monotonic)
    _steps: int = 0

    @property
    def turn(self) -> int:
        """Who goes next: a begun epoch, then the full, and the small ones when they waited long."""
        if not self.training.at_epoch_end():
            return 2**62
        return self.size * (self.waited + 1)

    @property
    def size(self) -> int:
        """Members, those that are about to join included."""
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
        """How many steps may still be taken before the members are to be saved; None: any."""
        return None if self.every is None else max(0, self.every - self._steps)

    def due(self) -> list[int]:
        """Returns the members to save now; from then on they count as saved."""
        now = time.monotonic()
        late = now - self._saved >= SAVE_EVERY_S
        training = self.training
        if not ((self.at_rung or late or self.steps_left == 0) and training.can_be_saved):
            return []
        self._saved, self._steps, self.at_rung = now, 0, False
        return [member.number for member in training.members if member.steps]


def steps_between_checkpoints(training: Training, wanted: int | None) -> int | None:
    """Returns after how many optimizer steps members are saved; None: the clock decides.

    Args:
        training: of the members.
        wanted: by the person; None: often for large models, whose epochs are long.
    """
    if wanted is not None:
        return wanted
    config, shape = training.members[0].config, training.windows.shape
    return SAVE_LARGE_EVERY if is_large(config, shape) else None
