"""What each trial has used so far, and which one is ahead."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from search.study import SEARCHED, Asked
from trainable.report import Report


@dataclass
class Course:
    """One trial: what it used, and the Sharpe ratio of the epoch it would be ranked by."""

    asked: Asked
    cohort: int | None = None
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    val_loss: float | None = None
    sharpe: float | None = None
    losses: int = 0
    lost_at: int | None = None

    def count(self, report: Report) -> None:
        """Takes one epoch in."""
        self.epochs = max(self.epochs, report.epoch)
        self.steps = max(self.steps, report.steps)
        self.seconds += report.seconds
        loss = report.values.get("val_loss")
        if loss is not None and (self.val_loss is None or loss < self.val_loss):
            self.val_loss, self.sharpe = loss, report.values.get("sharpe")

    def lose(self, known: int) -> int:
        """Counts a loss of its worker; returns how many there were without a report since.

        Args:
            known: its last epoch known.
        """
        self.losses = self.losses + 1 if known == self.lost_at else 1
        self.lost_at = known
        return self.losses

    def facts(self, stop_epoch: int, n_parameters: int) -> dict[str, Any]:
        """Returns what the study keeps of a trial that ended."""
        return {
            "stop_epoch": stop_epoch,
            "epochs": self.epochs,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "n_parameters": n_parameters,
            "cohort": self.cohort,
        }


class Courses:
    """The courses of all trials by number."""

    def __init__(self) -> None:
        self._all: dict[int, Course] = {}
        self.best: tuple[float, int] | None = None

    def __getitem__(self, number: int) -> Course:
        """Returns one trial's course."""
        return self._all[number]

    def __contains__(self, number: int) -> bool:
        """Says whether a trial is known."""
        return number in self._all

    def add(self, asked: Asked) -> None:
        """Begins a trial's course."""
        self._all[asked.number] = Course(asked)

    def children(self, number: int, kind: str) -> int:
        """Returns how many trials of a kind repeat this one."""
        mine = (c.asked for c in self._all.values() if c.asked.parent == number)
        return sum(asked.kind == kind for asked in mine)

    def count(self, report: Report) -> None:
        """Takes one epoch into its trial's course; `best` follows."""
        course = self._all[report.number]
        course.count(report)
        if course.asked.kind not in SEARCHED:
            return
        ahead = self.best is not None and self.best[1] == report.number
        rivals: Iterable[Course] = self._all.values() if ahead else [course]
        known = [
            (c.sharpe, c.asked.number)
            for c in rivals
            if c.sharpe is not None and c.asked.kind in SEARCHED
        ]
        if not ahead and self.best is not None:
            known.append(self.best)
        self.best = max(known, default=None)
