"""The adapters of Ray Tune, without Ray: slots open empty, at once, and nobody waits in them."""

from typing import Any

import pytest
from ray.exceptions import RayActorError
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher
from search.backend.access import ControllerAccess

from search.backend.ray_tune import CohortScheduler, CohortSearcher, stop_reason
from search.pruning.verdict import Instructions
from trainable.report import Report, Stop
from trainable.worker.assignment import Assignment


class Driver:
    """Has one slot, and one member for it."""

    def __init__(self) -> None:
        self.slots = [1]
        self.finished = False
        self.taken: list[Report] = []
        self.out: list[int] = []
        self.gpus: dict[int, str] = {}

    def open(self) -> int | None:
        return self.slots.pop() if self.slots else None

    def take(self, slot: int, reports: list[Report]) -> Instructions:
        self.taken += reports
        return Instructions([report.number for report in reports], [1])

    def stands(self, slot: int, gpu: str) -> None:
        self.gpus[slot] = gpu

    def moved(self, slot: int) -> None:
        self.out.append(slot)

    def fill(self, slot: int) -> list[Assignment]:
        return [Assignment(3, {"optimizer/lr": 0.1}, 4)]


class Controller:
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

    def __init__(self) -> None:
        self.config = {"slot": 1}


def access(driver: Any) -> ControllerAccess:
    return ControllerAccess(driver)


def result(reports: list[Report], gpu: str | None = None) -> dict[str, Any]:
    return {"reports": reports, "device": "cpu", "gpu": gpu}


def test_a_slot_opens_at_once_and_empty_so_that_its_worker_starts_while_tpe_asks() -> None:
    searcher = CohortSearcher(access(Driver()), {"threads": 1})
    assert searcher.suggest("a") == {"threads": 1, "slot": 1}
    assert searcher.suggest("b") is None


def test_a_finished_search_opens_no_slot() -> None:
    driver = Driver()
    driver.finished = True
    assert CohortSearcher(access(driver), {}).suggest("a") == Searcher.FINISHED


def test_who_ended_leaves_and_others_join_in_one_exchange() -> None:
    driver, controller = Driver(), Controller()
    reports = [Report(1, 4, 40, {}), Report(2, 2, 20, {}, stop=Stop("collapsed"))]
    scheduler = CohortScheduler(access(driver))
    answer = scheduler.on_trial_result(controller, Slot(), result(reports))  # pyright: ignore[reportArgumentType]
    assert answer == TrialScheduler.CONTINUE
    assert driver.taken == reports
    joining = [Assignment(3, {"optimizer/lr": 0.1}, 4)]
    # Trial 2 stopped by itself: its worker has let it go already.
    assert controller.tasks == [("exchange", ([1], [1], [], joining))]
    assert driver.out == []  # whoever moves waits only when it is saved
    controller.done[0](Slot(), None)
    assert driver.out == [1]


def test_the_last_exchange_comes_before_the_end() -> None:
    driver, controller = Driver(), Controller()
    driver.finished = True
    driver.fill = lambda slot: []
    scheduler = CohortScheduler(access(driver))
    reports = [Report(1, 4, 40, {})]
    last = result(reports, gpu="a:0")
    answer = scheduler.on_trial_result(controller, Slot(), last)  # pyright: ignore[reportArgumentType]
    assert answer == TrialScheduler.STOP
    assert driver.gpus == {1: "a:0"}
    assert controller.tasks == [("exchange", ([1], [1], [], []))]


def test_a_worker_that_dies_in_an_exchange_is_a_failure_and_other_errors_end_the_search() -> None:
    """Tune forgets the step that was to come after, and would wait for this slot for ever."""
    held, controller, slot = access(Driver()), Controller(), Slot()
    CohortScheduler(held).on_trial_result(controller, slot, result([Report(1, 4, 40, {})]))  # pyright: ignore[reportArgumentType]
    (on_error,) = controller.errors
    died = RayActorError()
    on_error(slot, died)
    assert controller.failed == [(slot, died)]
    assert held.error is None
    with pytest.raises(ValueError, match="ours"):
        on_error(slot, ValueError("ours"))
    assert str(held.error) == "ours"


def test_a_worker_that_died_is_told_from_one_that_raised() -> None:
    died = "Failure # 1 (occurred at 2026-01-01)\nThe actor died unexpectedly before finishing"
    raised = "Failure # 1\n\x1b[36mray::ResourceTrainable.train()\x1b[39m (pid=7)\nKeyError: 'x'\n"
    assert stop_reason(died) == "worker_lost"
    assert stop_reason(raised) == "error"
    assert stop_reason(raised + "MemoryError: 3 GiB") == "out_of_memory"
    assert stop_reason(died, hung=True) == "hung"
