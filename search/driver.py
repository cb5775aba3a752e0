"""The search without Ray: hands out cohorts, takes their reports, ends trials, adds the seeds.

What arrives is kept (results), judged (pruning) and stored (study), in this order: a report is on
disk before anybody decides on it, and a trial's end is decided before it is told.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from search.cohorts import Pool, Sizes
from search.courses import Courses
from search.prefetch import Prefetcher
from search.pruning import Judge
from search.results import Results
from search.sampler import derive_seed
from search.study import SEARCHED, Asked, SearchStudy
from search.verdict import Verdict
from trainable.config import from_params, shape_key
from trainable.models import BATCHED
from trainable.report import Report

STATES = {"complete": "COMPLETE", "prune": "PRUNED"}


@dataclass(frozen=True)
class Ended:
    """Members that the driver ended, for the worker to take out; `well`: with a model to keep."""

    numbers: list[int] = field(default_factory=list)
    well: list[int] = field(default_factory=list)


class Driver:
    """Runs one search to its end.

    Args:
        study: the durable truth.
        judge: the pruning rules.
        results: where reports are kept.
        asker: asks for trials in the background.
        sizes: of cohorts.
        finalist_seeds: seeds that each finished configuration is trained with.
        n_parameters: of a trial's model, by its parameters.
        epochs: of a full training; a resumed search may have more than it began with.
        deadline: `time.monotonic()` at which the search ends; None: never.
    """

    def __init__(
        self,
        study: SearchStudy,
        judge: Judge,
        results: Results,
        asker: Prefetcher,
        sizes: Sizes,
        finalist_seeds: int,
        n_parameters: Callable[[Asked], int],
        epochs: int,
        deadline: float | None = None,
    ) -> None:
        self.study, self.judge, self.results = study, judge, results
        self.asker, self.sizes = asker, sizes
        self.finalist_seeds = finalist_seeds
        self.n_parameters = n_parameters
        self.epochs = epochs
        self.deadline = deadline
        self.waiting, self.seeds = Pool(), Pool()
        self.courses = Courses()
        self.alone: set[int] = set()
        self.running: dict[int, set[int]] = {}
        self.cohorts = 0
        self.reasons: Counter[str] = Counter()
        self._go_on()

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        if self.running or len(self.waiting) or len(self.seeds):
            return False
        self.asker.want(self.sizes.untold)  # raises what asking raised
        return self.asker.exhausted

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is used up."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def next_cohort(self) -> tuple[int, list[Asked]] | None:
        """Returns a cohort's id and members to start now, or None."""
        if self.out_of_time:
            self._end_waiting()
            return None
        if len(self.running) >= self.sizes.slots:
            return None
        for asked in self.asker.take(self.sizes.members):
            self._wait(self.waiting, asked)
        cohort = self.waiting.cut(self.sizes.members, self.asker.busy)
        if not cohort and not self.asker.busy:
            # The sampler does not wait for seeds: all may train at once, on the free slots.
            share = math.ceil(len(self.seeds) / (self.sizes.slots - len(self.running)))
            cohort = self.seeds.cut(max(self.sizes.members, share), False)
        if not cohort:
            return None
        self.cohorts += 1
        self.running[self.cohorts] = {asked.number for asked in cohort}
        for asked in cohort:
            self.courses[asked.number].cohort = self.cohorts
        return self.cohorts, cohort

    def take(self, cohort: int, reports: Sequence[Report]) -> Ended:
        """Keeps, judges and stores what a cohort reported; says which members it must let go."""
        new = self.results.add(reports)
        verdicts = self.judge.judge(reports)
        if self.out_of_time:
            late = Verdict("prune", "time_budget", {})
            live = self.running[cohort] - {n for n, v in verdicts.items() if v.ends}
            verdicts |= dict.fromkeys(live, late)
        ended, well = [], []
        with self.study.together():
            for report in new:
                self.courses.count(report)
                value = self.judge.objective(report.number, report.epoch)
                self.study.report(report.number, report.epoch, value)
            for number, verdict in verdicts.items():
                if verdict.ends and number in self.running[cohort]:
                    self.running[cohort].discard(number)
                    self._finish(number, STATES[verdict.action], verdict.reason or "", verdict)
                    ended.append(number)
                    if verdict.action == "complete":
                        well.append(number)
        if self._thinned(cohort, reports):
            for number in sorted(self.running[cohort]):
                self._wait_again(number)
            self.running[cohort].clear()
        return Ended(ended, well)

    def known(self, number: int) -> int:
        """Returns the last epoch of a trial whose report is kept."""
        return self.results.last_epoch(number)

    def closed(self, cohort: int) -> None:
        """Notes that a cohort gave its slot back."""
        self.running.pop(cohort, None)

    def lost(self, cohort: int, reason: str, text: str) -> list[int]:
        """Ends the member of a cohort that failed for good; of several, tries each alone first.

        Returns the numbers that failed.
        """
        numbers = sorted(self.running.pop(cohort, set()))
        if len(numbers) > 1:
            self.alone |= set(numbers)
            for number in numbers:
                self._wait_again(number)
            return []
        for number in numbers:
            last = text.strip().splitlines()[-1] if text.strip() else reason
            self._finish(number, "FAIL", reason, Verdict("prune", reason, {"error": last[:500]}))
        return numbers

    def _thinned(self, cohort: int, reports: Sequence[Report]) -> bool:
        """Whether the survivors of a rung had better wait for others of their shape and age.

        A cohort of one or two would hold a core that a full one could use.
        """
        live = self.running[cohort]
        if not live or len(live) > self.sizes.members // 2:
            return False
        at_rung = any(r.epoch in self.judge.levels for r in reports if r.number in live)
        searched = all(self.courses[number].asked.kind in SEARCHED for number in live)
        return at_rung and searched and not (self.asker.exhausted and not len(self.waiting))

    def _go_on(self) -> None:
        """Takes up what an earlier driver left: its reports, its running trials, its seeds."""
        rows = self.study.rows()
        for row in rows:
            params = row.params
            if row.state == "RUNNING" and "train/epochs" in params:
                params = {**params, "train/epochs": self.epochs}
            self._enter(Asked(row.number, params, row.kind, row.seed, row.parent))
            self.cohorts = max(self.cohorts, row.facts.get("cohort") or 0)
            if row.state != "RUNNING" and row.kind in SEARCHED:
                self.reasons[row.reason or ""] += 1
        batches = list(self.results.batches())
        reports = [report for batch in batches for report in batch]
        for report in reports:
            self.courses.count(report)
        verdicts = self.judge.restore(batches)
        for report in reports:  # those kept that a killed driver had not stored yet
            value = self.judge.objective(report.number, report.epoch)
            self.study.report(report.number, report.epoch, value)
        for row in rows:
            if row.state != "RUNNING":
                continue
            verdict = verdicts.get(row.number)
            if verdict is not None and verdict.ends:
                self._finish(row.number, STATES[verdict.action], verdict.reason or "", verdict)
            else:
                self._wait_again(row.number)
        for row in self.study.rows():
            if row.state == "COMPLETE" and row.kind in SEARCHED:
                self._add_seeds(self.courses[row.number].asked)

    def _wait_again(self, number: int) -> None:
        asked = self.courses[number].asked
        self._wait(self.waiting if asked.kind in SEARCHED else self.seeds, asked)

    def _wait(self, pool: Pool, asked: Asked) -> None:
        if asked.number not in self.courses:
            self._enter(asked)
        config = from_params(asked.params)
        single = asked.number in self.alone or config.model.name not in BATCHED
        key = (shape_key(config), self.known(asked.number), asked.number if single else None)
        pool.add(key, asked)

    def _enter(self, asked: Asked) -> None:
        self.courses.add(asked)
        # Of one seed, a setting that never acts may leave two trials equal; of two, nothing may.
        self.judge.register(asked.number, asked.seed)
        if asked.kind not in SEARCHED:
            self.judge.exempt(asked.number)

    def _finish(self, number: int, state: str, reason: str, verdict: Verdict) -> None:
        course = self.courses[number]
        stop_epoch = self.judge.epoch(number) or course.epochs
        facts = course.facts(stop_epoch, self.n_parameters(course.asked))
        value = self.judge.objective(number)
        if not self.study.finish(number, state, reason, verdict.evidence, value, facts):
            return
        if course.asked.kind in SEARCHED:
            self.reasons[reason] += 1
            if state == "COMPLETE":
                self._add_seeds(course.asked)

    def _add_seeds(self, parent: Asked) -> None:
        """Adds the seeds that a finished configuration still lacks."""
        for turn in range(self.courses.children(parent.number, "seed"), self.finalist_seeds - 1):
            seed = derive_seed(parent.seed, 2, turn)
            asked = self.study.add(parent.number, "seed", parent.params, seed)
            self._wait(self.seeds, asked)

    def _end_waiting(self) -> None:
        for asked in self.asker.close():
            self._wait(self.waiting, asked)
        for pool in (self.waiting, self.seeds):
            for asked in pool.empty():
                late = Verdict("prune", "time_budget", {})
                self._finish(asked.number, "PRUNED", "time_budget", late)
