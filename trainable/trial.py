"""The Ray Tune trainable: a worker that trains the members the search sends it."""

import time
from pathlib import Path
from socket import gethostname
from typing import Any

import ray
import torch
from ray import tune

from trainable.data.dataset.dataset import Dataset
from trainable.io.file_store import FileStore
from trainable.parts.files import PartsFile
from trainable.worker.assignment import Instructions
from trainable.worker.gpu_memory import use_expandable_segments
from trainable.worker.watchdog import Watchdog, stacks_of
from trainable.worker.worker import Worker

LONGEST_STEP_S = 30.0  # a step is a sign of life; half of `patience_s` where that is less
IDLE_S = 0.05  # between two looks for members, with no member to train
HELD_S = 0.005  # between two looks whether the next round begins, for each slot of the search
METRIC = "live"  # Tune wants one number a result; the reports are what counts


class NotSeenError(Exception):
    """A worker does not see the folder of its trials' files."""


class CohortTrial(tune.Trainable):
    """Trains members, each a trial of the study, until the search ends it.

    A config holds `slot` (its number), `rungs` (epochs), `members` (at most, in one slot),
    `threads`, `gpu`, `patience_s` (after which a step hangs), `save_every` (optimizer steps),
    `mark` (a file in the folder of the trials), `dumps` (a folder on the controller's machine
    for the stacks of a worker that hangs), `rounds` (slots that train in rounds; 0: they do not)
    and `parts` (the person's own, as `PartsFile.record` has them).
    """

    dataset: Dataset
    files: FileStore

    def setup(
        self, config: dict[str, Any], dataset: Dataset | None = None, files: FileStore | None = None
    ) -> None:
        """Takes the dataset and the trials' files: both stay with the worker.

        Raises:
            NotSeenError: this machine does not see the folder of the trials' files.
        """
        assert dataset is not None
        assert files is not None
        use_expandable_segments()
        torch.set_num_threads(max(1, int(config["threads"])))
        self.dataset, self.files = dataset, files
        if parts := config.get("parts"):  # before any configuration is made
            from trainable.parts.registration import register  # with all tables

            for record in parts:
                register(PartsFile.from_record(record))
        if not files.has(config["mark"]):
            raise NotSeenError(f"{gethostname()} does not see {files}")
        self.gpu = _gpu()
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Starts again in the same process, which has torch and the data already."""
        self.cleanup()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains on; returns the reports since the last step."""
        if self.failed is not None:
            raise self.failed
        if not self.worker.live:
            time.sleep(IDLE_S)
        elif self.worker.waits:
            time.sleep(min(IDLE_S, HELD_S * self.config["rounds"]))
        with self.watchdog:
            longest = min(LONGEST_STEP_S, self.watchdog.seconds / 2)
            reports = self.worker.step(time.monotonic() + longest)
        device = torch.device(self.worker.device).type
        live = len(self.worker.live)
        return {"reports": reports, METRIC: live, "device": device, "gpu": self.gpu}

    def exchange(self, instructions: Instructions) -> None:
        """Lets members go and takes others in."""
        try:
            with self.watchdog:
                self.worker.follow(instructions)
        except Exception as error:  # noqa: BLE001 - Tune takes note of what `step` raises only
            self.failed = error

    def cleanup(self) -> None:
        """Closes the files."""
        self.watchdog.close()

    def _begin(self, config: dict[str, Any]) -> None:
        self.failed: Exception | None = None
        device = "cuda" if torch.cuda.is_available() and config["gpu"] else "cpu"
        rungs, most, save_every = (config[key] for key in ("rungs", "members", "save_every"))
        self.worker = Worker(
            self.dataset,
            self.files,
            rungs,
            device,
            most,
            save_every,
            in_rounds=config["rounds"] > 0,
        )
        stacks = stacks_of(Path(config["dumps"]), config["slot"])
        self.watchdog = Watchdog(stacks, config["patience_s"])


def _gpu() -> str | None:
    """Returns which GPU this worker has, or has a share of: its machine and number there."""
    context = ray.get_runtime_context()
    numbers = context.get_accelerator_ids()["GPU"]
    return f"{context.get_node_id()}:{','.join(numbers)}" if numbers else None
