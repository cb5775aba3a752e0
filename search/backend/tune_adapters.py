"""Thin adapters between Ray Tune and the controller: a searcher, a scheduler and a callback."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from ray.exceptions import RayActorError
from ray.tune import Callback
from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from search.backend.base import Observer
from search.backend.workers import StartFailures, check_store_answers
from search.scheduling.controller import Controller
from trainable.trial import METRIC
from trainable.worker.watchdog import stacks_of

# What the last line of a worker's traceback holds when memory ran out.
OUT_OF_MEMORY = ("OutOfMemoryError", "MemoryError", "can't allocate memory")
RAISED = "ray::"  # in the traceback of what a worker raised; one that died has none


class ControllerAccess:
    """The controller and the observer, as the adapters reach them.

    Tune rewrites what an adapter raises: the first error is kept here. Tune also pickles its
    adapters; nobody reads those pickles, and this object leaves everything out of them.

    Args:
        controller: of the search.
        observer: of the search.

    Attributes:
        error: the first error of an adapter.
        failures: workers that failed before they trained anything.
    """

    def __init__(self, controller: Controller, observer: Observer) -> None:
        self.controller, self.observer = controller, observer
        self.error: Exception | None = None
        self.failures = StartFailures()
        self.said_cpu = False

    @contextmanager
    def __call__(self) -> Iterator[Controller]:
        """Lends the controller for a `with` block, and keeps what the block raises."""
        try:
            yield self.controller
        except Exception as error:
            self.error = self.error or error
            raise

    def __getstate__(self) -> dict[str, Any]:
        return {}


class SlotSearcher(Searcher):
    """Suggests the free slots of the controller as Tune trials.

    Args:
        access: to the controller.
        config: what every worker is given.
    """

    def __init__(self, access: ControllerAccess, config: dict[str, Any]) -> None:
        super().__init__(metric=METRIC, mode="max")
        self.access, self.config = access, config

    def suggest(self, trial_id: str) -> Any:
        """Returns a slot's config, None when all are taken, or FINISHED.

        The slot is still empty: its members are asked while its worker starts.
        """
        with self.access() as controller:
            if controller.is_finished():
                return Searcher.FINISHED
            slot = controller.open_slot()
        return None if slot is None else {**self.config, "slot": slot}

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Nothing: the scheduler and the callback have told the controller."""

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the study has the state."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: a resumed search starts a fresh Tune run."""


class SlotScheduler(FIFOScheduler):
    """Passes a slot's reports to the controller, and its instructions to the worker."""

    def __init__(self, access: ControllerAccess) -> None:
        super().__init__()
        self.access = access

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Returns STOP when nothing is left to train, else CONTINUE after the exchange."""
        slot = trial.config["slot"]
        reports = result.pop("reports")
        gpu = result.pop("gpu")
        on_cpu = result.pop("device") == "cpu"
        if on_cpu and trial.config["gpu"] and not self.access.said_cpu:
            self.access.said_cpu = True
            self.access.observer.trains_on_cpu(result["hostname"])
        with self.access() as controller:
            self.access.failures.reset()
            if gpu is not None:
                controller.on_gpu(slot, gpu)
            instructions = controller.on_reports(slot, reports)
            finished = controller.is_finished()
        if instructions.anything:
            # Actor calls are ordered: this runs before the next step.
            tune_controller._schedule_trial_task(
                trial=trial,
                method_name="exchange",
                args=(instructions,),
                on_result=self._on_exchanged,
                on_error=partial(self._on_exchange_failed, tune_controller._trial_task_failure),
            )
        return TrialScheduler.STOP if finished else TrialScheduler.CONTINUE

    def _on_exchanged(self, trial: Trial, result: None) -> None:
        """Lets the members that were saved go on elsewhere."""
        with self.access() as controller:
            controller.on_saved(trial.config["slot"])

    def _on_exchange_failed(
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


class SlotCallback(Callback):
    """Ticks, and tells the controller of workers that closed or failed.

    Args:
        access: to the controller.
        dumps: the folder with the stacks of workers that hung.
    """

    def __init__(self, access: ControllerAccess, dumps: Path) -> None:
        super().__init__()
        self.access, self.dumps = access, dumps

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        """Follows other drivers, and lets the observer look."""
        with self.access() as controller:
            controller.poll_other_drivers()
            self.access.observer.tick()

    def on_trial_complete(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Notes that a worker has ended."""
        with self.access() as controller:
            controller.on_worker_closed(trial.config["slot"])

    def on_trial_error(
        self, iteration: int, trials: list[Trial], trial: Trial, **info: Any
    ) -> None:
        """Notes that a worker has failed."""
        path, slot = trial.error_file, trial.config["slot"]
        text = Path(path).read_text(encoding="utf-8") if path and Path(path).exists() else ""
        stacks = stacks_of(self.dumps, slot)
        hung = stacks.read_text(encoding="utf-8", errors="replace") if stacks.exists() else ""
        reason = stop_reason(text, bool(hung))
        if hung:
            text = f"{hung}no sign of life for {trial.config['patience_s']:g} s"
        with self.access() as controller:
            check_store_answers(text)
            self.access.failures.add(not controller.running[slot], text)
            numbers = controller.on_worker_lost(slot, reason, text)
            self.access.observer.worker_failed(numbers, reason, text)


def stop_reason(text: str, hung: bool = False) -> str:
    """Returns the stop reason of a failed worker, by the text that Ray has of its error."""
    last = text.strip().rpartition("\n")[2]
    if hung:
        return "hung"
    if any(sign in last for sign in OUT_OF_MEMORY):
        return "out_of_memory"
    return "error" if RAISED in text else "worker_lost"
