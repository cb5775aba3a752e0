"""The coordination of a study that has one driver: there is nothing to do."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from search.study.coordination.base import Handover
from search.study.trials import TrialRecord
from trainable.cli.errors import UserError


class Alone:
    """Does nothing, since no other driver works on the study.

    Args:
        study: its name, for messages.
    """

    shared = False
    driver = None
    elsewhere = untold_elsewhere = others = idle_drivers = 0

    def __init__(self, study: str) -> None:
        self._study = study

    def join(self, driver: str, who: str, dead: Sequence[str]) -> None:
        """Does nothing."""

    def leave(self, dead: Sequence[str]) -> Handover:
        """Says that no trial is in flight elsewhere: this driver has to write the tables."""
        return Handover()

    def written(self) -> None:
        """Does nothing."""

    def close(self) -> None:
        """Does nothing."""

    def remove(self) -> None:
        """Does nothing."""

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for nobody."""
        yield

    def refresh(self) -> None:
        """Does nothing."""

    def news(self) -> list[TrialRecord]:
        """Returns no trials."""
        return []

    def add_late(self, trial_id: int, number: int) -> None:
        """Raises `UserError`: somebody else has stored a trial."""
        raise UserError(
            f"another process writes to the study {self._study!r}; "
            "only one search may run on a study at a time"
        )

    def holds(self, number: int) -> bool:
        """Says that every trial belongs to this driver."""
        return True

    def claim(self, most: int, idle: bool) -> list[int]:
        """Returns no trials."""
        return []

    def release(self, numbers: Sequence[int]) -> None:
        """Does nothing."""

    def say_idle(self, idle: bool) -> None:
        """Does nothing."""
