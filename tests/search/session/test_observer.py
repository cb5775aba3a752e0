"""What a search says, and does, while no machine of its cluster can train."""

import pytest

from search.session.observer import NO_MACHINE_S, MachineWatch
from trainable.cli.errors import UserError


def watch() -> MachineWatch:
    return MachineWatch(cpus=2, gpus=0.5, now=0.0)


def test_it_is_said_once_that_no_machine_can_train_when_that_has_lasted() -> None:
    machines = watch()
    times = (NO_MACHINE_S - 1, NO_MACHINE_S, NO_MACHINE_S + 2)
    assert [machines.look(False, False, now) for now in times] == [
        None,
        "no machine of the cluster holds a worker (cpus_per_trial=2, gpus_per_trial=0.5); the "
        "search waits for one to come",
        None,
    ]


def test_machines_that_go_for_a_while_are_not_spoken_of() -> None:
    machines = watch()
    looks = ((0.0, False), (NO_MACHINE_S - 1, True), (2 * NO_MACHINE_S - 2, False))
    assert [machines.look(can_train, False, now) for now, can_train in looks] == [None] * 3


def test_a_time_budget_ends_a_search_that_no_machine_trains() -> None:
    """No worker is there to end its trials with."""
    machines = watch()
    assert machines.look(False, True, NO_MACHINE_S - 1) is None
    with pytest.raises(UserError, match=r"time_budget_s is over and no machine .* resume=true"):
        machines.look(False, True, NO_MACHINE_S)
