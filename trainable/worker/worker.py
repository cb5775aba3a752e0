"""All that one worker trains: cohorts of several shapes, one epoch of one of them after another."""

import math
import sys
import time
from collections.abc import Hashable, Sequence
from typing import NoReturn

import torch

from trainable.config import TrialConfig, from_params, shape_key
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import SharedWindows, Windows
from trainable.executors.calibration import best_size
from trainable.io.file_store import FileStore
from trainable.report import WELL, Report
from trainable.training.loop import Training
from trainable.training.member import Member, MemberStart
from trainable.worker import checkpoint
from trainable.worker.assignment import Assignment
from trainable.worker.cohort import WorkerCohort, steps_between_checkpoints
from trainable.worker.model_files import keep


class Worker:
    """Trains members of any shapes, those of one shape as one cohort.

    Args:
        dataset: of the search.
        place: of the trials' files, one folder each.
        rungs: epochs after which somebody outside judges.
        device: where the weights live.
        most: members of one cohort at most; calibration looks no further.
        save_every: optimizer steps between two checkpoints; None: as the size of the models asks.
    """

    def __init__(
        self,
        dataset: Dataset,
        place: FileStore,
        rungs: Sequence[int],
        device: torch.device | str = "cpu",
        most: int = 16,
        save_every: int | None = None,
    ) -> None:
        self.dataset, self.place, self.device = dataset, place, device
        self.rungs, self.most = frozenset(rungs), most
        self.save_every = save_every
        self.views = SharedWindows(dataset, device)
        self.sizes: dict[Hashable, int] = {}
        self.groups: list[WorkerCohort] = []
        self.failed: Exception | None = None  # raised by the next step

    @property
    def live(self) -> list[int]:
        """Numbers of the members still in training, those that are about to begin included."""
        return [
            number
            for group in self.groups
            for number in [*group.training.live, *(t.number for t in group.joining)]
        ]

    def admit(self, members: Sequence[Assignment]) -> None:
        """Takes members in, each from its checkpoint if it has one."""
        alike: dict[Hashable, list[MemberStart]] = {}
        for member in members:
            config = from_params(member.params)
            saved = checkpoint.read(self.place.within(member.number), member.known)
            alike.setdefault(shape_key(config), []).append(
                MemberStart(member.number, config, saved)
            )
        for key, tickets in alike.items():
            self._place(key, tickets)

    def save(self, numbers: Sequence[int]) -> None:
        """Writes checkpoints of members, but of those that a stop has left between two points."""
        for group in filter(lambda group: group.training.can_be_saved, self.groups):
            for number in set(numbers) & set(group.training.live):
                checkpoint.write(self.place.within(number), group.training.saved(number))

    def retire(self, numbers: Sequence[int], well: Sequence[int]) -> None:
        """Takes members out; keeps the models of those that ended well."""
        gone = set(numbers)
        for group in self.groups:
            training = group.training
            training.retire(numbers)
            for number in gone & training.ended.keys():
                member = training.ended.pop(number)
                if number in well:
                    self._save_model(member, training)
            group.joining = [t for t in group.joining if t.number not in gone]
        self._drop_empty()

    def step(self, until: float) -> list[Report]:
        """Trains on to a rung, a stop or checkpoints that are due, or until the clock says so.

        Checkpoints are written as the next step begins: after the verdicts, since those whom a
        rung ended need none, and never ahead of what the driver knows.

        Args:
            until: a value of `time.monotonic()`.
        """
        if self.failed is not None:
            self._fail(self.failed)
        for group in self.groups:
            self.save(group.due())
        reports: list[Report] = []
        while self.groups:
            group = max(self.groups, key=lambda group: group.turn)
            try:
                new = self._turn(group, until)
            except Exception as error:  # noqa: BLE001 - is raised, after what there is to report
                group.broken, self.failed = True, error
                return reports or self._fail(error)
            reports += new
            done = any(r.stop is not None or r.epoch in self.rungs for r in new)
            if done or group.steps_left == 0 or time.monotonic() >= until:
                break
        return reports

    def _turn(self, group: WorkerCohort, until: float) -> list[Report]:
        """Trains one cohort to the end of its epoch, or to its next checkpoint, or in time."""
        for other in self.groups:
            other.waited += 1
        group.waited = 0
        training = group.training
        if group.joining and training.at_epoch_end():
            training.add(group.joining)
            group.joining = []
        reports: list[Report] = []
        while training.live:
            reports += group.advance(until)
            over = training.at_epoch_end() or group.steps_left == 0
            if over or time.monotonic() >= until:
                break
        group.at_rung |= any(report.epoch in self.rungs for report in reports)
        for report in reports:
            if report.stop is not None:
                member = training.ended.pop(report.number)
                if report.stop.reason in WELL:
                    self._save_model(member, training)
        self._drop_empty()
        return reports

    def _place(self, key: Hashable, tickets: list[MemberStart]) -> None:
        """Lets members join cohorts of their kind that have room; the rest forms new ones."""
        config = tickets[0].config
        view = self.views.of(config.data)
        most = self._size(key, config, view)
        begun: dict[int, list[MemberStart]] = {}
        for ticket in tickets:
            begun.setdefault(ticket.saved.steps if ticket.saved else 0, []).append(ticket)
        fresh = begun.pop(0, [])
        for group in [group for group in self.groups if group.key == key]:
            room = max(0, most - group.size)
            group.joining += fresh[:room]
            fresh = fresh[room:]
        for alike in [fresh, *begun.values()]:  # who is amid an epoch ends it with its like
            parts = math.ceil(len(alike) / most)
            for part in range(parts):  # as equal as can be
                training = Training(
                    alike[part::parts], self.dataset, device=self.device, windows=view
                )
                every = steps_between_checkpoints(training, self.save_every)
                self.groups.append(WorkerCohort(key, training, every))

    def _size(self, key: Hashable, config: TrialConfig, view: Windows) -> int:
        """Returns how large cohorts of a shape become: measured here, once a shape."""
        if key not in self.sizes:
            self.sizes[key] = best_size(config, view, self.device, self.most)
        return self.sizes[key]

    def _drop_empty(self) -> None:
        """Lets cohorts go that have no members; who was to join one begins another."""
        empty = [group for group in self.groups if not group.training.live]
        self.groups = [group for group in self.groups if group.training.live]
        for group in empty:
            if group.joining:
                self._place(group.key, group.joining)

    def _fail(self, error: Exception) -> NoReturn:
        """Raises an exception of a cohort, after checkpoints of those that it did not come from."""
        for group in self.groups:
            if group.broken:
                continue
            try:
                self.save([member.number for member in group.training.members if member.steps])
            except Exception as second:  # noqa: BLE001 - what ended the worker is what counts
                print(f"checkpoints could not be written: {second!r}", file=sys.stderr)
        raise error

    def _save_model(self, member: Member, training: Training) -> None:
        if member.best_weights:
            keep(
                self.place.within(member.number),
                member.number,
                member.best_epoch,
                member.config,
                member.best_weights,
                training.windows,
                self.dataset,
            )
