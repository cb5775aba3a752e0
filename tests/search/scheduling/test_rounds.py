"""Rounds: what is held back, until when, and what a controller does with it."""

import random
from pathlib import Path

from search.scheduling.controller import Controller
from search.scheduling.rounds import Rounds
from tests.fixtures.rigs import LEVELS, Rig, joined, report
from trainable.report import Stop
from trainable.worker.assignment import Assignment, Instructions

GO = Instructions(go=True)


def test_a_round_is_over_when_each_member_of_each_slot_has_reported() -> None:
    rounds = Rounds()
    rounds.hear(1, [])
    rounds.hear(2, [])
    rounds.begin({1: GO, 2: GO}, {1: {0, 1}, 2: {2}})
    assert (rounds.answer(1), rounds.answer(1), rounds.answer(2)) == (GO, Instructions(), GO)
    rounds.hear(2, [report(2, 1)])
    rounds.hear(1, [report(1, 1)])
    assert not rounds.is_over([])
    rounds.hear(1, [report(0, 1)])
    assert rounds.is_over([])
    assert not rounds.is_over([2]), "a checkpoint is still written there"
    assert {slot: [r.number for r in each] for slot, each in rounds.end().items()} == {
        1: [1, 0], 2: [2],
    }  # fmt: skip
    assert rounds.end() == {1: [], 2: []}


def test_who_has_ended_meanwhile_is_not_heard() -> None:
    rounds = Rounds()
    rounds.hear(1, [])
    rounds.begin({1: GO}, {1: {3}})
    rounds.hear(1, [report(7, 1), report(3, 1)])
    assert [r.number for r in rounds.end()[1]] == [3]


def test_no_round_begins_before_a_worker_has_heard_who_leaves_it() -> None:
    rounds = Rounds()
    rounds.hear(1, [])
    rounds.begin({1: Instructions(join=(Assignment(3, {}),), go=True)}, {1: set()})
    assert rounds.undelivered
    assert not rounds.is_over([])
    rounds.answer(1)
    assert not rounds.undelivered
    assert rounds.is_over([])


def test_a_slot_that_is_closed_is_waited_for_no_more() -> None:
    rounds = Rounds()
    for slot in (1, 2):
        rounds.hear(slot, [])
    rounds.begin({1: GO, 2: GO}, {1: {0}, 2: {1}})
    rounds.hear(1, [report(0, 1)])
    rounds.close(2)
    assert rounds.slots == [1]
    assert rounds.is_over([])


def course(driver: Controller, chance: random.Random) -> list[tuple[int, ...]]:
    """Trains to the end, slot after slot by chance; returns who reported in each batch."""
    todo: dict[int, list[int]] = {}
    while (slot := driver.open_slot()) is not None:
        todo[slot] = []
    while not driver.is_finished():
        slot = chance.choice(list(todo))
        some = chance.sample(todo[slot], chance.randint(0, len(todo[slot])))
        reports = []
        for number in some:
            epoch = driver.reports.last_epoch(number) + 1
            reports.append(
                report(number, epoch, Stop("completed") if epoch == LEVELS[-1] else None)
            )
            todo[slot].remove(number)
        told = driver.on_reports(slot, reports)
        driver.on_saved(slot)
        if told.go:
            todo[slot] = sorted(driver.running[slot])
            assert set(joined(told)) <= set(todo[slot])
    return [tuple(r.number for r in batch) for batch in driver.reports.batches()]


def test_batches_and_ends_are_the_same_in_whatever_order_slots_report(tmp_path: Path) -> None:
    found = set()
    for seed in range(4):
        rig = Rig(tmp_path / str(seed))
        driver = rig.driver(trials=10, slots=2, members=3, seeds=2, in_flight=6, in_rounds=True)
        batches = course(driver, random.Random(seed))
        assert batches[0] == (0, 1, 2, 3, 4, 5)
        assert all(list(batch) == sorted(batch) for batch in batches)
        assert {state for state, _ in rig.ends().values()} <= {"COMPLETE", "PRUNED"}
        found.add((tuple(batches), tuple(sorted(rig.ends().items()))))
        rig.folder.close()
    assert len(found) == 1
