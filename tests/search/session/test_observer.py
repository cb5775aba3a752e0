"""What a search says, and does, while no machine of its cluster can train."""

from types import SimpleNamespace
from typing import Any

import pytest

from search.session.observer import ALONE_S, SearchObserver
from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError


@pytest.fixture
def watch() -> Any:
    """Returns a watch that has just begun, as far as it matters here."""
    made: Any = SearchObserver.__new__(SearchObserver)
    said: list[str] = []
    made.said, made.progress = said, SimpleNamespace(note=said.append)
    made.plan = SimpleNamespace(settings=SearchSettings(cpus_per_trial=2))
    made.driver = SimpleNamespace(out_of_time=False)
    made.alone_since, made.said_alone, made.gpus = 0.0, False, 0.5
    return made


def test_it_is_said_once_that_no_machine_can_train_when_that_has_lasted(watch: Any) -> None:
    for now in (ALONE_S - 1, ALONE_S, ALONE_S + 2):
        watch._say_alone(False, now)
    assert watch.said == [
        "no machine of the cluster holds a worker (cpus_per_trial=2, gpus_per_trial=0.5); the "
        "search waits for one to come"
    ]


def test_machines_that_go_for_a_while_are_not_spoken_of(watch: Any) -> None:
    for now, trainable in ((0, False), (ALONE_S - 1, True), (2 * ALONE_S - 2, False)):
        watch._say_alone(trainable, now)
    assert watch.said == []


def test_a_time_budget_ends_a_search_that_no_machine_trains(watch: Any) -> None:
    """No worker is there to end its trials with."""
    watch.driver.out_of_time = True
    watch._say_alone(False, ALONE_S - 1)
    with pytest.raises(UserError, match=r"time_budget_s is over and no machine .* resume=true"):
        watch._say_alone(False, ALONE_S)
