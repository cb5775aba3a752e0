"""What the search tells a worker: which members leave it, and which it takes in."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Assignment:
    """A member on its way to a worker.

    Attributes:
        number: of the trial.
        params: all of them by `GROUP/FIELD`.
        known: the last epoch whose report is stored; 0 before there is one.
    """

    number: int
    params: dict[str, Any]
    known: int = 0


@dataclass(frozen=True)
class Instructions:
    """What a worker does before its next step.

    Attributes:
        leave: members whose trials the search has ended.
        keep_model: those of them whose model is kept.
        save: members that leave with a checkpoint, to go on in another worker, or later.
        join: members that come, each from its checkpoint where it has one.
        go: where workers train in rounds: the next one begins.
    """

    leave: tuple[int, ...] = ()
    keep_model: tuple[int, ...] = ()
    save: tuple[int, ...] = ()
    join: tuple[Assignment, ...] = ()
    go: bool = False

    @property
    def anything(self) -> bool:
        """Whether the worker has something to do."""
        return self.go or self.moves

    @property
    def moves(self) -> bool:
        """Whether a member leaves or comes."""
        return bool(self.leave or self.save or self.join)
