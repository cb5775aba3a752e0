"""What a study asks of its coordination, and what a driver is told as it leaves."""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from search.study.trials import TrialRecord


@dataclass(frozen=True)
class Handover:
    """How a search stands as one of its drivers leaves.

    Attributes:
        others: the drivers that still work on it, each as its process and host in words.
        over: whether no trial is in flight.
        written: whether another driver has written the tables.
    """

    others: tuple[str, ...] = ()
    over: bool = True
    written: bool = False


class Coordination(Protocol):
    """How the drivers of one study work together.

    `Alone` is for a study with one driver, `Shared` for a study in PostgreSQL.
    """

    @property
    def shared(self) -> bool:
        """Whether the study can have other drivers."""
        ...

    @property
    def driver(self) -> str | None:
        """The owner that new trials are stored with; None where trials have no owner."""
        ...

    @property
    def elsewhere(self) -> int:
        """How many trials in flight belong to other drivers, dead ones included."""
        ...

    @property
    def untold_elsewhere(self) -> int:
        """How many of those the sampler learns from."""
        ...

    @property
    def others(self) -> int:
        """How many other drivers there are."""
        ...

    @property
    def idle_drivers(self) -> int:
        """How many other drivers are idle; 0 while a released trial waits for one of them."""
        ...

    def join(self, driver: str, who: str, dead: Sequence[str]) -> None:
        """Begins to drive; raises `UserError` while another driver writes the tables.

        Args:
            driver: a name that no other driver ever has.
            who: its process and host, in words.
            dead: drivers that are known to be dead.
        """
        ...

    def leave(self, dead: Sequence[str]) -> Handover:
        """Stops driving and says how the search stands; may be called again.

        If no other driver is left and the tables are not written, this driver has to write them;
        nobody can join until `close`.

        Args:
            dead: drivers that are known to be dead.
        """
        ...

    def written(self) -> None:
        """Notes that the tables are written, until a driver joins again."""
        ...

    def close(self) -> None:
        """Gives up all leases and connections: other drivers may take over the trials."""
        ...

    def remove(self) -> None:
        """Closes, and deletes what the coordination has stored of the study."""
        ...

    def turn(self) -> AbstractContextManager[None]:
        """Waits until no other driver asks or adds trials, and keeps them from it in the block."""
        ...

    def refresh(self) -> None:
        """Reads what other drivers have asked, reported and ended since the last call."""
        ...

    def news(self) -> list[TrialRecord]:
        """Returns the trials of others that `refresh` found asked or ended since the last call."""
        ...

    def add_late(self, trial_id: int, number: int) -> None:
        """Enters a trial of this driver that was stored with another number than expected."""
        ...

    def holds(self, number: int) -> bool:
        """Says whether a trial is in flight and belongs to this driver."""
        ...

    def claim(self, most: int, idle: bool) -> list[int]:
        """Takes over trials in flight that no driver trains, and returns their numbers.

        Args:
            most: how many at most.
            idle: whether to take released trials too, not only those of dead drivers.
        """
        ...

    def release(self, numbers: Sequence[int]) -> None:
        """Gives up trials of this driver that no worker trains yet: idle drivers take them."""
        ...

    def say_idle(self, idle: bool) -> None:
        """Tells the other drivers whether this one would train a released trial."""
        ...
