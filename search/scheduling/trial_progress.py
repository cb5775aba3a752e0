"""What each trial has used so far, which one is ahead, and how fast they go."""

import time
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from search.monitor.pace import Pace, Spell
from search.study.study import SEARCHED, TrialSpec
from trainable.report import Report


@dataclass
class TrialProgress:
    """One trial: what it used, and the Sharpe ratio of the epoch it would be ranked by."""

    trial: TrialSpec
    cohort: int | None = None
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    val_loss: float | None = None
    sharpe: float | None = None
    losses: int = 0
    lost_alone: int = 0
    lost_at: tuple[int, str | None] | None = None

    def count(self, report: Report) -> None:
        """Takes one epoch in."""
        self.epochs = max(self.epochs, report.epoch)
        self.steps = max(self.steps, report.steps)
        self.seconds += report.seconds
        loss = report.values.get("val_loss")
        if loss is not None and (self.val_loss is None or loss < self.val_loss):
            self.val_loss, self.sharpe = loss, report.values.get("sharpe")

    def lose(self, known: tuple[int, str | None], alone: bool) -> None:
        """Counts a loss of its worker; `losses` are those without any progress between.

        Args:
            known: its last epoch and its newest checkpoint.
            alone: nobody else was lost with it.
        """
        if known != self.lost_at:
            self.losses, self.lost_alone, self.lost_at = 0, 0, known
        self.losses += 1
        self.lost_alone += alone

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


class ProgressTable:
    """The courses of all trials by number.

    Attributes:
        pace: of all slots.
    """

    def __init__(self) -> None:
        self.pace = Pace()
        self._all: dict[int, TrialProgress] = {}
        self._ranked: list[tuple[float, int]] = []  # Sharpe ratio and number of those searched

    def __getitem__(self, number: int) -> TrialProgress:
        """Returns one trial's course."""
        return self._all[number]

    def __contains__(self, number: int) -> bool:
        """Says whether a trial is known."""
        return number in self._all

    @property
    def best(self) -> tuple[float, int] | None:
        """The highest Sharpe ratio of a searched trial, and its number; None before there is one.

        Of each trial that of the epoch it would be ranked by.
        """
        return self._ranked[-1] if self._ranked else None

    @property
    def median(self) -> float | None:
        """The median of the same Sharpe ratios."""
        n = len(self._ranked)
        middle = self._ranked[(n - 1) // 2 : n // 2 + 1]
        return median(sharpe for sharpe, _ in middle) if middle else None

    def add(self, trial: TrialSpec) -> None:
        """Begins a trial's course."""
        self._all[trial.number] = TrialProgress(trial)

    def children(self, number: int, kind: str) -> int:
        """Returns how many trials of a kind repeat this one."""
        mine = (c.trial for c in self._all.values() if c.trial.parent == number)
        return sum(trial.kind == kind for trial in mine)

    def take(self, slot: int, reports: Sequence[Report]) -> None:
        """Takes in the new reports that came from a slot at once; the pace follows."""
        steps = failed = 0.0
        for report in reports:
            new = report.steps - self._all[report.number].steps
            self.count(report)
            steps += max(0, new)
            failed += max(0, new) * (report.values.get("nan_rate") or 0.0)
        if reports:
            seconds = sum(report.seconds for report in reports)
            self.pace.add(slot, Spell(time.monotonic(), seconds, steps, failed))

    def count(self, report: Report) -> None:
        """Takes one epoch into its trial's course; `best` and `median` follow."""
        course = self._all[report.number]
        before = course.sharpe
        course.count(report)
        if course.trial.kind not in SEARCHED or course.sharpe == before:
            return
        if before is not None:
            del self._ranked[bisect_left(self._ranked, (before, report.number))]
        if course.sharpe is not None:
            insort(self._ranked, (course.sharpe, report.number))
