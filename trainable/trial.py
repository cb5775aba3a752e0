"""The Ray Tune trainable: a cohort of members, each an own trial of the study."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from ray import tune
from tensorboardX import SummaryWriter

from trainable import checkpoint, events
from trainable.config import DataConfig, from_params
from trainable.data.dataset import Dataset
from trainable.data.view import View, make_view
from trainable.executors import executor_for
from trainable.keep import keep
from trainable.member import Member, Ticket
from trainable.report import Report
from trainable.training import Training

LONGEST_STEP_S = 30.0  # also the interval of checkpoints and the sign of life
METRIC = "live"  # Tune wants one number a result; the reports are what counts
WELL = ("completed", "converged")

log = logging.getLogger("asharpe")


class CohortTrial(tune.Trainable):
    """Trains the members in `config["members"]`; `step` returns at rungs, stops and every 30 s.

    A config holds `members` (dicts of number, params and the last epoch known of it), `rungs`
    (epochs), `folder` (of the run), `threads` and `gpu`.
    """

    dataset: Dataset

    def setup(self, config: dict[str, Any], dataset: Dataset | None = None) -> None:
        """Takes the dataset, which stays with the worker, and the first cohort."""
        assert dataset is not None
        torch.set_num_threads(max(1, int(config["threads"])))
        self.dataset = dataset
        self.views: dict[DataConfig, View] = {}
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Takes the next cohort in the same process: torch and the data are there already."""
        self._close()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains on; returns the reports since the last step."""
        deadline = time.monotonic() + LONGEST_STEP_S
        reports: list[Report] = []
        while self.training.live:
            new = self.training.advance(until=deadline)
            reports += new
            done = any(r.stop is not None or r.epoch in self.rungs for r in new)
            if done or time.monotonic() >= deadline:
                break
        self._save_live()
        self._write_events(reports)
        for report in reports:
            if report.stop is not None:
                member = self.training.ended.pop(report.number)
                if report.stop.reason in WELL:
                    self._save_model(member)
        return {"reports": reports, METRIC: len(self.training.live)}

    def retire(self, numbers: Sequence[int], well: Sequence[int]) -> None:
        """Takes members out; keeps the models of those that ended well."""
        self.training.retire(numbers)
        for number in numbers:
            member = self.training.ended.pop(number, None)
            if member is not None and number in well:
                self._save_model(member)

    def cleanup(self) -> None:
        """Closes the event files."""
        self._close()

    def _begin(self, config: dict[str, Any]) -> None:
        self.folder = Path(config["folder"])
        self.rungs = frozenset(config["rungs"])
        self.writers: dict[int, SummaryWriter] = {}
        tickets = []
        for member in config["members"]:
            number = member["number"]
            saved = checkpoint.read(self._trial(number), member["known"])
            tickets.append(Ticket(number, from_params(member["params"]), saved))
        data = tickets[0].config.data
        device = "cuda" if torch.cuda.is_available() and config["gpu"] else "cpu"
        if data not in self.views:
            self.views[data] = make_view(self.dataset, data, device)
        if executor_for(tickets[0].config) == "solo":
            log.info("%s has no batched form: a cohort of one", tickets[0].config.model.name)
        self.training = Training(tickets, self.dataset, device=device, view=self.views[data])

    def _save_live(self) -> None:
        if self.training.at_epoch_end():
            for number in self.training.live:
                checkpoint.write(self._trial(number), self.training.saved(number))

    def _save_model(self, member: Member) -> None:
        if member.best_weights:
            keep(
                self._trial(member.number),
                member.number,
                member.best_epoch,
                member.config,
                member.best_weights,
                self.training.view,
                self.dataset,
            )

    def _write_events(self, reports: Sequence[Report]) -> None:
        for report in reports:
            if report.number not in self.writers:
                member = self._member(report.number)
                folder = self._trial(report.number)
                folder.mkdir(parents=True, exist_ok=True)
                self.writers[report.number] = events.open_writer(folder, member.config)
            events.write(self.writers[report.number], report)
            if report.stop is not None:
                self.writers.pop(report.number).close()

    def _member(self, number: int) -> Member:
        for member in self.training.members:
            if member.number == number:
                return member
        return self.training.ended[number]

    def _close(self) -> None:
        for writer in self.writers.values():
            writer.close()
        self.writers = {}

    def _trial(self, number: int) -> Path:
        return self.folder / "trials" / str(number)
