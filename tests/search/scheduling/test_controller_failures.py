"""What the driver does when a worker is lost, runs out of memory, or raises."""

import sys

import pytest

from tests.fixtures.rigs import LEVELS, Rig, filled, joined, report
from trainable.report import Stop


def test_pruned_and_failed_configurations_get_no_seeds(rig: Rig) -> None:
    driver = rig.driver(trials=2)
    slot, _ = filled(driver)
    driver.on_reports(slot, [report(0, 1, Stop("collapsed", {}))])
    assert driver.on_worker_lost(slot, "error", "Traceback\nValueError: 3\n") == [1]
    assert driver.is_finished()
    assert len(rig.study.rows()) == 2


def test_after_an_error_each_is_tried_alone_and_only_the_culprits_fail(rig: Rig) -> None:
    driver = rig.driver(trials=2, seeds=1)
    slot, _ = filled(driver)
    driver.on_reports(slot, [report(0, 1)])
    assert driver.on_worker_lost(slot, "error", "Traceback …\nValueError: 3\n") == []
    slot, numbers = filled(driver)
    assert numbers == [0]
    assert driver.reports.last_epoch(0) == 1
    assert joined(driver.on_reports(slot, [])) == []  # nobody joins one who is tried alone
    assert joined(driver.on_reports(slot, [report(0, 4, Stop("completed"))])) == [1]
    assert driver.on_worker_lost(slot, "error", "Traceback …\nValueError: 3\n") == [1]
    assert driver.on_worker_lost(slot, "error", "again") == []
    assert rig.ends() == {0: ("COMPLETE", "completed"), 1: ("FAIL", "error")}
    assert rig.study.rows()[1].evidence == {"error": "ValueError: 3"}
    assert driver.is_finished()


@pytest.mark.parametrize("culprit", [0, 5, 7])
@pytest.mark.parametrize("reason", ["error", "out_of_memory"])
def test_after_an_error_a_cohort_is_parted_until_only_the_culprit_fails(
    rig: Rig, culprit: int, reason: str
) -> None:
    driver = rig.driver(trials=8, members=8, seeds=1)
    tried, failed = [], []
    while not driver.is_finished():
        slot, numbers = filled(driver)
        tried.append(len(numbers))
        while driver.running[slot]:
            members = sorted(driver.running[slot])
            if culprit in members:
                failed += driver.on_worker_lost(slot, reason, "Traceback …\nValueError: 3\n")
                break
            epochs = {n: driver.reports.last_epoch(n) + 1 for n in members}
            ends = {n: Stop("completed") if e == LEVELS[-1] else None for n, e in epochs.items()}
            reports = [report(n, e, ends[n], sharpe=1.0) for n, e in epochs.items()]
            if others := joined(driver.on_reports(slot, reports)):
                assert not set(others) & set(members)
                assert driver.running[slot] == set(others)  # half by half
                tried.append(len(others))
        else:
            driver.on_worker_closed(slot)
    assert failed == [culprit]
    ends = rig.ends()
    assert ends.pop(culprit) == ("FAIL", reason)
    assert set(ends.values()) == {("COMPLETE", "completed")}
    assert sorted(tried) == [1, 1, 2, 2, 4, 4, 8]
    assert driver.placement.most == (1 if reason == "out_of_memory" else sys.maxsize)


def test_who_trains_on_after_an_error_is_trusted_and_may_have_company(rig: Rig) -> None:
    driver = rig.driver(trials=4, seeds=1, in_flight=2)
    slot, numbers = filled(driver)
    assert numbers == [0, 1]
    assert driver.on_worker_lost(slot, "error", "ValueError") == []
    slot, numbers = filled(driver)
    assert numbers == [0]
    assert joined(driver.on_reports(slot, [])) == []
    told = driver.on_reports(slot, [report(0, 1)])
    assert driver.placement.suspects.keys() == {1}
    assert joined(told) == []  # nobody comes between the two halves
    assert joined(driver.on_reports(slot, [report(0, 2, Stop("nan_explosion"))])) == [1]
    told = driver.on_reports(slot, [report(1, 1)])
    assert driver.placement.suspects == {}
    assert joined(told) == [2, 3]


def test_when_memory_ran_out_slots_take_half_as_many(rig: Rig) -> None:
    driver = rig.driver(trials=12, members=6, seeds=1)
    slot, numbers = filled(driver)
    assert len(numbers) == 6
    assert driver.on_worker_lost(slot, "out_of_memory", "OutOfMemoryError: CUDA") == []
    seated = []
    while not driver.is_finished():
        slot, numbers = filled(driver)
        while numbers:
            seated.append(len(numbers))
            stops = [report(n, 1, Stop("nan_explosion")) for n in numbers]
            numbers = joined(driver.on_reports(slot, stops))
        driver.on_worker_closed(slot)
    assert seated == [3, 3, 3, 3]


def test_members_of_a_lost_worker_go_on_until_they_are_lost_again_and_again(rig: Rig) -> None:
    driver = rig.driver(trials=2, seeds=1)
    for turn in range(6):  # progress in between: nobody is to blame
        slot, numbers = filled(driver)
        assert numbers == [0, 1]
        if turn < 2:
            driver.on_reports(slot, [report(n, turn + 1, sharpe=1.0) for n in numbers])
        elif turn < 4:
            driver.newest_checkpoint = lambda number, turn=turn: f"checkpoint-{turn}"
        assert driver.on_worker_lost(slot, "worker_lost", "ActorDiedError: gone") == []
    slot, numbers = filled(driver)
    assert numbers == [0]  # three times at the same epoch: alone
    assert driver.on_worker_lost(slot, "worker_lost", "ActorDiedError: gone") == []
    slot, numbers = filled(driver)
    assert numbers == [1]
    assert joined(driver.on_reports(slot, [report(1, 4, Stop("completed"))])) == [0]
    assert driver.on_worker_lost(slot, "worker_lost", "ActorDiedError: gone") == []
    slot, numbers = filled(driver)
    assert numbers == [0]
    failed = driver.on_worker_lost(slot, "worker_lost", "ActorDiedError: gone")
    assert failed == [0]  # three times alone
    assert rig.ends() == {0: ("FAIL", "worker_lost"), 1: ("COMPLETE", "completed")}
