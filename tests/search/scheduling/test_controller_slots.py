"""Slots of a search: how many, who trains in which, and who moves when machines come."""

from search.scheduling.capacity import capacity_of
from search.scheduling.controller import Controller
from tests.fixtures.rigs import LEVELS, Rig, filled, finish_all, joined, report
from trainable.report import Stop
from trainable.worker.assignment import Instructions


def test_no_more_slots_are_opened_than_there_are(rig: Rig) -> None:
    driver = rig.driver(trials=12, slots=2, members=2)
    first, second = driver.open_slot(), driver.open_slot()
    assert (first, second) == (1, 2)
    assert driver.open_slot() is None
    driver.on_worker_closed(1)
    assert driver.open_slot() == 3


def test_seeds_are_shared_out_over_the_slots(rig: Rig) -> None:
    """More of them than members: the sampler does not wait for seeds."""
    driver = rig.driver(trials=2, slots=2, members=1, seeds=3)
    slots = dict([filled(driver), filled(driver)])
    assert list(slots.values()) == [[0], [1]]
    for slot, (number,) in slots.items():
        ended = [report(number, 4, Stop("completed"), sharpe=1 + number / 1e6)]
        assert len(joined(driver.on_reports(slot, ended))) == 2


def test_large_models_have_a_slot_each_and_wait_where_a_rung_is_too_empty_to_judge(
    rig: Rig,
) -> None:
    rig.large = True
    driver = rig.driver(trials=6, seeds=1)
    slot, numbers = filled(driver)
    assert numbers == [0]
    order = []
    while not driver.is_finished():
        (number,) = driver.running[slot]
        epoch = driver.reports.last_epoch(number) + 1
        order.append((number, epoch))
        stop = Stop("completed") if epoch == LEVELS[-1] else None
        told = driver.on_reports(slot, [report(number, epoch, stop, sharpe=-float(number))])
        assert (number in told.save) == (epoch == 1 and number < 4)
        assert not (told.save and driver.is_finished())
        driver.on_saved(slot)
    assert driver.placement.notes == ["too large"]
    # Each is seen once before anybody goes on; of those that waited, the worst are ended unseen.
    assert order[:6] == [(number, 1) for number in (0, 1, 2, 3, 4, 5)]
    assert order[6:] == [(0, 2), (0, 3), (0, 4), (1, 2), (1, 3), (1, 4)][: len(order) - 6]
    ends = rig.ends()
    assert ends[0] == ("COMPLETE", "completed")
    assert [ends[n] for n in range(2, 6)] == [("PRUNED", "asha_rung")] * 4


def test_few_large_models_are_asked_ahead_and_many_small_ones(rig: Rig) -> None:
    driver = rig.driver(trials=6, slots=2, in_flight=12)
    filled(driver)
    assert rig.asker.held[-1] == 12
    rig.large = True
    driver = rig.driver(trials=12, slots=2, in_flight=3)  # those above wait as large ones now
    slots = [filled(driver)[0] for _ in range(2)]
    assert [len(driver.running[slot]) for slot in slots] == [1, 1]
    assert rig.asker.held[-1] == 0  # more wait than there are slots
    while len(driver.placement.searched) > 1:
        for slot in slots:
            (number,) = driver.running[slot]
            driver.on_reports(slot, [report(number, 1, Stop("nan_explosion"))])
        rig.asker.budget = 0
    assert rig.asker.held[-1] in (1, 2)


def test_large_models_train_beside_small_ones(rig: Rig) -> None:
    large = {1, 3, 5}
    driver = rig.driver(trials=8, slots=2, in_flight=8)
    driver.placement.trains_alone = lambda number: number in large
    assert [filled(driver)[1], filled(driver)[1]] == [[1, 0, 2, 4], [3, 6, 7]]
    assert driver.placement.take_all() == [5]
    assert rig.asker.held[-1] == 8


def test_large_models_of_slots_on_one_gpu_take_turns(rig: Rig) -> None:
    rig.large = True
    driver = rig.driver(trials=6, seeds=1, slots=3, in_flight=6)
    slots = [driver.open_slot() for _ in range(3)]
    for slot, gpu in zip(slots, ["a:0", "a:0", "b:0"], strict=True):
        assert slot is not None
        driver.on_gpu(slot, gpu)
    first, second, third = (slot for slot in slots if slot is not None)

    def fill(*slots: int) -> list[int]:
        return [len(driver.on_reports(slot, []).join) for slot in slots]

    assert fill(first, second, third) == [1, 0, 1]
    (number,) = driver.running[first]
    left = driver.on_reports(first, [report(number, 1, Stop("nan_explosion"))])
    assert len(left.join) == 1
    assert fill(second, first) == [0, 0]
    assert driver.on_worker_lost(first, "worker_lost", "gone") == []
    assert fill(second, third) == [1, 0]
    assert rig.asker.held[-1] == 0  # enough wait for two GPUs


def test_large_models_that_nobody_joins_go_on_unjudged(rig: Rig) -> None:
    rig.large = True
    driver = rig.driver(trials=2, seeds=1)
    finish_all(driver)
    assert rig.ends() == dict.fromkeys(range(2), ("COMPLETE", "completed"))


def test_a_search_is_not_finished_while_its_last_member_is_being_saved(rig: Rig) -> None:
    rig.large = True
    driver = rig.driver(trials=1, seeds=1)
    slot, _ = filled(driver)
    assert driver.on_reports(slot, [report(0, 1)]) == Instructions(save=(0,))
    assert not driver.is_finished()
    driver.on_saved(slot)
    assert not driver.is_finished()
    (assignment,) = driver.on_reports(slot, []).join
    assert (assignment.number, assignment.known) == (0, 1)


def test_a_machine_that_comes_gets_work_from_those_that_are_full(rig: Rig) -> None:
    """The youngest members move, once they are saved; none moves where somebody waits."""
    driver = rig.driver(trials=8, slots=1, members=8, in_flight=8)
    slot, numbers = filled(driver)
    assert numbers == list(range(8))
    assert driver.open_slot() is None
    driver.resize(capacity_of(8, 2, 4))
    other, none = filled(driver)
    assert none == []
    told = driver.on_reports(slot, [report(0, 1, sharpe=1.0)])
    assert told == Instructions(save=(7, 6, 5, 4))
    assert joined(driver.on_reports(other, [])) == []  # they are being saved
    assert not driver.is_finished()
    driver.on_saved(slot)
    assert joined(driver.on_reports(slot, [])) == []  # it has its share
    assert set(joined(driver.on_reports(other, []))) == {4, 5, 6, 7}
    assert driver.on_reports(slot, [report(0, 2, sharpe=1.0)]) == Instructions()


def test_members_on_their_way_out_of_a_worker_that_is_lost_wait(rig: Rig) -> None:
    driver = rig.driver(trials=8, slots=1, members=8, in_flight=8)
    slot, _ = filled(driver)
    driver.resize(capacity_of(8, 2, 4))
    filled(driver)
    assert len(driver.on_reports(slot, [report(0, 1, sharpe=1.0)]).save) == 4
    assert driver.on_worker_lost(slot, "worker_lost", "gone") == []
    assert sorted(driver.placement.take_all()) == list(range(8))


def test_slots_are_opened_for_machines_that_may_come(rig: Rig) -> None:
    driver = rig.driver(trials=2, slots=1)
    driver.resize(capacity_of(2, 1, None, wanted=3))
    slot, numbers = filled(driver)
    assert numbers == [0, 1]
    assert driver.open_slot() == 2
    assert driver.open_slot() is None  # nobody would train there
    driver.on_reports(slot, [report(0, 1, Stop("nan_explosion"))])
    driver.on_worker_closed(2)
    assert driver.open_slot() is None


def halved(rig: Rig) -> Controller:
    """A slot whose four members are shared with an idle one: 2 and 3 leave it."""
    driver = rig.driver(trials=4, slots=2, seeds=1)
    assert filled(driver) == (1, [0, 1, 2, 3])
    assert filled(driver) == (2, [])
    told = driver.on_reports(1, [report(number, 1) for number in range(4)])
    assert told.save == (2, 3)
    assert driver.on_reports(2, []).join == (), "their checkpoints are not written yet"
    driver.on_saved(1)
    assert not driver.is_finished()
    return driver


def test_an_idle_slot_takes_half_of_what_is_left_to_train(rig: Rig) -> None:
    driver = halved(rig)
    assert joined(driver.on_reports(1, [report(n, 2) for n in (0, 1)])) == [], "they go to slot 2"
    told = driver.on_reports(2, [])
    assert [(a.number, a.known) for a in told.join] == [(2, 1), (3, 1)]
    assert driver.running == {1: {0, 1}, 2: {2, 3}}
    assert driver.on_reports(2, [report(n, 2) for n in (2, 3)]).save == (), "it stays so"


def test_members_whose_new_slot_is_lost_go_back(rig: Rig) -> None:
    driver = halved(rig)
    driver.on_worker_lost(2, "worker_lost", "gone")
    assert joined(driver.on_reports(1, [report(n, 2) for n in (0, 1)])) == [2, 3]


def test_members_that_move_when_the_time_is_up_are_ended(rig: Rig) -> None:
    driver = halved(rig)
    driver.deadline = 0.0
    driver.on_reports(1, [report(n, 2) for n in (0, 1)])
    assert rig.ends() == dict.fromkeys(range(4), ("PRUNED", "time_budget"))
    assert driver.is_finished()


def test_nobody_moves_while_trials_are_still_asked(rig: Rig) -> None:
    driver = rig.driver(trials=9, slots=2, seeds=1, members=4, in_flight=8)
    slots = dict([filled(driver), filled(driver)])
    assert list(slots.values()) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    ended = [report(n, 1, Stop("nan_explosion")) for n in (5, 6, 7)]
    told = driver.on_reports(2, [report(4, 1), *ended])
    assert (told.save, joined(told)) == ((), [8])


def test_nobody_is_asked_for_members_that_are_on_their_way_to_it(rig: Rig) -> None:
    driver = halved(rig)
    assert driver.placement.dwindled(2) == []
    driver.on_reports(1, [report(1, 2, Stop("nan_explosion"))])
    assert driver.on_reports(2, []).save == ()
    assert driver.running == {1: {0}, 2: {2, 3}}


def test_nobody_moves_between_gpus_or_where_memory_ran_out(rig: Rig) -> None:
    for forbid in ("gpu", "memory"):
        driver = rig.driver(trials=rig.study.searched + 4, slots=2, seeds=1)
        slot, members = filled(driver)
        other, _ = filled(driver)
        if forbid == "gpu":
            driver.on_gpu(slot, "a:0")
            driver.on_gpu(other, "b:0")
        else:
            driver.placement.shrink(16)
        told = driver.on_reports(slot, [report(n, 1) for n in members])
        assert told.save == ()
        driver.on_reports(slot, [report(n, 2, Stop("nan_explosion")) for n in members])


def test_nobody_moves_to_a_slot_whose_worker_has_not_come(rig: Rig) -> None:
    """Its machine may never come: a search would wait for it to its end."""
    driver = rig.driver(trials=4, slots=2, seeds=1)
    slot, members = filled(driver)
    assert driver.open_slot() == 2
    assert driver.on_reports(slot, [report(n, 1) for n in members]).save == ()
    driver.on_reports(2, [])
    assert driver.on_reports(slot, [report(n, 2) for n in members]).save == (2, 3)


def test_a_slot_that_took_members_in_is_idle_no_more(rig: Rig) -> None:
    driver = halved(rig)
    assert driver.placement.idle == {2}
    driver.on_reports(2, [])
    assert driver.placement.idle == set()
