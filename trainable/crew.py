"""All that one worker trains: cohorts of several shapes, one epoch of one of them after another."""

import math
import time
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from trainable import checkpoint
from trainable.calibration import best_size
from trainable.config import TrialConfig, from_params, shape_key
from trainable.data.dataset import Dataset
from trainable.data.view import View
from trainable.data.views import Views
from trainable.events import EventFile
from trainable.joining import Joining
from trainable.keep import keep
from trainable.member import Member, Ticket
from trainable.report import WELL, Report
from trainable.training import Training

SAVE_EVERY_S = 30.0  # also at every rung


@dataclass
class _Cohort:
    """One training, who joins it at the end of its epoch, and how it stands in the queue."""

    key: Hashable
    training: Training
    joining: list[Ticket] = field(default_factory=list)
    waited: int = 0
    saved: float = field(default_factory=time.monotonic)
    at_rung: bool = False

    @property
    def turn(self) -> int:
        """Who goes next: a begun epoch, then the full, and the small ones when they waited long."""
        if not self.training.at_epoch_end():
            return 2**62
        return self.size * (self.waited + 1)

    @property
    def size(self) -> int:
        """Members, those that are about to join included."""
        return len(self.training.live) + len(self.joining)


class Crew:
    """Trains members of any shapes, those of one shape as one cohort.

    Args:
        dataset: of the search.
        folder: of the run.
        rungs: epochs after which somebody outside judges.
        device: where the weights live.
        most: members of one cohort at most; calibration looks no further.
    """

    def __init__(
        self,
        dataset: Dataset,
        folder: Path,
        rungs: Sequence[int],
        device: torch.device | str = "cpu",
        most: int = 16,
    ) -> None:
        self.dataset, self.folder, self.device = dataset, folder, device
        self.rungs, self.most = frozenset(rungs), most
        self.views = Views(dataset, device)
        self.sizes: dict[Hashable, int] = {}
        self.cohorts: list[_Cohort] = []
        self.writers: dict[int, EventFile] = {}

    @property
    def live(self) -> list[int]:
        """Numbers of the members still in training, those that are about to begin included."""
        return [
            number
            for cohort in self.cohorts
            for number in [*cohort.training.live, *(t.number for t in cohort.joining)]
        ]

    def admit(self, members: Sequence[Joining]) -> None:
        """Takes members in, each from its checkpoint if it has one."""
        groups: dict[Hashable, list[Ticket]] = {}
        for member in members:
            config = from_params(member.params)
            saved = checkpoint.read(self._trial(member.number), member.known)
            groups.setdefault(shape_key(config), []).append(Ticket(member.number, config, saved))
        for key, tickets in groups.items():
            self._place(key, tickets)

    def save(self, numbers: Sequence[int]) -> None:
        """Writes checkpoints of members that stand between two epochs."""
        for cohort in self.cohorts:
            for number in set(numbers) & set(cohort.training.live):
                checkpoint.write(self._trial(number), cohort.training.saved(number))

    def retire(self, numbers: Sequence[int], well: Sequence[int]) -> None:
        """Takes members out; keeps the models of those that ended well."""
        gone = set(numbers)
        for cohort in self.cohorts:
            training = cohort.training
            training.retire(numbers)
            for number in gone & training.ended.keys():
                member = training.ended.pop(number)
                if number in well:
                    self._save_model(member, training)
            cohort.joining = [t for t in cohort.joining if t.number not in gone]
        for number in gone & self.writers.keys():
            self.writers.pop(number).close()
        self._drop_empty()

    def step(self, until: float) -> list[Report]:
        """Trains on to the end of an epoch that has a rung or a stop, or until the clock says so.

        Args:
            until: a value of `time.monotonic()`.
        """
        self._save_due()
        reports: list[Report] = []
        while self.cohorts:
            new = self._turn(max(self.cohorts, key=lambda cohort: cohort.turn), until)
            reports += new
            done = any(r.stop is not None or r.epoch in self.rungs for r in new)
            if done or time.monotonic() >= until:
                break
        return reports

    def close(self) -> None:
        """Closes the event files."""
        for writer in self.writers.values():
            writer.close()
        self.writers = {}

    def _turn(self, cohort: _Cohort, until: float) -> list[Report]:
        """Trains one cohort to the end of its epoch, or until the clock says so."""
        for other in self.cohorts:
            other.waited += 1
        cohort.waited = 0
        training = cohort.training
        if cohort.joining and training.at_epoch_end():
            training.admit(cohort.joining)
            cohort.joining = []
        reports = training.advance(until=until)
        while training.live and not training.at_epoch_end() and time.monotonic() < until:
            reports += training.advance(until=until)
        cohort.at_rung |= any(report.epoch in self.rungs for report in reports)
        for report in reports:
            self._write_event(report, training)
            if report.stop is not None:
                member = training.ended.pop(report.number)
                if report.stop.reason in WELL:
                    self._save_model(member, training)
        self._drop_empty()
        return reports

    def _place(self, key: Hashable, tickets: list[Ticket]) -> None:
        """Lets members join cohorts of their kind that have room; the rest forms new ones."""
        config = tickets[0].config
        view = self.views.of(config.data)
        most = self._size(key, config, view)
        for cohort in [cohort for cohort in self.cohorts if cohort.key == key]:
            room = max(0, most - cohort.size)
            cohort.joining += tickets[:room]
            tickets = tickets[room:]
        parts = math.ceil(len(tickets) / most)
        for part in range(parts):  # as equal as can be
            training = Training(tickets[part::parts], self.dataset, device=self.device, view=view)
            self.cohorts.append(_Cohort(key, training))

    def _size(self, key: Hashable, config: TrialConfig, view: View) -> int:
        """Returns how large cohorts of a shape become: measured here, once a shape."""
        if key not in self.sizes:
            self.sizes[key] = best_size(config, view, self.device, self.most)
        return self.sizes[key]

    def _drop_empty(self) -> None:
        """Lets cohorts go that have no members; who was to join one begins another."""
        empty = [cohort for cohort in self.cohorts if not cohort.training.live]
        self.cohorts = [cohort for cohort in self.cohorts if cohort.training.live]
        for cohort in empty:
            if cohort.joining:
                self._place(cohort.key, cohort.joining)

    def _save_due(self) -> None:
        """Writes checkpoints of cohorts that passed a rung, or were saved too long ago.

        After the verdicts: those whom a rung ended need none.
        """
        now = time.monotonic()
        for cohort in self.cohorts:
            training = cohort.training
            due = cohort.at_rung or now - cohort.saved >= SAVE_EVERY_S
            if due and training.at_epoch_end():
                cohort.saved, cohort.at_rung = now, False
                self.save([member.number for member in training.members if member.epoch])

    def _save_model(self, member: Member, training: Training) -> None:
        if member.best_weights:
            keep(
                self._trial(member.number),
                member.number,
                member.best_epoch,
                member.config,
                member.best_weights,
                training.view,
                self.dataset,
            )

    def _write_event(self, report: Report, training: Training) -> None:
        number = report.number
        if number not in self.writers:
            config = training.member(number).config
            self.writers[number] = EventFile(self._trial(number), config)
        self.writers[number].write(report)
        if report.stop is not None:
            self.writers.pop(number).close()

    def _trial(self, number: int) -> Path:
        return self.folder / "trials" / str(number)
