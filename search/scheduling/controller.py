"""The controller of a search: fills slots, takes in their reports, ends trials, adds seeds.

Reports are stored first, then judged, then told to the study: a report is on disk before anything
is decided on it, and a trial's end is decided before it is told.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from analysis.statistics.signal_share import WORTH
from search.pruning.asha import JudgedAt
from search.pruning.pruner import Pruner
from search.pruning.verdict import Verdict
from search.run_folder.reports import ReportStore
from search.scheduling.capacity import Capacity
from search.scheduling.finalist_seeds import FinalistSeeds
from search.scheduling.lifecycle import TrialLifecycle
from search.scheduling.pace import Pace
from search.scheduling.placement import Placement
from search.scheduling.recovery import Recovery
from search.scheduling.regret_trials import RegretTrials
from search.scheduling.retries import retry_of
from search.scheduling.rounds import Rounds
from search.scheduling.trial_progress import ProgressTable
from search.study.prefetch import Prefetcher
from search.study.study import SearchStudy
from search.study.trials import TrialSpec
from trainable.config import TrialConfig
from trainable.report import Report
from trainable.worker.assignment import Assignment, Instructions

POLL_S = 3.0  # between two looks at what other drivers do
TIME_IS_UP = Verdict("prune", "time_budget")


class ReportSink(Protocol):
    """What else is told each new report, once, in the order of arrival: TensorBoard, say."""

    def on_report(self, report: Report, params: Mapping[str, Any]) -> None:
        """Takes in a report of a trial with these parameters."""
        ...


class Controller:
    """Runs one search to its end; `restore` comes first, for what an earlier driver left.

    Args:
        study: the durable record.
        pruner: the rules that stop trials.
        reports: where reports are stored.
        sinks: what else each new report is told to.
        prefetcher: asks for trials in the background.
        capacity: of the machines.
        finalist_seeds: seeds that a finished configuration is trained with at most.
        n_parameters: of a trial's model.
        epochs: of a full training; a resumed search may have others than it began with.
        deadline: `time.monotonic()` at which the search ends; None: never.
        why_alone: why a model trains without others beside it; None: it does not.
        newest_checkpoint: name of a trial's newest checkpoint; None before there is one.
        judged: at which rungs earlier sessions judged, the first one first.
        race_from: `time.monotonic()` at which finalists begin to race with further seeds, although
            trials are still to be asked; None: when all are asked.
        patience_trials: ask for no more trials once so many more are not expected to be worth it;
            None: ask for all.
        in_rounds: workers wait for each other after each epoch, so that nothing depends on their
            speed.
        regret: share of the trials stopped by a rule that are finished on the side.

    Attributes:
        rounds: what is held back of the present round; None where slots do not wait.
        workers_lost: how often one was.
        progress: of the trials.
        placement: who waits, and who trains where.
        lifecycle: how trials begin and end.
        pace: what an epoch costs.
        poll_at: `time.monotonic()` of the next look at other drivers.
    """

    def __init__(
        self,
        study: SearchStudy,
        pruner: Pruner,
        reports: ReportStore,
        sinks: Sequence[ReportSink],
        prefetcher: Prefetcher,
        capacity: Capacity,
        finalist_seeds: int,
        n_parameters: Callable[[TrialSpec], int],
        epochs: int,
        deadline: float | None = None,
        why_alone: Callable[[TrialConfig], str | None] = lambda config: None,
        newest_checkpoint: Callable[[int], str | None] = lambda number: None,
        judged: Sequence[JudgedAt] = (),
        race_from: float | None = None,
        patience_trials: int | None = None,
        in_rounds: bool = False,
        regret: float = 0.0,
    ) -> None:
        self.study, self.pruner, self.reports, self.sinks = study, pruner, reports, sinks
        self.prefetcher, self.capacity, self.deadline = prefetcher, capacity, deadline
        self.newest_checkpoint = newest_checkpoint
        self.progress = ProgressTable()
        self.placement = Placement(capacity, self.progress, why_alone)
        self.lifecycle = TrialLifecycle(study, pruner, self.progress, n_parameters)
        self.recovery = Recovery(study, reports, self.lifecycle, self.placement, epochs, judged)
        self.race_from, self.patience_trials = race_from, patience_trials
        self.finalist_seeds = FinalistSeeds(
            finalist_seeds,
            pruner.sharpe_error,
            study,
            self.lifecycle,
            self.placement,
            self.recovery,
            self._finalists_race,
        )
        self.regret_trials = RegretTrials(
            regret,
            study,
            self.lifecycle,
            self.placement,
            self.recovery,
            self._finalists_race,
        )
        self.rounds = Rounds() if in_rounds else None
        self.workers_lost = 0
        self.pace = Pace()
        self._saving: dict[int, list[int]] = {}  # by slot: members that leave it with a checkpoint
        self._opened = 0
        self.poll_at = 0.0

    @property
    def running(self) -> dict[int, set[int]]:
        """The numbers of the trials that train, by slot."""
        return self.placement.slots.running

    @property
    def out_of_time(self) -> bool:
        """Whether the time budget is used up."""
        return self.deadline is not None and time.monotonic() >= self.deadline

    def restore(self) -> None:
        """Takes up what an earlier driver left: its reports, its running trials, its seeds."""
        self.recovery.restore()
        self._look_ahead()
        self._add_repeats()

    def is_finished(self) -> bool:
        """Says whether nothing is left to train; raises what asking for a trial raised."""
        if any(self.running.values()) or any(self._saving.values()) or self.placement.waiting:
            return False
        if self.rounds is not None and self.rounds.undelivered:
            return False
        exhausted = self.prefetcher.exhausted
        self.prefetcher.want(self.placement.ahead())  # raises what asking raised, or ended it now
        if not exhausted or self.study.elsewhere:
            return exhausted and self.out_of_time
        if self.study.shared:  # a driver may have completed trials just before it died
            self.recovery.follow(self.reports.others())
        self._add_repeats()
        return not self.placement.waiting

    def open_slot(self) -> int | None:
        """Opens a slot for a worker; None where all are open, or no trial would need it."""
        in_flight = min(self.capacity.opened, self._in_flight)
        if len(self.running) >= max(self.capacity.slots, in_flight):
            return None
        self._opened += 1
        self.placement.slots.open(self._opened)
        return self._opened

    def on_reports(self, slot: int, reports: Sequence[Report]) -> Instructions:
        """Stores, judges and tells what a slot reported; returns what its worker does next.

        In rounds that waits until all slots have reported: then each hears it when it reports next.
        """
        if self.rounds is None:
            return self._exchange({slot: reports})[slot]
        has = self.reports.has  # a member may train known epochs again, from an old checkpoint
        self.rounds.hear(slot, [r for r in reports if r.stop or not has(r.number, r.epoch)])
        all_there = self.rounds.begun or len(self.rounds.slots) >= self.capacity.slots
        saving = [slot for slot, numbers in self._saving.items() if numbers]
        if all_there and (self.rounds.is_over(saving) or self.out_of_time):
            answers = self._exchange(self.rounds.end())
            self.rounds.begin(answers, self.running)
        return self.rounds.answer(slot)

    def _exchange(self, arrived: Mapping[int, Sequence[Report]]) -> dict[int, Instructions]:
        """Stores, judges and tells what slots reported together; returns what each does next."""
        taken_over = {slot: self._remove_taken_over(slot) for slot in arrived}
        theirs = {number for numbers in taken_over.values() for number in numbers}
        reports = [report for each in arrived.values() for report in each]
        if self.rounds is not None:
            reports.sort(key=lambda report: (report.number, report.epoch))
        new = self._store([report for report in reports if report.number not in theirs])
        self._measure(arrived, new[0])
        ended, keep_model, moving = self._judge(list(arrived), *new)
        for slot, numbers in moving.items():
            self._saving.setdefault(slot, []).extend(numbers)
        self._look_ahead()
        self._add_repeats()
        stopped = {report.number for report in reports if report.stop is not None}
        joining = self._fill(list(arrived))
        answers = {}
        for slot in arrived:
            going = (*taken_over[slot], *ended[slot])
            leave = tuple(number for number in going if number not in stopped)
            answers[slot] = Instructions(
                leave=leave,
                keep_model=tuple(number for number in keep_model if number in leave),
                save=tuple(moving[slot]),
                join=tuple(joining[slot]),
                go=self.rounds is not None,
            )
        return answers

    def on_saved(self, slot: int) -> None:
        """Notes that a worker has followed its instructions: checkpoints are written."""
        for number in self._saving.pop(slot, []):
            self.placement.wait(number)

    def on_worker_lost(self, slot: int, reason: str, text: str) -> list[int]:
        """Takes back the members of a worker that failed; returns those that failed for good.

        Args:
            slot: of the worker.
            reason: the stop reason of a trial that fails for good with it.
            text: the worker's traceback, or what else is known.
        """
        self.on_saved(slot)
        self.workers_lost += 1
        if self.rounds is not None:
            self.rounds.close(slot)
        numbers = [number for number in self.placement.close(slot) if self.study.holds(number)]
        lost = {number: self.progress[number] for number in numbers}
        for number, progress in lost.items():
            known = self.reports.last_epoch(number), self.newest_checkpoint(number)
            progress.lose(known, alone=len(numbers) == 1)
        retry = retry_of(lost, reason)
        if retry.failed is not None:
            last = text.strip().splitlines()[-1] if text.strip() else reason
            self.lifecycle.finish(retry.failed, "FAIL", reason, {"error": last[:500]})
            return numbers
        if reason == "out_of_memory":
            self.placement.shrink(len(numbers))
        self.placement.split(retry.suspects)
        for number in numbers:
            self.placement.wait(number)
        return []

    def on_worker_closed(self, slot: int) -> None:
        """Notes that a worker is gone whose members have all ended."""
        if self.rounds is not None:
            self.rounds.close(slot)
        self.placement.close(slot)

    def on_gpu(self, slot: int, gpu: str) -> None:
        """Notes of which GPU a slot's worker has a share."""
        self.placement.gpus[slot] = gpu

    def resize(self, capacity: Capacity) -> None:
        """Goes on with as many and as large slots as the present machines hold."""
        self.capacity = self.placement.capacity = capacity

    def poll_other_drivers(self) -> None:
        """Follows other drivers every few seconds: takes over what they left, shares trials."""
        if not self.study.shared or time.monotonic() < self.poll_at:
            return
        exhausted = self.prefetcher.exhausted
        room = 0 if self.out_of_time else self.capacity.in_flight - self._in_flight
        idle = self._is_idle and exhausted and not self.out_of_time
        self.study.refresh()
        self.recovery.follow(self.reports.others())
        self.recovery.claim(room, idle)
        self._add_repeats()
        self.study.say_idle(idle and not self.placement.waiting)
        self.poll_at = time.monotonic() + POLL_S
        self._share()

    def end_abandoned(self) -> None:
        """Ends the trials that other drivers have left and no driver will train."""
        self.recovery.claim(sys.maxsize, idle=True)
        self.recovery.give_up_waiting(TIME_IS_UP)

    def _store(self, reports: list[Report]) -> tuple[list[Report], dict[int, Verdict]]:
        """Stores reports; returns those that are new, and the verdicts on all."""
        new = self.reports.add(reports)
        self.recovery.follow(self.reports.heard())  # reports of other drivers that came before
        return new, self.pruner.judge(reports)

    def _measure(self, arrived: Mapping[int, Sequence[Report]], new: Sequence[Report]) -> None:
        """Takes into the pace what each slot has trained."""
        known = {(report.number, report.epoch) for report in new}
        for slot, reports in arrived.items():
            own = [report for report in reports if (report.number, report.epoch) in known]
            shapes = {report.number: self.placement.shape(report.number) for report in own}
            self.pace.take(slot, own, shapes)

    def _judge(
        self, slots: Sequence[int], new: Sequence[Report], verdicts: dict[int, Verdict]
    ) -> tuple[dict[int, list[int]], list[int], dict[int, list[int]]]:
        """Acts on verdicts: returns who ended, whose model is kept, and who moves elsewhere.

        Who ended, and who moves, is by slot.
        """
        where = {n: slot for slot in slots for n in self.placement.slots.members(slot)}
        if self.out_of_time:
            live = where.keys() - {n for n, verdict in verdicts.items() if verdict.ends}
            verdicts |= dict.fromkeys(live, TIME_IS_UP)
        keep_model: list[int] = []
        ended: dict[int, list[int]] = {slot: [] for slot in slots}
        moving: dict[int, list[int]] = {slot: [] for slot in slots}
        with self.study.together():
            self.progress.take(new)
            for report in new:
                self._tell(report)
            for number, verdict in verdicts.items():
                slot = where.get(number)
                if slot is None:
                    continue
                if verdict.ends:
                    self.placement.slots.remove(slot, number)
                    self.lifecycle.end(number, verdict)
                    ended[slot].append(number)
                    if verdict.action == "complete":
                        keep_model.append(number)
                elif verdict.undecided and self.placement.trains_alone(number):
                    moving[slot].append(number)
        # In rounds nobody moves for balance: who does misses a round.
        if self.rounds is None and not self.prefetcher.busy:
            for slot in slots:
                moving[slot] += self.placement.surplus(slot)
                if not moving[slot] and self.prefetcher.exhausted:
                    moving[slot] += self.placement.dwindled(slot)
        for slot, numbers in moving.items():
            for number in numbers:
                self.placement.slots.remove(slot, number)
        return ended, keep_model, moving

    def _tell(self, report: Report) -> None:
        """Tells a new report to the sinks and the study."""
        for sink in self.sinks:
            sink.on_report(report, self.progress[report.number].trial.params)
        self.placement.trust(report.number)
        value = self.pruner.objective(report.number, report.epoch)
        self.study.report(report.number, report.epoch, value)

    def _fill(self, slots: Sequence[int]) -> dict[int, list[Assignment]]:
        """Returns the members that slots take in; none when one has enough, or none wait."""
        if self.out_of_time:
            self._end_waiting()
            return {slot: [] for slot in slots}
        joining: dict[int, list[TrialSpec]] = {}
        for slot in slots:
            self._receive()
            moved = self.placement.take_moving(slot)
            joining[slot] = [trial for trial in moved if self._may_train(slot, trial.number)]
            joining[slot] += self._take_searched(slot)
        if self.rounds is not None:  # whatever a slot would rather not train: nobody misses a round
            for slot in slots:
                joining[slot] += self._take_searched(slot, whatever=True)
        for slot in slots:
            if not joining[slot] and not len(self.placement.searched) and not self.prefetcher.busy:
                found = self.placement.take_seeds(slot) or self.placement.take_regret(slot)
                joining[slot] = [trial for trial in found if self._may_train(slot, trial.number)]
            if not self.placement.slots.members(slot):
                self.placement.idle.add(slot)
                self.pace.rest(slot)
        return {
            slot: [
                Assignment(trial.number, trial.params, self.reports.last_epoch(trial.number))
                for trial in trials
            ]
            for slot, trials in joining.items()
        }

    def _take_searched(self, slot: int, whatever: bool = False) -> list[TrialSpec]:
        """Returns the searched trials that a slot takes in, and may train."""
        joining: list[TrialSpec] = []
        waiting = self.placement
        while len(waiting.searched) and (found := waiting.take_searched(slot, whatever)):
            joining += [trial for trial in found if self._may_train(slot, trial.number)]
        return joining

    def _receive(self) -> None:
        """Takes the trials that were asked in the background."""
        if self.rounds is not None:  # not as many as were wanted at some moment since
            self.prefetcher.hold(self.placement.ahead())
        for trial in self.prefetcher.take(self.capacity.in_flight):
            self.lifecycle.begin(trial)
            self.placement.wait(trial.number)
        self.prefetcher.hold(self.placement.ahead())

    def _may_train(self, slot: int, number: int) -> bool:
        """Says whether a trial is ours and not ended by a rung that had too few values before."""
        verdict = self.pruner.reconsider(number)
        ours = self.study.holds(number)
        if ours and (verdict is None or not verdict.ends):
            return True
        self.placement.slots.remove(slot, number)
        if ours and verdict is not None:
            self.lifecycle.end(number, verdict)
        return False

    def _remove_taken_over(self, slot: int) -> list[int]:
        """Removes members that another driver took over while this one slept."""
        members = sorted(self.placement.slots.members(slot))
        lost = [number for number in members if not self.study.holds(number)]
        for number in lost:
            self.placement.slots.remove(slot, number)
        return lost

    def _add_repeats(self) -> None:
        """Adds the trials that train a searched one again: finalists' seeds, then regret trials."""
        self.finalist_seeds.add()
        self.regret_trials.add()

    def _finalists_race(self) -> bool:
        """Says whether finalists are trained with further seeds by now."""
        late = self.race_from is not None and time.monotonic() >= self.race_from
        return not self.out_of_time and (late or self.prefetcher.exhausted)

    def _look_ahead(self) -> None:
        """Asks for no more trials where they are not expected to raise the best by enough."""
        if self.patience_trials is None or self.prefetcher.exhausted:
            return
        rise = self.pruner.expected_rise(self.study.searched, self.patience_trials)
        if rise is not None and rise < WORTH:
            self.prefetcher.ask_no_more()

    @property
    def _is_idle(self) -> bool:
        """Whether a slot is empty and no trial waits."""
        return bool(self.placement.idle) and not self.placement.waiting

    def _share(self) -> None:
        """Releases trials that would wait here while another driver is idle."""
        taking_turns = self.placement.idle and not self.placement.waiting  # slots on one GPU
        if taking_turns or self.out_of_time or not (drivers := self.study.idle_drivers):
            return
        self._receive()
        if given := self.placement.take_for_others(drivers):
            self.study.release(given)

    @property
    def _in_flight(self) -> int:
        """How many trials train here, or wait for it."""
        training = sum(map(len, [*self.running.values(), *self._saving.values()]))
        return self.placement.waiting + training

    def _end_waiting(self) -> None:
        for trial in self.prefetcher.close():
            self.lifecycle.begin(trial)
            self.placement.wait(trial.number)
        self.recovery.give_up_waiting(TIME_IS_UP)
