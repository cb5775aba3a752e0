"""The trials that wait for a slot: the first of a group goes first, the last to others."""

from collections.abc import Sequence

from search.scheduling.cohorts import CohortKey
from search.scheduling.queue import WaitingQueue
from search.study.trials import TrialSpec


def waits(number: int) -> TrialSpec:
    return TrialSpec(number, {}, "search", seed=number)


A, B = CohortKey("a"), CohortKey("b")


def numbers(trials: Sequence[TrialSpec]) -> list[int]:
    return [trial.number for trial in trials]


def test_the_longest_waiting_of_a_group_is_the_first_to_go() -> None:
    queue = WaitingQueue()
    for number, key in enumerate([A, B, A, A]):
        queue.add(key, waits(number))
    assert queue.counts() == {A: 3, B: 1}
    assert numbers(queue.take(A, 2)) == [0, 2]
    assert numbers(queue.take(A, 2)) == [3]
    assert (len(queue), queue.counts()) == (1, {B: 1})
    assert numbers(queue.take_all()) == [1]
    assert (len(queue), queue.take_all()) == (0, [])


def test_those_whose_turn_is_the_last_are_taken_for_others() -> None:
    queue = WaitingQueue()
    for number, key in enumerate([A, B, A, A, B]):
        queue.add(key, waits(number))
    assert numbers(queue.take_last(3, lambda trial: trial.number != 3)) == [4, 1, 2]
    assert queue.counts() == {A: 2}
    assert numbers(queue.take_last(0, lambda trial: True)) == []
    assert numbers(queue.take_last(9, lambda trial: trial.number != 3)) == [0]
    assert numbers(queue.take_all()) == [3]
