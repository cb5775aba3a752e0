"""One worker: it trains cohorts of several shapes, one epoch of one of them after another."""

import math
import sys
import time
from collections.abc import Callable, Hashable, Sequence
from typing import NoReturn

import torch

from trainable.config import TrialConfig, config_of, shape_key
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import SharedWindows, Windows
from trainable.executors.calibration import best_size
from trainable.io.file_store import FileStore
from trainable.report import Report
from trainable.stop_reasons import KEEPS_MODEL
from trainable.training.loop import Training
from trainable.training.member import Member, MemberStart
from trainable.worker import checkpoint
from trainable.worker.assignment import Assignment, Instructions
from trainable.worker.cohort import WorkerCohort, steps_between_checkpoints
from trainable.worker.model_files import save_model

CohortSize = Callable[[TrialConfig, Windows, torch.device | str, int], int]


class Worker:
    """Trains members of any shapes, those of one shape as one cohort.

    Args:
        dataset: of the search.
        files: of the trials, one folder each.
        rungs: epochs at which the search judges: `step` returns there.
        device: where the weights live.
        most: members of one cohort at most; calibration looks no further.
        save_every: optimizer steps between two checkpoints; None: as the size of the models asks.
        cohort_size: how many members of a shape train best together; by default it is measured.
        in_rounds: each member trains one epoch, then all wait for instructions to go on.
    """

    def __init__(
        self,
        dataset: Dataset,
        files: FileStore,
        rungs: Sequence[int],
        device: torch.device | str = "cpu",
        most: int = 16,
        save_every: int | None = None,
        cohort_size: CohortSize = best_size,
        in_rounds: bool = False,
    ) -> None:
        self.dataset, self.files, self.device = dataset, files, device
        self.rungs, self.most, self.save_every = frozenset(rungs), most, save_every
        self.windows = SharedWindows(dataset, device)
        self.cohorts: list[WorkerCohort] = []
        self._cohort_size = cohort_size
        self._sizes: dict[Hashable, int] = {}
        self._failed: Exception | None = None  # raised by the next step
        self._in_rounds = in_rounds
        self._known: dict[int, int] = {}  # by member: the last epoch that was known as it came
        self._due: set[int] = set()  # members that have not ended their epoch of this round

    @property
    def live(self) -> list[int]:
        """Numbers of the members in training, those that are about to join a cohort included."""
        return [
            number
            for cohort in self.cohorts
            for number in [*cohort.training.live, *(start.number for start in cohort.joining)]
        ]

    @property
    def waits(self) -> bool:
        """Whether there is nothing to train: no member, or the round has ended for all of them."""
        return not any(map(self._may_train, self.cohorts))

    def follow(self, instructions: Instructions) -> None:
        """Lets members go, with a model or a checkpoint where it says so, and takes others in."""
        self.save(instructions.save)
        self.remove([*instructions.leave, *instructions.save], instructions.keep_model)
        self.add(instructions.join)
        if instructions.go:
            self._due = set(self.live)

    def add(self, members: Sequence[Assignment]) -> None:
        """Takes members in, each from its checkpoint if it has one."""
        by_shape: dict[Hashable, list[MemberStart]] = {}
        for member in members:
            config = config_of(member.params)
            saved = checkpoint.read(self.files.within(member.number), member.known)
            self._known[member.number] = member.known
            start = MemberStart(member.number, config, saved)
            by_shape.setdefault(shape_key(config), []).append(start)
        for shape, starts in by_shape.items():
            self._place(shape, starts)

    def save(self, numbers: Sequence[int]) -> None:
        """Writes checkpoints of members, except where a cohort stands at a step without one."""
        for cohort in self.cohorts:
            if cohort.training.can_be_saved:
                for number in set(numbers) & set(cohort.training.live):
                    state = cohort.training.saved(number)
                    checkpoint.write(self.files.within(number), state)

    def remove(self, numbers: Sequence[int], keep_model: Sequence[int]) -> None:
        """Takes members out; keeps the models of those named in `keep_model`."""
        gone = set(numbers)
        self._due -= gone
        for cohort in self.cohorts:
            training = cohort.training
            training.retire(numbers)
            for number in gone & training.ended.keys():
                member = training.ended.pop(number)
                if number in keep_model:
                    self._save_model(member, training)
            cohort.joining = [start for start in cohort.joining if start.number not in gone]
        self._drop_empty()

    def step(self, until: float) -> list[Report]:
        """Trains until a rung, a stop, a checkpoint that is due, or until the clock says so.

        Checkpoints are written at the start of the next step: a member that a rung ended needs
        none, and no checkpoint may be ahead of the reports that the controller has. In rounds, a
        rung or a stop is no reason to return: the others have their epoch to end.

        Args:
            until: a value of `time.monotonic()`.
        """
        if self._failed is not None:
            self._fail(self._failed)
        for cohort in filter(self._may_train, self.cohorts):
            self.save(cohort.due())
        if not self._in_rounds:
            self._merge()
        reports: list[Report] = []
        while cohorts := list(filter(self._may_train, self.cohorts)):
            cohort = max(cohorts, key=lambda cohort: cohort.priority)
            try:
                new = self._turn(cohort, until)
            except Exception as error:  # noqa: BLE001 - is raised, after what there is to report
                cohort.broken, self._failed = True, error
                return reports or self._fail(error)
            reports += new
            self._due -= {r.number for r in new if r.epoch > self._known.get(r.number, 0) or r.stop}
            judged = any(r.stop is not None or r.epoch in self.rungs for r in new)
            done = judged and not self._in_rounds
            if done or cohort.steps_left == 0 or time.monotonic() >= until:
                break
        return reports

    def _merge(self) -> None:
        """Merges cohorts of one shape that have dwindled: two programs cost more than one.

        Only between two epochs, and before a step: whatever they have reported is judged by then.
        """
        ready = [cohort for cohort in self.cohorts if cohort.training.at_epoch_end()]
        ready.sort(key=lambda cohort: -len(cohort.training.live))
        for k, cohort in enumerate(ready):
            for other in ready[k + 1 :]:
                together = cohort.size + other.size
                if not (cohort.training.live and other.training.live):
                    continue  # it has gone over to another one
                if cohort.shape != other.shape or together > self._sizes[cohort.shape]:
                    continue
                cohort.take_in(other)
        self._drop_empty()

    def _may_train(self, cohort: WorkerCohort) -> bool:
        """Says whether a cohort has a member whose epoch of this round has not ended."""
        if not self._in_rounds:
            return True
        starts = (start.number for start in cohort.joining)
        return not self._due.isdisjoint([*cohort.training.live, *starts])

    def _turn(self, cohort: WorkerCohort, until: float) -> list[Report]:
        """Trains one cohort to the end of its epoch, to its next checkpoint, or until the time."""
        for other in self.cohorts:
            other.waited += 1
        cohort.waited = 0
        training = cohort.training
        if cohort.joining and training.at_epoch_end():
            training.add(cohort.joining)
            cohort.joining = []
        reports: list[Report] = []
        while training.live:
            reports += cohort.advance(until)
            over = training.at_epoch_end() or cohort.steps_left == 0
            if over or time.monotonic() >= until:
                break
        cohort.at_rung |= any(report.epoch in self.rungs for report in reports)
        for report in reports:
            if report.stop is not None:
                member = training.ended.pop(report.number)
                if report.stop.reason in KEEPS_MODEL:
                    self._save_model(member, training)
        self._drop_empty()
        return reports

    def _place(self, shape: Hashable, starts: list[MemberStart]) -> None:
        """Puts members into cohorts of their shape that have room; the rest forms new ones."""
        config = starts[0].config
        windows = self.windows.of(config.data)
        most = self._size(shape, config, windows)
        by_step: dict[tuple[int, int], list[MemberStart]] = {}
        for start in starts:
            steps = start.saved.steps if start.saved else 0
            by_step.setdefault((steps, self._behind(start)), []).append(start)
        at_epoch_end = by_step.pop((0, 0), [])
        for cohort in [cohort for cohort in self.cohorts if cohort.shape == shape]:
            room = max(0, most - cohort.size)
            cohort.joining += at_epoch_end[:room]
            at_epoch_end = at_epoch_end[room:]
        # Members within an epoch end it together with those that are at the same step.
        for together in [at_epoch_end, *by_step.values()]:
            parts = math.ceil(len(together) / most)
            for part in range(parts):  # of equal size
                training = Training(
                    together[part::parts], self.dataset, device=self.device, windows=windows
                )
                every = steps_between_checkpoints(training, self.save_every)
                self.cohorts.append(WorkerCohort(shape, training, every))

    def _behind(self, start: MemberStart) -> int:
        """Returns how many known epochs a member trains again; only a round makes a difference.

        Such members form a cohort of their own: in its first round it trains those epochs, too.
        """
        epoch = start.saved.epoch if start.saved else 0
        return self._known[start.number] - epoch if self._in_rounds else 0

    def _size(self, shape: Hashable, config: TrialConfig, windows: Windows) -> int:
        """Returns how large cohorts of a shape become: measured here, once a shape."""
        if shape not in self._sizes:
            self._sizes[shape] = self._cohort_size(config, windows, self.device, self.most)
        return self._sizes[shape]

    def _drop_empty(self) -> None:
        """Drops cohorts without members; members that wait to join one form another."""
        empty = [cohort for cohort in self.cohorts if not cohort.training.live]
        self.cohorts = [cohort for cohort in self.cohorts if cohort.training.live]
        for cohort in empty:
            if cohort.joining:
                self._place(cohort.shape, cohort.joining)

    def _fail(self, error: Exception) -> NoReturn:
        """Raises the exception of a cohort, after checkpoints of the members of all others."""
        for cohort in self.cohorts:
            if cohort.broken:
                continue
            try:
                self.save([member.number for member in cohort.training.members if member.steps])
            except Exception as second:  # noqa: BLE001 - what ended the worker is what counts
                print(f"checkpoints could not be written: {second!r}", file=sys.stderr)
        raise error

    def _save_model(self, member: Member, training: Training) -> None:
        if member.best_weights:
            save_model(
                self.files.within(member.number),
                member.number,
                member.best_epoch,
                member.config,
                member.best_weights,
                training.windows,
                self.dataset,
            )
