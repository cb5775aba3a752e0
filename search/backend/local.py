"""Training in this process, without Ray: for tests and benchmarks of everything else."""

import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol, Self

import torch

from search.backend.base import Cluster, Observer
from search.backend.workers import StartFailures, WorkerSpec, check_store_answers
from search.monitor.metrics import Figure
from search.scheduling.controller import Controller
from trainable.config import TrialConfig, input_shape
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows
from trainable.executors import executor_for
from trainable.report import Report
from trainable.worker.assignment import Instructions
from trainable.worker.worker import Worker

STEP_S = 1.0  # the longest step of a worker
PAUSE_S = 1e-3  # while no worker has members: the next trials are asked in another thread


class LocalWorker(Protocol):
    """What `Local` asks of a worker."""

    @property
    def live(self) -> Sequence[int]:
        """Numbers of the members in training."""
        ...

    def step(self, until: float) -> list[Report]:
        """Trains on, at most until this value of `time.monotonic()`; returns the reports."""
        ...

    def follow(self, instructions: Instructions) -> None:
        """Lets members go and takes others in."""
        ...


MakeWorker = Callable[[Dataset, WorkerSpec, int], LocalWorker]


def unmeasured_worker(dataset: Dataset, spec: WorkerSpec, members: int) -> Worker:
    """Returns a worker whose cohorts are as large as they may be: nothing depends on its speed."""

    def largest(
        config: TrialConfig, windows: Windows, device: torch.device | str, most: int
    ) -> int:
        return (
            1
            if executor_for(config, input_shape(config, windows.groups), device) == "solo"
            else most
        )

    return Worker(
        dataset,
        spec.files,
        spec.rungs,
        most=members,
        save_every=spec.save_every,
        cohort_size=largest,
        in_rounds=spec.in_rounds,
    )


class Local:
    """Trains on the CPU of this process, slot after slot.

    Args:
        cpus: that this machine pretends to have.
        make_worker: makes a worker from the dataset, the specification and the members of a slot.
        order: which of the slots take a step next, in which order; all of them by default.
    """

    def __init__(
        self,
        cpus: float = 2.0,
        make_worker: MakeWorker = unmeasured_worker,
        order: Callable[[Sequence[int]], Sequence[int]] = lambda slots: slots,
    ) -> None:
        self.cpus, self.make_worker, self.order = cpus, make_worker, order

    @property
    def waits_for(self) -> str:
        """What `connect` waits for, in words."""
        return "Starting to train in this process"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        """Nothing to end."""

    def start(self) -> None:
        """Nothing to start."""

    def connect(self) -> AbstractContextManager[Cluster]:
        """Returns a connection to nothing."""
        return nullcontext(Cluster())

    def machines(self) -> list[dict[str, float]]:
        """Returns this machine."""
        return [{"CPU": self.cpus}]

    def check_files(self, spec: WorkerSpec) -> None:
        """Nothing to check: this process sees what it writes."""

    def metrics(self, run: str, note: Callable[[str], None]) -> "NoMetrics":
        """Returns an exporter that exports nothing."""
        return NoMetrics()

    def run(
        self, controller: Controller, dataset: Dataset, spec: WorkerSpec, observer: Observer
    ) -> None:
        """Trains until the controller has nothing left; see `Backend.run`."""
        threads = torch.get_num_threads()
        torch.set_num_threads(max(1, int(spec.cpus)))
        try:
            self._run(controller, dataset, spec, observer)
        finally:
            torch.set_num_threads(threads)

    def _run(
        self, controller: Controller, dataset: Dataset, spec: WorkerSpec, observer: Observer
    ) -> None:
        workers: dict[int, LocalWorker] = {}
        failures = StartFailures()

        def failed(slot: int, error: Exception) -> None:
            text = "".join(traceback.format_exception(error))
            check_store_answers(text)
            failures.add(False, text)
            del workers[slot]
            observer.worker_failed(controller.on_worker_lost(slot, "error", text), "error", text)

        while not controller.is_finished():
            controller.poll_other_drivers()
            observer.tick()
            while (slot := controller.open_slot()) is not None:
                workers[slot] = self.make_worker(dataset, spec, controller.capacity.members)
            for slot in self.order(list(workers)):
                worker = workers[slot]
                try:
                    reports = worker.step(time.monotonic() + STEP_S)
                except Exception as error:  # noqa: BLE001 - a worker's: its trials are tried again
                    failed(slot, error)
                    continue
                instructions = controller.on_reports(slot, reports)
                try:
                    worker.follow(instructions)
                except Exception as error:  # noqa: BLE001
                    failed(slot, error)
                else:
                    controller.on_saved(slot)
            if not any(worker.live for worker in workers.values()):
                time.sleep(PAUSE_S)


class NoMetrics:
    """Exports nothing."""

    def update(self, figures: Callable[[], Sequence[Figure]]) -> None:
        """Nothing."""
