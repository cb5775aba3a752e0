"""Thin adapters between Ray Tune and the driver: Searcher, scheduler, callback.

A Tune trial is a slot: a worker that stays until the search is over, and takes in new members
whenever others have left it.
"""

import os
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ray import tune
from ray.exceptions import RayActorError
from ray.tune import Callback, TuneError
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.backend.access import ControllerAccess, HeldLocally
from search.backend.base import Observer
from search.backend.workers import WorkerSpec, check_reached
from search.scheduling.controller import Controller
from trainable.data.dataset.dataset import Dataset
from trainable.trial import METRIC, CohortTrial
from trainable.worker.watchdog import stacks_of

QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # a tenth of a second a trial
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Tune would return as if it had finished
    "TUNE_RESULT_BUFFER_LENGTH": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",  # the study is the truth, not Tune's own snapshots
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
}

# What the last line of a worker's traceback holds when memory ran out.
OUT_OF_MEMORY = ("OutOfMemoryError", "MemoryError", "can't allocate memory")
RAISED = "ray::"  # in the text of what a worker raised: where. Of one that died nobody knows


def tune_cohorts(
    driver: Controller,
    dataset: Dataset,
    workers: WorkerSpec,
    listener: Observer,
) -> None:
    """Trains until the driver has nothing left.

    Args:
        driver: fills slots and takes their reports.
        dataset: put into the object store once.
        workers: what each of them is given.
        listener: told what happens.
    """
    os.environ.update(QUIET)
    common = {
        "rungs": list(workers.rungs),
        "members": driver.sizes.members,
        "threads": max(1, int(workers.cpus)),
        "gpu": workers.gpus > 0,
        "patience_s": workers.patience_s,
        "save_every": workers.save_every,
        "mark": workers.mark,
    }
    trainable = tune.with_resources(
        tune.with_parameters(CohortTrial, dataset=dataset, place=workers.place),
        {"cpu": workers.cpus, "gpu": workers.gpus},
    )
    access = ControllerAccess(driver)
    with tempfile.TemporaryDirectory(prefix="asharpe-tune-") as scratch:
        common["signs"] = scratch
        tuner = tune.Tuner(
            trainable,
            tune_config=tune.TuneConfig(
                metric=METRIC,
                mode="max",
                num_samples=-1,
                search_alg=CohortSearcher(access, common),
                scheduler=CohortScheduler(access, listener.on_cpu if workers.gpus else None),
                reuse_actors=True,
            ),
            run_config=tune.RunConfig(
                name="cohorts",
                storage_path=scratch,
                verbose=0,
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
                failure_config=tune.FailureConfig(max_failures=0),  # the driver's retries know more
                callbacks=[_Watch(access, Path(scratch), listener)],
            ),
        )
        try:
            tuner.fit()
        except TuneError as error:
            raise access.error or error from None


class CohortSearcher(HeldLocally, Searcher):
    """Suggests the driver's free slots as Tune trials."""

    def __init__(self, access: ControllerAccess, common: dict[str, Any]) -> None:
        HeldLocally.__init__(self, access)
        Searcher.__init__(self, metric=METRIC, mode="max")
        self.common = common

    def suggest(self, trial_id: str) -> Any:
        """Returns a slot's config, None when all are taken, or FINISHED.

        The slot is still empty: its members are asked while its worker starts.
        """
        with self.access() as driver:
            if driver.finished:
                return Searcher.FINISHED
            slot = driver.open()
        return None if slot is None else {**self.common, "slot": slot}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the scheduler and the callback have told the driver."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study is the truth."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resumed search starts a fresh Tune run."""


class CohortScheduler(HeldLocally, FIFOScheduler):
    """Passes a slot's reports to the driver, and what it decides to the worker."""

    def __init__(
        self, access: ControllerAccess, on_cpu: Callable[[str], None] | None = None
    ) -> None:
        HeldLocally.__init__(self, access)
        FIFOScheduler.__init__(self)
        self.on_cpu = on_cpu

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Returns STOP when nothing is left to train, else CONTINUE after the exchange."""
        slot = trial.config["slot"]
        reports = result.pop("reports")
        gpu = result.pop("gpu")
        if result.pop("device") == "cpu" and self.on_cpu is not None:
            self.on_cpu(result["hostname"])
            self.on_cpu = None
        with self.access() as driver:
            self.access.starts.well()
            if gpu is not None:
                driver.stands(slot, gpu)
            ended = driver.take(slot, reports)
            joining = driver.fill(slot)
            over = driver.finished
        stopped = {report.number for report in reports if report.stop is not None}
        leaving = [number for number in ended.numbers if number not in stopped]
        if leaving or joining or ended.moving:
            # Actor calls are ordered: this runs before the next step.
            tune_controller._schedule_trial_task(
                trial=trial,
                method_name="exchange",
                args=(
                    leaving,
                    [number for number in ended.well if number in leaving],
                    ended.moving,
                    joining,
                ),
                on_result=self._exchanged,
                on_error=partial(self._not_exchanged, tune_controller._trial_task_failure),
            )
        return TrialScheduler.STOP if over else TrialScheduler.CONTINUE

    def _exchanged(self, trial: Trial, result: None) -> None:
        """Lets those that have left with a checkpoint go on elsewhere."""
        with self.access() as driver:
            driver.moved(trial.config["slot"])

    def _not_exchanged(
        self, on_failure: Callable[..., None], trial: Trial, error: Exception
    ) -> None:
        """Ends the search, unless the worker died.

        Tune then forgets the step in flight, whose failure would have told it: nobody else does.
        """
        if isinstance(error, RayActorError):
            on_failure(trial, exception=error)
            return
        with self.access():
            raise error


class _Watch(HeldLocally, Callback):
    """Ticks, and tells the driver of slots that closed or failed."""

    def __init__(
        self,
        access: ControllerAccess,
        signs: Path,
        listener: Observer,
    ) -> None:
        super().__init__(access)
        self.signs, self.listener = signs, listener

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        with self.access() as driver:
            driver.look_around()
        with self.access():
            self.listener.tick()

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        with self.access() as driver:
            driver.closed(trial.config["slot"])

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        path = trial.error_file
        text = Path(path).read_text(encoding="utf-8") if path and Path(path).exists() else ""
        stacks = stacks_of(self.signs, trial.config["slot"])
        hung = stacks.read_text(encoding="utf-8", errors="replace") if stacks.exists() else ""
        reason = stop_reason(text, bool(hung))
        if hung:
            text = f"{hung}no sign of life for {trial.config['patience_s']:g} s"
        with self.access() as driver:
            check_reached(text)
            self.access.starts.failed(not driver.running[trial.config["slot"]], text)
            numbers = driver.lost(trial.config["slot"], reason, text)
            self.listener.failed(numbers, reason, text)


def stop_reason(text: str, hung: bool = False) -> str:
    """Returns the stop reason of a failed worker, by the text that Ray has of its error."""
    last = text.strip().rpartition("\n")[2]
    if hung:
        return "hung"
    if any(sign in last for sign in OUT_OF_MEMORY):
        return "out_of_memory"
    return "error" if RAISED in text else "worker_lost"
