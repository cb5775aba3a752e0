"""The default in a search: never pruned by a rung, and with as many seeds as the one that leads."""

from pathlib import Path

import pytest

from tests.fixtures.rigs import LEVELS, Rig, filled, joined, report
from trainable.report import Stop


@pytest.fixture
def default_rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path, try_default=True)


def test_it_outlives_a_rung_where_it_is_last_and_is_counted_there(default_rig: Rig) -> None:
    driver = default_rig.driver(8, members=8)
    slot, members = filled(driver)
    assert members == list(range(8))
    # In these reports a trial earns the more the higher its number is.
    left = driver.on_reports(slot, [report(number, 1) for number in members]).leave
    assert left == (1, 2, 3, 4)
    assert driver.pruner.rungs[0].count == 8
    assert 0 in driver.running[slot]


def test_it_gets_the_seeds_of_the_leader_in_the_same_cohort(default_rig: Rig) -> None:
    driver = default_rig.driver(8, members=8, seeds=3)
    slot, members = filled(driver)
    driver.on_reports(slot, [report(number, 1) for number in members])
    alive = sorted(driver.running[slot])
    for epoch in (2, 3):
        driver.on_reports(slot, [report(number, epoch) for number in alive])
    last = [report(number, LEVELS[-1], Stop("completed")) for number in alive]
    seeds = joined(driver.on_reports(slot, last))
    rows = {row.number: row for row in default_rig.study.rows()}
    assert rows[0].state == "COMPLETE"
    parents = [rows[number].parent for number in seeds]
    assert parents.count(0) == parents.count(7) == 2, "7 leads, and the default is far behind it"
    assert len({driver.progress[number].cohort for number in seeds}) == 1
    assert not any(rows[number].default for number in seeds)


def test_the_next_driver_spares_it_too(default_rig: Rig) -> None:
    first = default_rig.driver(8, members=8)
    slot, members = filled(first)
    first.on_reports(slot, [report(number, 1) for number in members[:4]])
    second = default_rig.driver(8, members=8)
    slot, again = filled(second)
    assert 0 in again
    second.on_reports(slot, [report(number, 1) for number in again if number >= 4])
    second.on_reports(slot, [report(number, 2) for number in sorted(second.running[slot])])
    assert 0 in second.running[slot]
    reasons = {row.number: row.reason for row in default_rig.study.rows()}
    assert reasons[0] is None
    assert "asha_rung" in reasons.values()


def test_where_it_trains_alone_it_does_not_wait_for_a_rung_to_fill(default_rig: Rig) -> None:
    default_rig.large = True
    driver = default_rig.driver(8, members=1, slots=1)
    slot, members = filled(driver)
    assert members == [0]
    told = driver.on_reports(slot, [report(0, 1)])
    assert (told.leave, told.save) == ((), ())
    assert driver.running[slot] == {0}
