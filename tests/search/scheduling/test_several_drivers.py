"""Several drivers of one search, without Ray: one log of reports, one judgement, each ends once."""

import time
from collections.abc import Callable, Iterator
from itertools import cycle
from pathlib import Path

import pytest
from pandas import DataFrame

from search.monitor.best import entrants_of
from search.run_folder.reports import ReportStore
from search.scheduling.controller import Controller
from tests.fixtures.rigs import LEVELS, SCORED, Rig, filled, joined, report
from tests.fixtures.searches import table
from tests.fixtures.sharing import Join, die
from trainable.report import Report, Stop

Another = Callable[[], Rig]


@pytest.fixture
def another(tmp_path: Path, join: Join) -> Iterator[Another]:
    """Returns what joins one more driver to the search."""
    rigs: list[Rig] = []

    def make() -> Rig:
        rigs.append(Rig(tmp_path, join(most=14)))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.folder.close()


def wait(driver: Controller) -> None:
    """Looks around after a moment, while somebody's lease goes on."""
    time.sleep(0.02)
    look(driver)


def look(driver: Controller) -> None:
    """Looks around now."""
    driver.poll_at = 0.0
    driver.poll_other_drivers()


def step(driver: Controller, slot: int, **values: float) -> list[int]:
    """Trains the members of a slot for an epoch; returns their numbers."""
    members = sorted(driver.running[slot])
    driver.on_reports(slot, [next_of(driver, number, **values) for number in members])
    return members


def next_of(driver: Controller, number: int, **values: float) -> Report:
    epoch = driver.reports.last_epoch(number) + 1
    return report(number, epoch, Stop("completed") if epoch == LEVELS[-1] else None, **values)


def test_two_drivers_search_together(another: Another, tmp_path: Path) -> None:
    one = another()
    asleep = ReportStore(one.folder, SCORED, shared=True)  # of a driver that hears of nothing
    first = one.driver(14, seeds=2, in_flight=4)
    slots = [(first, filled(first)[0])]
    step(*slots[0])
    second = another().driver(14, seeds=2, in_flight=4)
    assert first.pruner.rungs == second.pruner.rungs
    slots.append((second, filled(second)[0]))
    trained: dict[int, set[int]] = {0: set(), 1: set()}
    for who in cycle((0, 1)):
        trained[who] |= set(step(*slots[who]))
        look(slots[who][0])
        if all(driver.is_finished() for driver, _ in slots):
            break
    assert trained[0]
    assert trained[1]
    assert not trained[0] & trained[1]
    assert first.pruner.rungs == second.pruner.rungs
    assert first.lifecycle.reasons == second.lifecycle.reasons
    assert first.lifecycle.reasons.total() == 14
    assert entrants_of(first.lifecycle) == entrants_of(second.lifecycle)
    rows = one.study.rows()
    assert sum(row.kind == "search" for row in rows) == 14
    complete = [row.number for row in rows if row.state == "COMPLETE" and row.kind == "search"]
    seeded = [row.parent for row in rows if row.kind == "seed"]
    assert set(seeded) <= set(complete)
    assert len(set(seeded)) == len(seeded), "two seeds of each at most"
    assert max(complete) in seeded, "it leads"
    tables = []
    for results in (second.reports, first.reports, asleep):  # two do not know of the end
        results.others()
        results.finish(rows, [], {})
        assert not (tmp_path / "run" / "shards").exists()
        names = ("epochs", "trials", "returns", "predictions")
        tables.append([table(tmp_path / "run", name) for name in names])
    for others in tables[1:]:
        assert all(map(DataFrame.equals, tables[0], others))
    epochs = tables[0][0]
    assert not epochs.duplicated(["number", "epoch"]).any()
    assert set(epochs["number"]) == trained[0] | trained[1]


def test_what_a_killed_driver_had_is_taken_over_and_ends_once(another: Another) -> None:
    one, two = another(), another()
    first = one.driver(14, seeds=1)
    slot, members = filled(first)
    first.on_reports(slot, [report(n, 1) for n in members])
    second = two.driver(14, seeds=1)
    look(second)
    assert not second.placement.waiting  # it is held
    die(one.study)
    other, _ = filled(second)
    while not set(members) <= second.running[other]:
        wait(second)
        second.on_reports(other, [])
    assert [second.reports.last_epoch(n) for n in members] == [1] * len(members)
    second.on_reports(other, [report(n, 2) for n in members])
    # The first one only slept: what it says now changes nothing.
    late = first.on_reports(slot, [report(n, 2) for n in members])
    assert (late.leave, late.join) == (tuple(members), ())
    second.on_reports(other, [report(n, 4, Stop("completed")) for n in members])
    assert [one.ends()[n] for n in members] == [("COMPLETE", "completed")] * len(members)
    kept = [r for batch in ReportStore(two.folder, SCORED).batches() for r in batch]
    keys = [(r.number, r.epoch) for r in kept]
    assert len(set(keys)) == len(keys)


def test_a_verdict_that_a_killed_driver_did_not_tell_is_told(
    another: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = another(), another()
    first = one.driver(4, seeds=2)
    slot, members = filled(first)
    monkeypatch.setattr(one.study, "finish", lambda *args: False)  # killed before it
    first.on_reports(slot, [report(n, 4, Stop("completed")) for n in members])
    die(one.study)
    second = two.driver(0, seeds=2)
    while any(two.ends()[number] == ("RUNNING", None) for number in members):
        wait(second)
    assert [two.ends()[n] for n in members] == [("COMPLETE", "completed")] * len(members)
    seeds = [row for row in two.study.rows() if row.kind == "seed"]
    assert {row.parent for row in seeds} <= set(members)
    assert max(members) in {row.parent for row in seeds}, "it leads"


def test_seeds_are_added_once_whoever_does_it(another: Another) -> None:
    one, two = another(), another()
    first, second = one.driver(4, seeds=4), two.driver(0, seeds=4)
    slot, (number, *_) = filled(first)
    first.on_reports(slot, [report(number, 4, Stop("completed"))])
    look(second)
    second.finalist_seeds.add()
    look(first)
    assert [row.parent for row in one.study.rows() if row.kind == "seed"] == [number] * 2


def test_an_idle_driver_trains_what_waits_elsewhere(another: Another) -> None:
    one, two = another(), another()
    first = one.driver(14, seeds=1, members=3)
    slot, training = filled(first)
    first.on_reports(slot, [report(n, 1) for n in training])
    assert (len(training), len(first.placement.searched)) == (3, 11)
    second = two.driver(14, seeds=1, members=3)
    other, nobody = filled(second)
    assert nobody == []
    look(second)  # says that it is idle
    look(first)
    assert len(first.placement.searched) == 5
    look(first)  # again, before the other one looked
    assert len(first.placement.searched) == 5
    look(second)
    assert len(joined(second.on_reports(other, []))) == 3
    assert len(second.placement.searched) == 3
    look(first)
    look(second)
    assert len(first.placement.searched) == 5  # nobody is idle
    slots = ((first, slot), (second, other))
    trained: list[int] = []
    while not all(driver.is_finished() for driver, _ in slots):
        for driver, where in slots:
            trained += step(driver, where)
            look(driver)
            driver.on_reports(where, [])
    searched = [n for n in trained if n not in training]
    assert sorted(set(searched)) == sorted(set(range(14)) - set(training))
    assert first.lifecycle.reasons == second.lifecycle.reasons
    assert all(state != "RUNNING" for state, _ in one.ends().values())
    kept = [r for batch in ReportStore(two.folder, SCORED).batches() for r in batch]
    assert len({(r.number, r.epoch) for r in kept}) == len(kept) == len(trained) + len(training)


def test_slots_that_take_turns_on_one_gpu_share_what_waits(another: Another) -> None:
    one, two = another(), another()
    one.large = True
    first = one.driver(14, seeds=1, slots=2)
    for _ in range(2):
        slot = first.open_slot()
        assert slot is not None
        first.on_gpu(slot, "gpu")
        first.on_reports(slot, [])
    assert first.placement.idle
    two.study.say_idle(True)
    look(first)
    assert len(first.placement.searched) == 6
    assert one.study.elsewhere == 7


def test_out_of_time_a_driver_leaves_what_waits_and_what_it_lost_to_others(
    another: Another,
) -> None:
    one, two = another(), another()
    first = one.driver(14, seeds=1, members=3)
    slot, training = filled(first)
    second = two.driver(14, seeds=1, in_flight=4)
    die(one.study)  # it sleeps
    while not second.placement.waiting:
        wait(second)
    first.deadline = 0.0
    late = first.on_reports(slot, [report(n, 1) for n in training])
    assert (late.leave, late.join) == (tuple(training), ())
    assert first.is_finished()
    assert set(one.ends().values()) == {("RUNNING", None)}
    assert [two.study.holds(number) for number in range(14)] == [True] * 4 + [False] * 10
    one.study.close()
    second.deadline = 0.0
    assert filled(second)[1] == []
    second.end_abandoned()  # as nobody else would
    assert set(two.ends().values()) == {("PRUNED", "time_budget")}


def test_seeds_of_a_driver_that_died_before_it_added_them_are_trained(
    another: Another, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = another(), another()
    first, second = one.driver(14, seeds=2), two.driver(14, seeds=2)
    for driver, rig in ((second, two), (first, one)):
        rig.asker.budget = 1
        slot, members = filled(driver)
        monkeypatch.setattr(driver.finalist_seeds, "add", lambda: None)
        driver.on_reports(slot, [report(n, 4, Stop("completed")) for n in members])
        rig.asker.budget = 0
    die(two.study)
    monkeypatch.undo()
    first.study.refresh()
    assert not first.study.elsewhere
    assert not first.is_finished()
    assert sorted(row.parent or 0 for row in one.study.rows() if row.kind == "seed") == [0, 1]


def test_what_is_finished_on_the_side_is_added_and_trained_once_whoever_does_it(
    another: Another,
) -> None:
    one, two = another(), another()
    first = one.driver(14, seeds=2, in_flight=7, regret=1.0)
    slots = [(first, filled(first)[0])]
    step(*slots[0], sharpe=1.0)
    second = two.driver(14, seeds=2, in_flight=7, regret=1.0)
    slots.append((second, filled(second)[0]))
    killed = False
    for turn, who in enumerate(cycle((0, 1))):
        step(*slots[who], sharpe=-turn)  # who comes later is worse
        (wait if killed else look)(slots[who][0])
        side = [row for row in two.study.rows() if row.kind == "regret"]
        if side and who == 0 and not killed:
            die(one.study)
            killed = True
            slots[0] = slots[1]  # the other one goes on alone
        if killed and second.is_finished():
            break
    rows = two.study.rows()
    stopped = [row.number for row in rows if row.reason == "asha_rung"]
    side = [row for row in rows if row.kind == "regret"]
    assert len(stopped) > 3
    assert sorted(row.parent or 0 for row in side) == stopped
    assert {(row.state, row.reason) for row in side} == {("COMPLETE", "completed")}
    assert [row.seed for row in side] == [rows[row.parent or 0].seed for row in side]
    kept = [r for batch in ReportStore(two.folder, SCORED).batches() for r in batch]
    assert len({(r.number, r.epoch) for r in kept}) == len(kept)


def test_two_drivers_that_look_at_once_add_a_stopped_trial_once(another: Another) -> None:
    one, two = another(), another()
    first, second = (r.driver(8, members=8, seeds=1, regret=1.0) for r in (one, two))
    slot, _ = filled(first)
    two.asker.budget = 0
    members = sorted(first.running[slot])
    first.on_reports(slot, [report(n, 1, sharpe=-float(n)) for n in members])
    look(second)
    for driver in (second, first, second):
        driver.regret_trials.add()
    parents = [row.parent for row in one.study.rows() if row.kind == "regret"]
    stopped = [row.number for row in one.study.rows() if row.reason == "asha_rung"]
    assert stopped
    assert sorted(n or 0 for n in parents) == stopped
