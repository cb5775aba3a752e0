"""Slots of a search: how many, who trains in which, and who moves when machines come."""

from search.scheduling.cohorts import sizes
from tests.fixtures.rigs import LEVELS, Rig, filled, finish_all, report
from trainable.report import Stop


def test_no_more_slots_are_opened_than_there_are(rig: Rig) -> None:
    driver = rig.driver(trials=12, slots=2, members=2)
    first, second = driver.open(), driver.open()
    assert (first, second) == (1, 2)
    assert driver.open() is None
    driver.closed(1)
    assert driver.open() == 3


def test_seeds_are_shared_out_over_the_slots(rig: Rig) -> None:
    driver = rig.driver(trials=2, slots=2, members=1, seeds=5)
    slots = [filled(driver) for _ in range(2)]
    for slot, (number,) in slots:
        driver.take(slot, [report(number, 4, Stop("completed"))])
    assert [len(driver.fill(slot)) for slot, _ in slots] == [4, 4]


def test_large_models_have_a_slot_each_and_wait_where_a_rung_is_too_empty_to_judge(
    rig: Rig,
) -> None:
    rig.large = True
    driver = rig.driver(trials=6, seeds=1)
    slot, numbers = filled(driver)
    assert numbers == [0]
    order = []
    while not driver.finished:
        (number,) = driver.running[slot]
        epoch = driver.results.last_epoch(number) + 1
        order.append((number, epoch))
        stop = Stop("completed") if epoch == LEVELS[-1] else None
        left = driver.take(slot, [report(number, epoch, stop, sharpe=-float(number))])
        assert (number in left.moving) == (epoch == 1 and number < 4)
        assert not driver.finished
        driver.moved(slot)  # it is saved
        driver.fill(slot)
    assert driver.seating.notes == ["too large"]
    # Each is seen once before anybody goes on; of those that waited, the worst are ended unseen.
    assert order[:6] == [(number, 1) for number in (0, 1, 2, 3, 4, 5)]
    assert order[6:] == [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)][: len(order) - 6]
    ends = rig.ends()
    assert ends[0] == ("COMPLETE", "completed")
    assert [ends[n] for n in range(2, 6)] == [("PRUNED", "asha_rung")] * 4


def test_few_large_models_are_asked_ahead_and_many_small_ones(rig: Rig) -> None:
    driver = rig.driver(trials=6, slots=2, untold=12)
    filled(driver)
    assert rig.asker.held[-1] == 12
    rig.large = True
    driver = rig.driver(trials=12, slots=2, untold=3)  # those above wait as large ones now
    slots = [filled(driver)[0] for _ in range(2)]
    assert [len(driver.running[slot]) for slot in slots] == [1, 1]
    assert rig.asker.held[-1] == 0  # more wait than there are slots
    while len(driver.seating.waiting) > 1:
        for slot in slots:
            (number,) = driver.running[slot]
            driver.take(slot, [report(number, 1, Stop("nan_explosion"))])
            driver.fill(slot)
        rig.asker.budget = 0
    assert rig.asker.held[-1] in (1, 2)


def test_large_models_train_beside_small_ones(rig: Rig) -> None:
    large = {1, 3, 5}
    driver = rig.driver(trials=8, slots=2, untold=8)
    driver.seating.alone = lambda number: number in large
    assert [filled(driver)[1], filled(driver)[1]] == [[1, 0, 2, 4], [3, 6, 7]]
    assert [asked.number for asked in driver.seating.waiting.drain()] == [5]
    assert rig.asker.held[-1] == 8


def test_large_models_of_slots_on_one_gpu_take_turns(rig: Rig) -> None:
    rig.large = True
    driver = rig.driver(trials=6, seeds=1, slots=3, untold=6)
    slots = [driver.open() for _ in range(3)]
    for slot, gpu in zip(slots, ["a:0", "a:0", "b:0"], strict=True):
        assert slot is not None
        driver.stands(slot, gpu)
    first, second, third = (slot for slot in slots if slot is not None)
    assert [len(driver.fill(slot)) for slot in (first, second, third)] == [1, 0, 1]
    (number,) = driver.running[first]
    driver.take(first, [report(number, 1, Stop("nan_explosion"))])
    assert [len(driver.fill(slot)) for slot in (second, first)] == [1, 0]
    assert driver.lost(second, "worker_lost", "gone") == []
    assert len(driver.fill(first)) == 1
    assert rig.asker.held[-1] == 0  # enough wait for two GPUs


def test_large_models_that_nobody_joins_go_on_unjudged(rig: Rig) -> None:
    rig.large = True
    driver = rig.driver(trials=2, seeds=1)
    finish_all(driver)
    assert rig.ends() == dict.fromkeys(range(2), ("COMPLETE", "completed"))


def test_a_machine_that_comes_gets_work_from_those_that_are_full(rig: Rig) -> None:
    """The youngest members move, once they are saved; none moves where somebody waits."""
    driver = rig.driver(trials=8, slots=1, members=8, untold=8)
    slot, numbers = filled(driver)
    assert numbers == list(range(8))
    assert driver.open() is None
    driver.resize(sizes(8, 2, 4))
    other, none = filled(driver)
    assert none == []
    left = driver.take(slot, [report(0, 1, sharpe=1.0)])
    assert left.moving == [7, 6, 5, 4]
    assert driver.fill(other) == []  # they are being saved
    assert not driver.finished
    driver.moved(slot)
    assert [joining.number for joining in driver.fill(slot)] == []  # it has its share
    assert {joining.number for joining in driver.fill(other)} == {4, 5, 6, 7}
    assert driver.take(slot, [report(0, 2, sharpe=1.0)]).moving == []


def test_members_on_their_way_out_of_a_worker_that_is_lost_wait(rig: Rig) -> None:
    driver = rig.driver(trials=8, slots=1, members=8, untold=8)
    slot, _ = filled(driver)
    driver.resize(sizes(8, 2, 4))
    filled(driver)
    assert len(driver.take(slot, [report(0, 1, sharpe=1.0)]).moving) == 4
    assert driver.lost(slot, "worker_lost", "gone") == []
    waiting = [asked.number for asked in driver.seating.waiting.drain()]
    assert sorted(waiting) == list(range(8))


def test_slots_are_opened_for_machines_that_may_come(rig: Rig) -> None:
    driver = rig.driver(trials=2, slots=1)
    driver.resize(sizes(2, 1, None, wanted=3))
    slot, numbers = filled(driver)
    assert numbers == [0, 1]
    assert driver.open() == 2
    assert driver.open() is None  # nobody would train there
    driver.take(slot, [report(0, 1, Stop("nan_explosion"))])
    driver.closed(2)
    assert driver.open() is None
