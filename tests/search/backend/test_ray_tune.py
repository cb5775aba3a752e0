"""The adapters of Ray Tune, without Ray: slots open empty, at once, and nobody waits in them."""

from typing import Any, cast

import pytest
from ray.exceptions import RayActorError
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher

from search.backend.tune_adapters import (
    ControllerAccess,
    SlotScheduler,
    SlotSearcher,
    stop_reason,
)
from trainable.report import Report, Stop
from trainable.worker.assignment import Assignment, Instructions


class Controller:
    """Has one slot, and one member for it."""

    def __init__(self) -> None:
        self.slots = [1]
        self.finished = False
        self.taken: list[Report] = []
        self.saved: list[int] = []
        self.gpus: dict[int, str] = {}
        self.join: tuple[Assignment, ...] = (Assignment(3, {"optimizer/lr": 0.1}, 4),)

    def is_finished(self) -> bool:
        return self.finished

    def open_slot(self) -> int | None:
        return self.slots.pop() if self.slots else None

    def on_reports(self, slot: int, reports: list[Report]) -> Instructions:
        self.taken += reports
        return Instructions(leave=(1,), keep_model=(1,), join=self.join)

    def on_gpu(self, slot: int, gpu: str) -> None:
        self.gpus[slot] = gpu

    def on_saved(self, slot: int) -> None:
        self.saved.append(slot)


class TuneController:
    """Notes what a worker is to do."""

    def __init__(self) -> None:
        self.tasks: list[tuple[str, Any]] = []
        self.errors: list[Any] = []
        self.done: list[Any] = []
        self.failed: list[tuple[Any, Exception]] = []

    def _schedule_trial_task(
        self, trial: Any, method_name: str, args: Any, on_result: Any, on_error: Any
    ) -> None:
        self.tasks.append((method_name, args))
        self.done.append(on_result)
        self.errors.append(on_error)

    def _trial_task_failure(self, trial: Any, exception: Exception) -> None:
        self.failed.append((trial, exception))


class Slot:
    """A Tune trial, as far as it matters here."""

    def __init__(self, gpu: bool = False) -> None:
        self.config = {"slot": 1, "gpu": gpu}


class Observer:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.hosts: list[str] = []

    def trains_on_cpu(self, host: str) -> None:
        self.hosts.append(host)


def access(controller: Any, observer: Any = None) -> ControllerAccess:
    told: Any = observer or Observer()
    return ControllerAccess(controller, told)


def result(reports: list[Report], gpu: str | None = None) -> dict[str, Any]:
    return {"reports": reports, "device": "cpu", "gpu": gpu, "hostname": "host3"}


def answer_of(held: ControllerAccess, tune: TuneController, slot: Slot, found: dict) -> str:
    controller, trial = cast(Any, tune), cast(Any, slot)
    return SlotScheduler(held).on_trial_result(controller, trial, found)


def test_a_slot_opens_at_once_and_empty_so_that_its_worker_starts_while_tpe_asks() -> None:
    searcher = SlotSearcher(access(Controller()), {"threads": 1})
    assert searcher.suggest("a") == {"threads": 1, "slot": 1}
    assert searcher.suggest("b") is None


def test_a_finished_search_opens_no_slot() -> None:
    controller = Controller()
    controller.finished = True
    assert SlotSearcher(access(controller), {}).suggest("a") == Searcher.FINISHED


def test_members_leave_and_join_in_one_exchange() -> None:
    controller, tune = Controller(), TuneController()
    reports = [Report(1, 4, 40, {}), Report(2, 2, 20, {}, stop=Stop("collapsed"))]
    answer = answer_of(access(controller), tune, Slot(), result(reports))
    assert answer == TrialScheduler.CONTINUE
    assert controller.taken == reports
    instructions = Instructions(leave=(1,), keep_model=(1,), join=controller.join)
    assert tune.tasks == [("exchange", (instructions,))]
    assert controller.saved == []  # members that move wait only when they are saved
    tune.done[0](Slot(), None)
    assert controller.saved == [1]


def test_the_last_exchange_comes_before_the_end() -> None:
    controller, tune = Controller(), TuneController()
    controller.finished, controller.join = True, ()
    last = result([Report(1, 4, 40, {})], gpu="a:0")
    assert answer_of(access(controller), tune, Slot(), last) == TrialScheduler.STOP
    assert controller.gpus == {1: "a:0"}
    assert tune.tasks == [("exchange", (Instructions(leave=(1,), keep_model=(1,)),))]


def test_without_instructions_there_is_no_exchange() -> None:
    controller, tune = Controller(), TuneController()
    controller.on_reports = lambda slot, reports: Instructions()
    assert answer_of(access(controller), tune, Slot(), result([])) == TrialScheduler.CONTINUE
    assert tune.tasks == []


@pytest.mark.parametrize(("gpu", "told"), [(True, ["host3"]), (False, [])])
def test_a_worker_with_a_gpu_that_trains_on_the_cpu_is_told_once(
    gpu: bool, told: list[str]
) -> None:
    observer, tune = Observer(), TuneController()
    held = access(Controller(), observer)
    for _ in range(2):
        answer_of(held, tune, Slot(gpu), result([]))
    assert observer.hosts == told


def test_a_worker_that_dies_in_an_exchange_is_a_failure_and_other_errors_end_the_search() -> None:
    """Tune forgets the step that was to come after, and would wait for this slot for ever."""
    held, tune, slot = access(Controller()), TuneController(), Slot()
    answer_of(held, tune, slot, result([Report(1, 4, 40, {})]))
    (on_error,) = tune.errors
    died = RayActorError()
    on_error(slot, died)
    assert tune.failed == [(slot, died)]
    assert held.error is None
    with pytest.raises(ValueError, match="ours"):
        on_error(slot, ValueError("ours"))
    assert str(held.error) == "ours"


def test_what_tune_pickles_of_the_adapters_is_not_the_search() -> None:
    assert access(Controller()).__getstate__() == {}


def test_a_worker_that_died_is_told_from_one_that_raised() -> None:
    died = "Failure # 1 (occurred at 2026-01-01)\nThe actor died unexpectedly before finishing"
    raised = "Failure # 1\n\x1b[36mray::ResourceTrainable.train()\x1b[39m (pid=7)\nKeyError: 'x'\n"
    assert stop_reason(died) == "worker_lost"
    assert stop_reason(raised) == "error"
    assert stop_reason(raised + "MemoryError: 3 GiB") == "out_of_memory"
    assert stop_reason(died, hung=True) == "hung"
