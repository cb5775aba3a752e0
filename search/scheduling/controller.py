"""The search without Ray: fills slots, takes their reports, ends trials, adds the seeds.

What arrives is kept (results), judged (pruning) and stored (study), in this order: a report is on
disk before anybody decides on it, and a trial's end is decided before it is told.
"""

import time
from collections.abc import Callable, Sequence

from search.monitor.tensorboard import Events
from search.pruning.pruner import Pruner
from search.pruning.verdict import Instructions, Verdict
from search.run_folder.reports import ReportStore
from search.scheduling.cohorts import Capacity
from search.scheduling.placement import Placement
from search.scheduling.recovery import Keeper
from search.scheduling.trial_progress import ProgressTable
from search.study.prefetch import Prefetcher
from search.study.study import SearchStudy, TrialSpec
from trainable.config import TrialConfig
from trainable.report import Report
from trainable.worker.assignment import Assignment

RETRIES = 2  # of workers lost with neither report nor checkpoint between; then of each one alone
LATE = Verdict("prune", "time_budget")


class Controller(Keeper):
    """Runs one search to its end; `go_on` first, for what an earlier one left.

    Args:
        study: the durable truth.
        judge: the pruning rules.
        results: where reports are kept.
        events: where TensorBoard finds them.
        asker: asks for trials in the background.
        sizes: of slots.
        finalist_seeds: seeds that each finished configuration is trained with.
        n_parameters: of a trial's model, by its parameters.
        epochs: of a full training; a resumed search may have more than it began with.
        deadline: `time.monotonic()` at which the search ends; None: never.
        why_alone: why a model trains without others beside it; None: it does not.
        saved: what the newest checkpoint of a trial is called; None before there is one.
    """

    def __init__(
        self,
        study: SearchStudy,
        judge: Pruner,
        results: ReportStore,
        events: Events,
        asker: Prefetcher,
        sizes: Capacity,
        finalist_seeds: int,
        n_parameters: Callable[[TrialSpec], int],
        epochs: int,
        deadline: float | None = None,
        why_alone: Callable[[TrialConfig], str | None] = lambda config: None,
        saved: Callable[[int], str | None] = lambda number: None,
    ) -> None:
        courses = ProgressTable()
        seating = Placement(sizes, courses, why_alone)
        super().__init__(
            study, judge, results, courses, seating, finalist_seeds, n_parameters, epochs
        )
        self.events, self.asker, self.sizes, self.deadline = events, asker, sizes, deadline
        self.saved = saved
        self.moving: dict[int, list[int]] = {}  # by the slot that they leave, until they are saved
        self._opened = 0

    @property
    def running(self) -> dict[int, set[int]]:
        """The numbers that train, by slot."""
        return self.roster.running

    @property
    def finished(self) -> bool:
        """Whether nothing is left to train."""
        if any(self.running.values()) or any(self.moving.values()) or self.seating.somebody_waits:
            return False
        over = self.asker.exhausted
        self.asker.want(self.seating.ahead())  # raises what asking raised, or ended it just now
        if not over or self.study.elsewhere:
            return over and self.out_of_time
        self.settle()
        return not self.seating.somebody_waits

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is used up."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def open(self) -> int | None:
        """Opens a slot for a worker; None where all are open, or the trials would not need it."""
        if len(self.running) >= max(self.sizes.slots, min(self.sizes.opened, self._in_flight)):
            return None
        self._opened += 1
        self.roster.open(self._opened)
        return self._opened

    def fill(self, slot: int) -> list[Assignment]:
        """Returns the members that a slot takes in now; none when it has enough, or none wait."""
        if self.out_of_time:
            self._end_waiting()
            return []
        self._receive()
        joining: list[TrialSpec] = []
        while len(self.seating.waiting) and (found := self.seating.seat(slot)):
            joining += [asked for asked in found if self._may_train(slot, asked.number)]
        if not joining and not len(self.seating.waiting) and not self.asker.busy:
            found = self.seating.seat_seeds(slot)
            joining = [asked for asked in found if self._may_train(slot, asked.number)]
        if not self.roster.members(slot):
            self.seating.idle.add(slot)
        return [Assignment(a.number, a.params, self.results.last_epoch(a.number)) for a in joining]

    def _receive(self) -> None:
        for asked in self.asker.take(self.sizes.untold):
            self.enter(asked)
            self.seating.wait(asked.number)
        self.asker.hold(self.seating.ahead())

    def take(self, slot: int, reports: Sequence[Report]) -> Instructions:
        """Keeps, judges and stores what a slot reported; says which members it must let go."""
        ended = self._let_go(slot)
        reports = [report for report in reports if report.number not in ended]
        new = self.results.add(reports)
        self.hear(self.results.heard())  # what came before it
        verdicts = self.judge.judge(reports)
        members = self.roster.members(slot)
        if self.out_of_time:
            live = members - {n for n, v in verdicts.items() if v.ends}
            verdicts |= dict.fromkeys(live, LATE)
        well, moving = [], []
        with self.study.together():
            self.courses.take(slot, new)
            for report in new:
                self.events.write(report, self.courses[report.number].asked.params)
                self.seating.trust(report.number)
                value = self.judge.objective(report.number, report.epoch)
                self.study.report(report.number, report.epoch, value)
            for number, verdict in verdicts.items():
                if verdict.ends and number in members:
                    self.roster.leave(slot, number)
                    self.end(number, verdict)
                    ended.append(number)
                    if verdict.action == "complete":
                        well.append(number)
                elif number in members and verdict.undecided and self.seating.alone(number):
                    moving.append(number)
        if not self.asker.busy:
            moving += self.seating.surplus(slot)
        for number in moving:
            self.roster.leave(slot, number)
        self.moving.setdefault(slot, []).extend(moving)
        self.add_seeds()
        return Instructions(ended, well, moving)

    def moved(self, slot: int) -> None:
        """Notes that the members on their way out of a slot have been saved."""
        for number in self.moving.pop(slot, []):
            self.seating.wait(number)

    def look_around(self) -> None:
        """Hears of other drivers, every few seconds; takes over what they leave, and shares."""
        over = self.out_of_time
        waits = self.seating.somebody_waits
        idle = bool(self.seating.idle) and not waits and not over and self.asker.exhausted
        if self.poll(0 if over else self.sizes.untold - self._in_flight, idle):
            self._share()

    def _share(self) -> None:
        """Releases trials that would wait here while another driver is idle."""
        alone = self.seating.idle and not self.seating.somebody_waits  # slots may take turns
        if alone or self.out_of_time or not (drivers := self.study.idle_drivers):
            return
        self._receive()
        if given := self.seating.give(drivers):
            self.study.release(given)

    @property
    def _in_flight(self) -> int:
        """The trials that train here, or wait for it."""
        waiting = len(self.seating.waiting) + len(self.seating.seeds)
        return waiting + sum(map(len, [*self.running.values(), *self.moving.values()]))

    def _let_go(self, slot: int) -> list[int]:
        """Takes members out that another driver has taken over, as this one slept."""
        lost = [n for n in sorted(self.roster.members(slot)) if not self.study.holds(n)]
        for number in lost:
            self.roster.leave(slot, number)
        return lost

    def _may_train(self, slot: int, number: int) -> bool:
        """Whether a trial is ours, and no rung that could not judge it yet ends it by now."""
        verdict = self.judge.reconsider(number)
        ours = self.study.holds(number)
        if ours and (verdict is None or not verdict.ends):
            return True
        self.roster.leave(slot, number)
        if ours and verdict is not None:
            self.end(number, verdict)
        return False

    def stands(self, slot: int, gpu: str) -> None:
        """Notes of which GPU a slot's worker has a share."""
        self.seating.gpus[slot] = gpu

    def closed(self, slot: int) -> None:
        """Notes that a worker is gone whose members have all ended."""
        self.seating.close(slot)

    def resize(self, sizes: Capacity) -> None:
        """Goes on with slots as many and as large as the machines there are now hold."""
        self.sizes = self.seating.sizes = sizes

    def lost(self, slot: int, reason: str, text: str) -> list[int]:
        """Takes back the members of a worker that failed; returns the numbers that failed for good.

        A lost worker's go on from their checkpoints elsewhere. After an error, and when workers
        are lost again and again, they are tried half by half, until the culprit is alone and fails;
        of lost workers only if it is lost alone again and again, since machines go at any time.
        """
        self.moved(slot)
        numbers = [number for number in self.seating.close(slot) if self.study.holds(number)]
        lost = {n: self.courses[n] for n in numbers}
        for number, course in lost.items():
            known = self.results.last_epoch(number), self.saved(number)
            course.lose(known, alone=len(numbers) == 1)
        raised = reason != "worker_lost"
        suspects = [n for n, course in lost.items() if raised or course.losses > RETRIES]
        if len(numbers) == 1 and (raised or lost[numbers[0]].lost_alone > RETRIES):
            last = text.strip().splitlines()[-1] if text.strip() else reason
            self.finish(numbers[0], "FAIL", reason, {"error": last[:500]})
            return numbers
        if reason == "out_of_memory":
            self.seating.shrink(len(numbers))
        self.seating.part(suspects)
        for number in numbers:
            self.seating.wait(number)
        return []

    def _end_waiting(self) -> None:
        for asked in self.asker.close():
            self.enter(asked)
            self.seating.wait(asked.number)
        self.give_up(LATE)
