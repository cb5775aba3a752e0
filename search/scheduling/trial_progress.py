"""What each trial has used so far, and what it would be ranked by."""

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from search.study.study import SEARCHED, TrialSpec
from search.study.trials import EPOCHS
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
    failures: int = 0
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
        """Counts a failure of its worker; `failures` are those since its last progress.

        Args:
            known: its last epoch and its newest checkpoint.
            alone: it was the only member of that worker.
        """
        if known != self.lost_at:
            self.failures, self.lost_alone, self.lost_at = 0, 0, known
        self.failures += 1
        self.lost_alone += alone

    def facts(self, stop_epoch: int, n_parameters: int) -> dict[str, Any]:
        """Returns what the study keeps of a trial that ended."""
        params = self.trial.params
        length = {"train_epochs": params[EPOCHS]} if EPOCHS in params else {}
        return length | {
            "stop_epoch": stop_epoch,
            "epochs": self.epochs,
            "steps": self.steps,
            "seconds": round(self.seconds, 3),
            "n_parameters": n_parameters,
            "cohort": self.cohort,
        }


class ProgressTable:
    """The progress of all trials by number.

    Attributes:
        steps: optimizer steps of all trials that were trained for this process.
        failed_steps: those of them with a loss, gradient or weight that was not finite.
        default: number of the default of the search; None before it is asked, or without one.
    """

    def __init__(self) -> None:
        self.steps = 0
        self.default: int | None = None
        self.failed_steps = 0.0
        self._all: dict[int, TrialProgress] = {}
        self._children: dict[tuple[int, str], list[int]] = {}
        self._ranked: list[tuple[float, int]] = []  # Sharpe ratio and number of those searched

    def __getitem__(self, number: int) -> TrialProgress:
        """Returns one trial's progress."""
        return self._all[number]

    def __iter__(self) -> Iterator[TrialProgress]:
        """Returns the progress of every trial, in the order in which they began."""
        return iter(self._all.values())

    def __contains__(self, number: int) -> bool:
        """Says whether a trial is known."""
        return number in self._all

    @property
    def median(self) -> float | None:
        """The median Sharpe ratio of the searched trials; None before there is one.

        Each trial counts at the epoch that it would be ranked by.
        """
        n = len(self._ranked)
        middle = self._ranked[(n - 1) // 2 : n // 2 + 1]
        return median(sharpe for sharpe, _ in middle) if middle else None

    def add(self, trial: TrialSpec) -> None:
        """Adds a trial."""
        self._all[trial.number] = TrialProgress(trial)
        if trial.default:
            self.default = trial.number
        if trial.parent is not None:
            self._children.setdefault((trial.parent, trial.kind), []).append(trial.number)

    def children(self, number: int, kind: str) -> list[int]:
        """Returns the trials of a kind that repeat this one."""
        return self._children.get((number, kind), [])

    def take(self, reports: Sequence[Report]) -> None:
        """Takes in new reports of trials that train for this process; counts their steps."""
        for report in reports:
            steps = max(0, report.steps - self._all[report.number].steps)
            self.count(report)
            self.steps += steps
            self.failed_steps += steps * (report.values.get("nan_rate") or 0.0)

    def count(self, report: Report) -> None:
        """Takes one epoch into its trial's progress; `median` follows."""
        progress = self._all[report.number]
        before = progress.sharpe
        progress.count(report)
        if progress.trial.kind not in SEARCHED or progress.sharpe == before:
            return
        if before is not None:
            del self._ranked[bisect_left(self._ranked, (before, report.number))]
        if progress.sharpe is not None:
            insort(self._ranked, (progress.sharpe, report.number))
