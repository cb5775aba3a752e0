"""Ray Tune is never told to wait while nothing trains: it would sleep for whole seconds."""

from typing import Any

import numpy as np
import pytest
from ray.tune.search import Searcher

from search.study import Asked
from search.tuning import CohortSearcher, Interrupted, _Seat
from trainable.report import Report


class Driver:
    """Has a cohort after so many looks."""

    def __init__(self, looks: int, running: bool = False) -> None:
        self.looks = looks
        self.running = {1: {7}} if running else {}
        self.finished = False

    def next_cohort(self) -> tuple[int, list[Asked]] | None:
        self.looks -= 1
        return None if self.looks >= 0 else (2, [Asked(3, {"optimizer/lr": 0.1}, "search", 5)])

    def known(self, number: int) -> int:
        return 4


def searcher(driver: Any, on_tick: Any = lambda: None) -> CohortSearcher:
    return CohortSearcher(_Seat(driver), {"threads": 1}, on_tick)


def test_while_nothing_trains_the_searcher_waits_for_what_is_being_asked() -> None:
    ticks: list[int] = []
    found = searcher(Driver(looks=3), lambda: ticks.append(1)).suggest("a")
    member = {"number": 3, "params": {"optimizer/lr": 0.1}, "known": 4}
    assert found == {"threads": 1, "cohort": 2, "members": [member]}
    assert len(ticks) == 3


def test_while_something_trains_nobody_waits() -> None:
    driver = Driver(looks=3, running=True)
    assert searcher(driver).suggest("a") is None
    assert driver.looks == 2


def test_a_search_that_ends_meanwhile_is_finished() -> None:
    driver = Driver(looks=100)

    def end() -> None:
        driver.finished = True

    assert searcher(driver, end).suggest("a") == Searcher.FINISHED


def test_who_waits_can_be_interrupted() -> None:
    def interrupt() -> None:
        raise Interrupted("SIGTERM")

    with pytest.raises(Interrupted):
        searcher(Driver(looks=100), interrupt).suggest("a")


def test_a_report_is_printed_without_its_arrays() -> None:
    made = Report(1, 2, 3, {"sharpe": 0.5}, net_returns=np.ones(3), predictions=np.ones(3))
    assert "array" not in repr(made)
    assert "'sharpe': 0.5" in repr(made)
