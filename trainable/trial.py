"""The Ray Tune trainable: a worker that stays, and trains whom the search sends it."""

import time
from collections.abc import Sequence
from pathlib import Path
from socket import gethostname
from typing import Any

import ray
import torch
from ray import tune

from trainable.data.dataset.dataset import Dataset
from trainable.io.file_store import FileStore
from trainable.worker.assignment import Assignment
from trainable.worker.watchdog import Watchdog, stacks_of
from trainable.worker.worker import Worker

LONGEST_STEP_S = 30.0  # the sign of life, where half the patience is not less
IDLE_S = 0.05  # between two looks for members, with nobody to train
METRIC = "live"  # Tune wants one number a result; the reports are what counts


class NotSeenError(Exception):
    """A worker does not see the place where its trials' files belong."""


class CohortTrial(tune.Trainable):
    """Trains a crew of members, each an own trial of the study, until the search lets it go.

    A config holds `slot` (its number), `rungs` (epochs), `members` (of one cohort at most),
    `threads`, `gpu`, `patience_s` (after which a step hangs), `save_every` (optimizer steps),
    `mark` (a file of the place) and `signs` (folder of the driver's machine that takes the stacks
    of a worker that hangs).
    """

    dataset: Dataset
    place: FileStore

    def setup(
        self, config: dict[str, Any], dataset: Dataset | None = None, place: FileStore | None = None
    ) -> None:
        """Takes the dataset, and the place of the trials' files: both stay with the worker.

        Raises:
            NotSeenError: this machine does not see that place.
        """
        assert dataset is not None
        assert place is not None
        torch.set_num_threads(max(1, int(config["threads"])))
        self.dataset, self.place = dataset, place
        if not place.has(config["mark"]):
            raise NotSeenError(f"{gethostname()} does not see {place}")
        self.gpu = _gpu()
        self._begin(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Begins anew in the same process: torch and the data are there already."""
        self.cleanup()
        self._begin(new_config)
        return True

    def step(self) -> dict[str, Any]:
        """Trains on; returns the reports since the last step."""
        if self.failed is not None:
            raise self.failed
        if not self.crew.live:
            time.sleep(IDLE_S)
        with self.watchdog:
            longest = min(LONGEST_STEP_S, self.watchdog.seconds / 2)
            reports = self.crew.step(time.monotonic() + longest)
        device = torch.device(self.crew.device).type
        live = len(self.crew.live)
        return {"reports": reports, METRIC: live, "device": device, "gpu": self.gpu}

    def exchange(
        self,
        leaving: Sequence[int],
        well: Sequence[int],
        saved: Sequence[int],
        joining: Sequence[Assignment],
    ) -> None:
        """Takes members out and others in.

        Args:
            leaving: members that have ended.
            well: those of them whose models are kept.
            saved: members that leave with a checkpoint, to go on later.
            joining: members that come, each from its checkpoint if it has one.
        """
        try:
            with self.watchdog:
                self.crew.save(saved)
                self.crew.retire([*leaving, *saved], well)
                self.crew.admit(joining)
        except Exception as error:  # noqa: BLE001 - Tune takes note of what `step` raises only
            self.failed = error

    def cleanup(self) -> None:
        """Closes the files."""
        self.watchdog.close()

    def _begin(self, config: dict[str, Any]) -> None:
        self.failed: Exception | None = None
        device = "cuda" if torch.cuda.is_available() and config["gpu"] else "cpu"
        rungs, most, save_every = (config[key] for key in ("rungs", "members", "save_every"))
        self.crew = Worker(self.dataset, self.place, rungs, device, most, save_every)
        stacks = stacks_of(Path(config["signs"]), config["slot"])
        self.watchdog = Watchdog(stacks, config["patience_s"])


def _gpu() -> str | None:
    """Returns which GPU this worker has, or has a share of: its machine and number there."""
    context = ray.get_runtime_context()
    numbers = context.get_accelerator_ids()["GPU"]
    return f"{context.get_node_id()}:{','.join(numbers)}" if numbers else None
