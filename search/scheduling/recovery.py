"""The trials of a search from their beginning to their end, those of other drivers included.

A search that was killed goes on where it was; one that others drive too takes up what they leave.
"""

import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from search.pruning.pruner import Pruner
from search.pruning.verdict import Verdict
from search.run_folder.reports import ReportStore
from search.sampler.seeds import derive_seed
from search.scheduling.placement import Placement
from search.scheduling.trial_progress import ProgressTable
from search.study.study import SEARCHED, SearchStudy, TrialRecord, TrialSpec
from trainable.report import Report

POLL_S = 3.0  # between two looks at what other drivers do


class Keeper:
    """Begins and ends trials, adds the seeds, and hears what other drivers do.

    Args:
        study: the durable truth.
        judge: the pruning rules.
        results: where reports are kept.
        courses: of the trials.
        seating: takes in who waits.
        finalist_seeds: seeds that each finished configuration is trained with.
        n_parameters: of a trial's model, by its parameters.
        epochs: of a full training; a resumed search may have more than it began with.

    Attributes:
        reasons: why searched trials have ended, how often.
    """

    def __init__(
        self,
        study: SearchStudy,
        judge: Pruner,
        results: ReportStore,
        courses: ProgressTable,
        seating: Placement,
        finalist_seeds: int,
        n_parameters: Callable[[TrialSpec], int],
        epochs: int,
    ) -> None:
        self.study, self.judge, self.results = study, judge, results
        self.courses, self.seating, self.roster = courses, seating, seating.roster
        self.finalist_seeds, self.n_parameters, self.epochs = finalist_seeds, n_parameters, epochs
        self.reasons: Counter[str] = Counter()
        self._ended: set[int] = set()
        self._ends: dict[int, Verdict] = {}  # of trials that are running in the study
        self._due: set[int] = set()  # complete, and to be given their seeds
        self._poll_at = 0.0

    def go_on(self) -> None:
        """Takes up what an earlier driver left: its reports, its running trials, its seeds."""
        rows = self.study.rows()
        self.study.refresh()  # others may have asked since it was opened
        for row in rows:
            self._learn(row)
        batches = list(self.results.batches())
        for batch in batches:
            for report in batch:
                self.courses.count(report)
        self._note(self.judge.restore(batches))
        for row in rows:
            if row.state == "RUNNING" and self.study.holds(row.number):
                self._take_up(row.number)
        self._due |= self._complete()
        self.add_seeds()

    def poll(self, room: int, idle: bool) -> bool:
        """Hears what other drivers do, every few seconds, and takes over what nobody trains.

        Args:
            room: how many more trials this driver can have in flight.
            idle: whether a slot of it has nobody to train, and nobody will come by himself.

        Returns:
            Whether the time had come.
        """
        if not self.study.shared or time.monotonic() < self._poll_at:
            return False
        self.study.refresh()
        self.hear(self.results.others())
        if self._claim(room, idle):
            self.settle()
        self.add_seeds()
        self.study.say_idle(idle and not self.seating.somebody_waits)
        self._poll_at = time.monotonic() + POLL_S
        return True

    def _claim(self, most: int, idle: bool) -> bool:
        taken = self.study.claim(most, idle)
        # Who released a trial may have reported it since the last look.
        self.hear(self.results.others() if taken else [])
        for number in taken:
            self._take_up(number)
        return bool(taken)

    def give_up(self, verdict: Verdict) -> None:
        """Leaves what waits to other drivers; ends it where there are none."""
        pools = (self.seating.waiting, self.seating.seeds)
        waiting = [asked.number for pool in pools for asked in pool.drain()]
        if waiting and self.study.others:
            self.study.release(waiting)
            return
        for number in waiting:
            if self.study.holds(number):
                self.end(number, verdict)

    def end_left(self, verdict: Verdict) -> None:
        """Ends what other drivers have left, and nobody will train."""
        self._claim(sys.maxsize, idle=True)
        self.give_up(verdict)

    def hear(self, batches: Sequence[Sequence[Report]]) -> None:
        """Takes in batches of other drivers' reports, in the order of their arrival."""
        for row in self.study.news():
            self._learn(row)
        for batch in batches:
            if any(report.number not in self.courses for report in batch):
                self.study.refresh()
                self.hear([])
            for report in batch:
                self.courses.count(report)
            self._note(self.judge.judge(batch))

    def enter(self, asked: TrialSpec) -> None:
        """Begins a trial's course."""
        self.courses.add(asked)
        # Of one seed, a setting that never acts may leave two trials equal; of two, nothing may.
        self.judge.register(asked.number, asked.seed)
        if asked.kind not in SEARCHED:
            self.judge.exempt(asked.number)

    def end(self, number: int, verdict: Verdict) -> None:
        """Ends a trial; its seeds follow with `add_seeds`."""
        if verdict.reason is None:
            raise ValueError(f"trial {number} ends without a reason")
        self.finish(number, verdict.state, verdict.reason, verdict.evidence)

    def finish(self, number: int, state: str, reason: str, evidence: Mapping[str, Any]) -> None:
        """Ends a trial for a reason."""
        course = self.courses[number]
        stop_epoch = self.judge.epoch(number) or course.epochs
        facts = course.facts(stop_epoch, self.n_parameters(course.asked))
        value = self.judge.objective(number)
        if not self.study.finish(number, state, reason, evidence, value, facts):
            return
        self._count(number, reason)
        if state == "COMPLETE" and course.asked.kind in SEARCHED:
            self._due.add(number)

    def settle(self) -> None:
        """Adds seeds that another driver has not: it may have died after it ended their trial."""
        if self.study.shared:
            self._due |= self._complete()
            self.add_seeds()

    def add_seeds(self) -> None:
        """Adds the seeds that finished configurations still lack."""
        if not self._due:
            return
        due, self._due = sorted(self._due), set()
        with self.study.turn():
            self.hear([])  # another driver may have added them
            with self.study.together():
                for number in due:
                    self._add_seeds(self.courses[number].asked)

    def _add_seeds(self, parent: TrialSpec) -> None:
        for turn in range(self.courses.children(parent.number, "seed"), self.finalist_seeds - 1):
            seed = derive_seed(parent.seed, 2, turn)
            asked = self.study.add(parent.number, "seed", parent.params, seed)
            self.enter(asked)
            self.seating.wait(asked.number)

    def _complete(self) -> set[int]:
        rows = self.study.rows()
        return {row.number for row in rows if row.state == "COMPLETE" and row.kind in SEARCHED}

    def _learn(self, row: TrialRecord) -> None:
        """Takes in a trial as the study has it."""
        if row.number not in self.courses:
            params = row.params
            if row.state == "RUNNING" and "train/epochs" in params:
                params = {**params, "train/epochs": self.epochs}
            self.enter(TrialSpec(row.number, params, row.kind, row.seed, row.parent))
        self.roster.cohorts = max(self.roster.cohorts, row.facts.get("cohort") or 0)
        if row.reason is not None:
            self._count(row.number, row.reason)

    def _take_up(self, number: int) -> None:
        """Goes on with a trial that a driver left, or ends it as that would have."""
        for epoch in self.results.epochs(number):  # that a killed driver had not stored yet
            self.study.report(number, epoch, self.judge.objective(number, epoch))
        if number in self._ends:
            self.end(number, self._ends[number])
        else:
            self.seating.wait(number)

    def _note(self, verdicts: Mapping[int, Verdict]) -> None:
        self._ends |= {n: v for n, v in verdicts.items() if v.ends and n not in self._ended}

    def _count(self, number: int, reason: str) -> None:
        if number in self._ended:
            return
        self._ended.add(number)
        self._ends.pop(number, None)
        if self.courses[number].asked.kind in SEARCHED:
            self.reasons[reason] += 1
