"""Restores an interrupted search, and follows the other drivers of its study."""

from collections.abc import Sequence

from search.pruning.asha import JudgedAt
from search.pruning.verdict import Verdict
from search.run_folder.reports import ReportStore
from search.scheduling.lifecycle import TrialLifecycle
from search.scheduling.placement import Placement
from search.study.study import SearchStudy
from search.study.trials import EPOCHS, TrialRecord, TrialSpec
from trainable.report import Report
from trainable.run_format import SEARCHED


class Recovery:
    """Restores a search from its study and its reports, and follows other drivers.

    Args:
        study: the durable record.
        reports: of all drivers.
        lifecycle: begins and ends trials.
        placement: where trials wait.
        epochs: of a full training; a resumed search may have others than it began with.
        judged: at which rungs earlier sessions judged, the first one first.
    """

    def __init__(
        self,
        study: SearchStudy,
        reports: ReportStore,
        lifecycle: TrialLifecycle,
        placement: Placement,
        epochs: int,
        judged: Sequence[JudgedAt] = (),
    ) -> None:
        self.study, self.reports, self.epochs = study, reports, epochs
        self.judged = judged
        self.lifecycle, self.placement = lifecycle, placement

    def restore(self) -> None:
        """Restores what an earlier driver left: its reports and its running trials.

        What an earlier session judged is judged at the rungs of that session.
        """
        rows = self.study.rows()
        self.study.refresh()  # others may have asked since it was opened
        for row in rows:
            self._learn(row)
        pruner = self.lifecycle.pruner
        present = [rung.epoch for rung in pruner.rungs]
        earlier, verdicts = list(self.judged), {}
        for number, batch in self.reports.numbered_batches():
            while earlier and earlier[0].batch <= number:
                pruner.judge_at(earlier.pop(0).rungs)
            for report in batch:
                self.lifecycle.progress.count(report)
            verdicts |= pruner.restore([batch])
        pruner.judge_at(present)
        for number, reason in self.lifecycle.ended.items():
            pruner.note_end(number, reason)
        self.lifecycle.note_verdicts(verdicts)
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
        ended = self.lifecycle.ended
        for number in sorted({one.number for batch in batches for one in batch} & ended.keys()):
            self.lifecycle.pruner.note_end(number, ended[number])

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
            if row.state == "RUNNING" and EPOCHS in params:
                params = {**params, EPOCHS: self._length(row)}
            self.lifecycle.begin(
                TrialSpec(row.number, params, row.kind, row.seed, row.parent, row.default)
            )
        slots = self.placement.slots
        slots.cohorts = max(slots.cohorts, row.facts.get("cohort") or 0)
        if row.reason is not None:
            self.lifecycle.note_end(row.number, row.reason)

    def _length(self, row: TrialRecord) -> int:
        """Returns how long a trial that goes on is trained: as this session trains.

        A seed is trained as long as the trial that it repeats. One that has trained as long as this
        session would or longer goes on to its own end.
        """
        if row.kind not in SEARCHED or self.reports.last_epoch(row.number) >= self.epochs:
            return row.params[EPOCHS]
        return self.epochs

    def _take_up(self, number: int) -> None:
        """Goes on with a trial that a driver left, or ends it as that driver would have."""
        pruner = self.lifecycle.pruner
        for epoch in self.reports.epochs(number):  # that a killed driver had not stored yet
            self.study.report(number, epoch, pruner.objective(number, epoch))
        if number in self.lifecycle.pending:
            self.lifecycle.end(number, self.lifecycle.pending[number])
        else:
            self.placement.wait(number)
