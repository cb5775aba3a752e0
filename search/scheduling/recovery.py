"""Restores an interrupted search, and follows the other drivers of its study."""

from collections.abc import Sequence

from search.pruning.verdict import Verdict
from search.run_folder.reports import ReportStore
from search.scheduling.lifecycle import TrialLifecycle
from search.scheduling.placement import Placement
from search.study.study import SearchStudy
from search.study.trials import TrialRecord, TrialSpec
from trainable.report import Report


class Recovery:
    """Restores a search from its study and its reports, and follows other drivers.

    Args:
        study: the durable record.
        reports: of all drivers.
        lifecycle: begins and ends trials.
        placement: where trials wait.
        epochs: of a full training; a resumed search may have more than it began with.
    """

    def __init__(
        self,
        study: SearchStudy,
        reports: ReportStore,
        lifecycle: TrialLifecycle,
        placement: Placement,
        epochs: int,
    ) -> None:
        self.study, self.reports, self.epochs = study, reports, epochs
        self.lifecycle, self.placement = lifecycle, placement

    def restore(self) -> None:
        """Restores what an earlier driver left: its reports and its running trials."""
        rows = self.study.rows()
        self.study.refresh()  # others may have asked since it was opened
        for row in rows:
            self._learn(row)
        batches = list(self.reports.batches())
        for batch in batches:
            for report in batch:
                self.lifecycle.progress.count(report)
        self.lifecycle.note_verdicts(self.lifecycle.pruner.restore(batches))
        for row in rows:
            if row.state == "RUNNING" and self.study.holds(row.number):
                self._take_up(row.number)

    def follow(self, batches: Sequence[Sequence[Report]]) -> None:
        """Takes in batches of other drivers' reports, in the order of their arrival."""
        for row in self.study.news():
            self._learn(row)
        for batch in batches:
            if any(report.number not in self.lifecycle.progress for report in batch):
                self.study.refresh()
                self.follow([])
            for report in batch:
                self.lifecycle.progress.count(report)
            self.lifecycle.note_verdicts(self.lifecycle.pruner.judge(batch))

    def claim(self, most: int, idle: bool) -> bool:
        """Takes over trials that no driver trains, at most so many; says whether there were any."""
        taken = self.study.claim(most, idle)
        # Who released a trial may have reported it since the last look.
        self.follow(self.reports.others() if taken else [])
        for number in taken:
            self._take_up(number)
        return bool(taken)

    def give_up_waiting(self, verdict: Verdict) -> None:
        """Leaves the trials that wait to other drivers; ends them where there are none."""
        waiting = self.placement.take_all()
        if waiting and self.study.others:
            self.study.release(waiting)
            return
        for number in waiting:
            if self.study.holds(number):
                self.lifecycle.end(number, verdict)

    def _learn(self, row: TrialRecord) -> None:
        """Takes in a trial as the study has it."""
        if row.number not in self.lifecycle.progress:
            params = row.params
            if row.state == "RUNNING" and "train/epochs" in params:
                params = {**params, "train/epochs": self.epochs}
            self.lifecycle.begin(TrialSpec(row.number, params, row.kind, row.seed, row.parent))
        slots = self.placement.slots
        slots.cohorts = max(slots.cohorts, row.facts.get("cohort") or 0)
        if row.reason is not None:
            self.lifecycle.note_end(row.number, row.reason)

    def _take_up(self, number: int) -> None:
        """Goes on with a trial that a driver left, or ends it as that driver would have."""
        pruner = self.lifecycle.pruner
        for epoch in self.reports.epochs(number):  # that a killed driver had not stored yet
            self.study.report(number, epoch, pruner.objective(number, epoch))
        if number in self.lifecycle.pending:
            self.lifecycle.end(number, self.lifecycle.pending[number])
        else:
            self.placement.wait(number)
