"""The search without Ray: hands out cohorts, takes their reports, ends trials, adds the seeds.

What arrives is kept (results), judged (pruning) and stored (study), in this order: a report is on
disk before anybody decides on it, and a trial's end is decided before it is told.
"""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from search.cohorts import Pool, Sizes
from search.prefetch import Prefetcher
from search.pruning import Judge
from search.results import Results
from search.sampler import derive_seed
from search.study import SEARCHED, Asked, SearchStudy
from search.verdict import Verdict
from trainable.config import from_params, shape_key
from trainable.report import Report

STATES = {"complete": "COMPLETE", "prune": "PRUNED"}


@dataclass
class _Course:
    """What a trial in flight has used, and the epoch it would be ranked by."""

    asked: Asked
    cohort: int | None = None
    epochs: int = 0
    steps: int = 0
    seconds: float = 0.0
    val_loss: float | None = None
    sharpe: float | None = None


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
        deadline: float | None = None,
    ) -> None:
        self.study, self.judge, self.results = study, judge, results
        self.asker, self.sizes = asker, sizes
        self.finalist_seeds = finalist_seeds
        self.n_parameters = n_parameters
        self.deadline = deadline
        self.waiting, self.seeds = Pool(), Pool()
        self.courses: dict[int, _Course] = {}
        self.running: dict[int, set[int]] = {}
        self.cohorts = 0
        self.best: tuple[float, int] | None = None
        self.reasons: Counter[str] = Counter()
        self.notes: list[str] = []
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
            cohort = self.seeds.cut(self.sizes.members, False)
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
        for report in new:
            self._count(report)
        verdicts = self.judge.judge(reports)
        for report in new:
            value = self.judge.objective(report.number, report.epoch)
            self.study.report(report.number, report.epoch, value)
        if self.out_of_time:
            late = Verdict("prune", "time_budget", {})
            live = self.running[cohort] - {n for n, v in verdicts.items() if v.ends}
            verdicts |= dict.fromkeys(live, late)
        ended, well = [], []
        for number, verdict in verdicts.items():
            if verdict.ends and number in self.running[cohort]:
                self.running[cohort].discard(number)
                self._finish(number, STATES[verdict.action], verdict.reason or "", verdict)
                ended.append(number)
                if verdict.action == "complete":
                    well.append(number)
        if self._thinned(cohort, reports):
            for number in sorted(self.running[cohort]):
                self._wait(self.waiting, self.courses[number].asked)
            self.running[cohort].clear()
        return Ended(ended, well)

    def known(self, number: int) -> int:
        """Returns the last epoch of a trial whose report is kept."""
        return self.results.last_epoch(number)

    def closed(self, cohort: int) -> None:
        """Notes that a cohort gave its slot back."""
        self.running.pop(cohort, None)

    def lost(self, cohort: int, reason: str, text: str) -> list[int]:
        """Ends the members of a cohort that failed for good; returns their numbers."""
        numbers = sorted(self.running.pop(cohort, set()))
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
            asked = Asked(row.number, row.params, row.kind, row.seed, row.parent)
            self.courses[row.number] = _Course(asked)
            self._register(asked)
            if row.state != "RUNNING" and row.kind in SEARCHED:
                self.reasons[row.reason or ""] += 1
        batches = list(self.results.batches())
        reports = [report for batch in batches for report in batch]
        for report in reports:
            self._count(report)
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
            elif row.kind in SEARCHED:
                self._wait(self.waiting, self.courses[row.number].asked)
            else:
                self._wait(self.seeds, self.courses[row.number].asked)
        for row in self.study.rows():
            if row.state == "COMPLETE" and row.kind in SEARCHED:
                self._add_seeds(self.courses[row.number].asked)

    def _wait(self, pool: Pool, asked: Asked) -> None:
        if asked.number not in self.courses:
            self.courses[asked.number] = _Course(asked)
            self._register(asked)
        pool.add((shape_key(from_params(asked.params)), self.known(asked.number)), asked)

    def _register(self, asked: Asked) -> None:
        self.judge.register(asked.number, tuple(sorted(asked.params.items(), key=str)))
        if asked.kind not in SEARCHED:
            self.judge.exempt(asked.number)

    def _count(self, report: Report) -> None:
        course = self.courses[report.number]
        course.epochs = max(course.epochs, report.epoch)
        course.steps = max(course.steps, report.steps)
        course.seconds += report.seconds
        loss = report.values.get("val_loss")
        if loss is not None and (course.val_loss is None or loss < course.val_loss):
            course.val_loss, course.sharpe = loss, report.values.get("sharpe")
        searched = course.asked.kind in SEARCHED
        if searched and course.sharpe is not None:
            self._note_best(report.number, course.sharpe)

    def _note_best(self, number: int, sharpe: float) -> None:
        if self.best is not None and self.best[1] == number:
            others = [
                (c.sharpe, n)
                for n, c in self.courses.items()
                if c.sharpe is not None and c.asked.kind in SEARCHED
            ]
            self.best = max(others)
        elif self.best is None or sharpe > self.best[0]:
            self.best = (sharpe, number)

    def _finish(self, number: int, state: str, reason: str, verdict: Verdict) -> None:
        course = self.courses[number]
        facts = {
            "stop_epoch": course.epochs,
            "epochs": course.epochs,
            "steps": course.steps,
            "seconds": round(course.seconds, 3),
            "n_parameters": self.n_parameters(course.asked),
            "cohort": course.cohort,
        }
        value = self.judge.objective(number)
        if not self.study.finish(number, state, reason, verdict.evidence, value, facts):
            return
        if course.asked.kind in SEARCHED:
            self.reasons[reason] += 1
            if state == "COMPLETE":
                self._add_seeds(course.asked)

    def _add_seeds(self, parent: Asked) -> None:
        """Adds the seeds that a finished configuration still lacks."""
        known = [c for c in self.courses.values() if c.asked.parent == parent.number]
        have = sum(course.asked.kind == "seed" for course in known)
        for turn in range(have, self.finalist_seeds - 1):
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
