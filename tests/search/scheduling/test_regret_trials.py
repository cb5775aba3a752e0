"""A share of the stopped trials is finished on the side, once each, and nothing else changes."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.monitor.best import entrants_of
from search.run_folder.reports import ReportStore
from search.scheduling.controller import Controller
from search.scheduling.regret_trials import lot
from search.study.trials import TrialRecord, TrialSpec
from tests.fixtures.rigs import LEVELS, SCORED, Rig, filled, joined, report
from trainable.report import Report, Stop

MANY = 20_000


def within_chance(hits: int, draws: int, chance: float) -> bool:
    """Whether a count is within four standard deviations of what is expected."""
    return abs(hits - draws * chance) < 4 * math.sqrt(draws * chance * (1 - chance))


@pytest.mark.parametrize("share", [0.05, 0.5])
@pytest.mark.parametrize("seed", [0, 7])
def test_the_chosen_share_is_the_same_wherever_trials_are_stopped(seed: int, share: float) -> None:
    """Also where the place is of results that learn from who was chosen before."""
    chosen = [lot(seed, number) < share for number in range(MANY)]
    assert within_chance(sum(chosen), MANY, share)
    random = np.random.default_rng(1)
    places: dict[str, list[bool]] = {"epoch 2": [], "epoch 8": [], "flat": []}
    before = 0.0
    for one in chosen:
        skill = random.normal() + before
        before = 0.5 * (1.0 if one else -1.0) * abs(skill) / (1 + abs(skill))
        places["epoch 2" if skill < 0 else "epoch 8" if skill < 1 else "flat"].append(one)
    for place, of_place in places.items():
        assert len(of_place) > 1000
        assert within_chance(sum(of_place), len(of_place), share), place


def test_a_lot_is_of_the_search_and_the_number_alone() -> None:
    lots = [lot(3, number) for number in range(MANY)]
    assert lots == [lot(3, number) for number in range(MANY)]
    assert all(0 <= one < 1 for one in lots)
    assert len(set(lots)) > 0.99 * MANY
    other = [lot(4, number) for number in range(MANY)]
    assert abs(np.corrcoef(lots, other)[0, 1]) < 0.03
    assert abs(np.corrcoef(lots[:-1], lots[1:])[0, 1]) < 0.03


def next_report(driver: Controller, number: int, stop: Stop | None = None) -> Report:
    """The next epoch of a trial; one of kind `regret` shows what its parent did, bit by bit."""
    trial = driver.progress[number].trial
    shown = number if trial.kind != "regret" or trial.parent is None else trial.parent
    epoch = driver.reports.last_epoch(number) + 1
    made = report(shown, epoch, sharpe=float(shown * 11 % 23) + epoch / 10)
    end = Stop("completed") if epoch == LEVELS[-1] else None
    return replace(made, number=number, stop=stop or end)


def step(driver: Controller, slot: int) -> None:
    """Trains the members of a slot for an epoch."""
    driver.on_reports(slot, [next_report(driver, n) for n in sorted(driver.running[slot])])
    driver.on_saved(slot)


def finish_all(driver: Controller) -> None:
    slot, _ = filled(driver)
    while not driver.is_finished():
        step(driver, slot)
    driver.on_worker_closed(slot)


def of_kind(rig: Rig, kind: str) -> list[TrialRecord]:
    return [row for row in rig.study.rows() if row.kind == kind]


def stopped(rig: Rig) -> list[int]:
    return [row.number for row in of_kind(rig, "search") if row.reason == "asha_rung"]


def chosen(rig: Rig, share: float) -> list[int]:
    return [n for n in stopped(rig) if lot(rig.study.seed, n) < share]


def searched(rig: Rig) -> list[tuple[Any, ...]]:
    return [
        (r.number, r.params, r.seed, r.state, r.reason, r.evidence, r.value, r.reports)
        for r in of_kind(rig, "search")
    ]


def check_repeats(rig: Rig, share: float) -> None:
    """Each chosen trial was trained again, once, as it was, to the end."""
    rows = rig.study.rows()
    again = of_kind(rig, "regret")
    assert sorted(row.parent or 0 for row in again) == chosen(rig, share)
    for row in again:
        parent = rows[row.parent or 0]
        assert (row.params, row.seed) == (parent.params, parent.seed)
        assert (row.state, row.reason) == ("COMPLETE", "completed")
        assert row.facts["epochs"] == LEVELS[-1] > parent.facts["epochs"]


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_who_is_chosen_is_finished_and_nothing_else_changes(share: float, tmp_path: Path) -> None:
    plain, rig = Rig(tmp_path / "plain"), Rig(tmp_path / "rig")
    without = plain.driver(trials=24, members=8, seeds=3)
    driver = rig.driver(trials=24, members=8, seeds=3, regret=share)
    for one in (without, driver):
        finish_all(one)
    assert len(stopped(rig)) > 8
    assert (len(chosen(rig, share)) > 2) == (share > 0)
    check_repeats(rig, share)
    assert searched(rig) == searched(plain)
    assert driver.pruner.rungs == without.pruner.rungs
    assert driver.lifecycle.reasons == without.lifecycle.reasons
    assert driver.lifecycle.completed == without.lifecycle.completed
    own = [[(e.number, e.sharpe) for e in entrants_of(d.lifecycle)] for d in (driver, without)]
    assert own[0] == own[1]
    assert driver.progress.median == without.progress.median
    seeds = [Counter((r.parent, r.seed) for r in of_kind(one, "seed")) for one in (plain, rig)]
    assert seeds[0] == seeds[1]
    told = [[o.number for o in one.study.sampler.selected] for one in (plain, rig)]
    assert told[0] == told[1]
    for one in (plain, rig):
        one.folder.close()


def test_what_failed_or_ran_out_of_time_is_not_finished(rig: Rig) -> None:
    driver = rig.driver(trials=8, members=8, seeds=1, regret=1.0)
    slot, numbers = filled(driver)
    stop = Stop("nan_explosion", {"step": 3})
    driver.on_reports(slot, [report(n, 1, stop if n < 4 else None) for n in numbers])
    driver.deadline = 0.0
    driver.on_reports(slot, [])
    assert {reason for _, reason in rig.ends().values()} >= {"nan_explosion", "time_budget"}
    rig.driver(trials=8, members=8, seeds=1, regret=1.0)
    assert of_kind(rig, "regret") == []


def begun(rig: Rig, **more: Any) -> tuple[Controller, int]:
    """Returns a driver whose slot trains nothing but what is finished on the side."""
    driver = rig.driver(trials=8, members=8, seeds=1, regret=1.0, **more)
    slot, numbers = filled(driver)
    step(driver, slot)
    alive = [n for n in numbers if n in driver.running[slot]]
    driver.on_reports(slot, [report(n, 4, Stop("completed")) for n in alive])
    assert kinds(driver, driver.running[slot]) == {"regret"}
    return driver, slot


def kinds(driver: Controller, numbers: Iterable[int]) -> set[str]:
    return {driver.progress[number].trial.kind for number in numbers}


def test_a_defect_still_ends_one(rig: Rig) -> None:
    driver, slot = begun(rig)
    number, *others = sorted(driver.running[slot])
    assert others
    told = driver.on_reports(slot, [next_report(driver, number, Stop("nan_explosion", {}))])
    assert told.join == ()
    assert rig.ends()[number] == ("PRUNED", "nan_explosion")
    assert driver.running[slot] == set(others)
    while not driver.is_finished():
        step(driver, slot)
    assert len(of_kind(rig, "regret")) == 1 + len(others)


def test_one_that_shows_what_its_parent_did_is_no_copy_of_it(rig: Rig) -> None:
    driver, slot = begun(rig)
    numbers = sorted(driver.running[slot])
    repeated = [next_report(driver, number) for number in numbers]
    assert driver.on_reports(slot, repeated).leave == ()
    assert driver.running[slot] == set(numbers)
    stranger = replace(repeated[1], number=numbers[0], epoch=2)
    copied = replace(repeated[1], epoch=2)
    assert driver.on_reports(slot, [copied, stranger]).leave == (numbers[1],), "the later one"
    assert rig.ends()[numbers[1]] == ("PRUNED", "frozen_metric")


def test_none_begins_before_all_trials_are_asked_or_finalists_race(rig: Rig) -> None:
    driver = rig.driver(trials=30, members=8, in_flight=8, regret=1.0)
    slot, numbers = filled(driver)
    step(driver, slot)
    assert stopped(rig)
    assert of_kind(rig, "regret") == []
    driver.race_from = 0.0
    alive = sorted(driver.running[slot] & set(numbers))
    driver.on_reports(slot, [report(n, 4, Stop("completed")) for n in alive])
    further = [row.kind for row in rig.study.rows() if row.kind in ("seed", "regret")]
    assert further == sorted(further, reverse=True), "seeds are added before"
    assert set(further) == {"seed", "regret"}


def test_seeds_are_taken_before(rig: Rig) -> None:
    driver = rig.driver(trials=2, members=8, regret=1.0)
    slot, numbers = filled(driver)
    params = driver.progress[numbers[0]].trial.params
    regret, seed = (rig.study.add(numbers[0], kind, params, 5) for kind in ("regret", "seed"))
    for trial in (regret, seed):
        driver.lifecycle.begin(trial)
        driver.placement.wait(trial.number)
    assert driver.placement.waiting == 2
    assert joined(driver.on_reports(slot, [])) == [seed.number]
    assert joined(driver.on_reports(slot, [])) == [regret.number]
    assert not driver.placement.waiting


def test_no_more_are_in_flight_than_searched_trials_the_lowest_lots_first(rig: Rig) -> None:
    driver = rig.driver(trials=24, members=4, in_flight=4, seeds=1, regret=1.0)
    slot, _ = filled(driver)
    most = 0
    while not driver.is_finished():
        step(driver, slot)
        most = max(most, sum(r.state == "RUNNING" for r in of_kind(rig, "regret")))
    assert most == 4
    order = [row.parent or 0 for row in of_kind(rig, "regret")]
    assert len(order) > 8
    assert order[-4:] == sorted(order[-4:], key=lambda n: lot(0, n)), "all are known by then"
    check_repeats(rig, 1.0)


def test_killed_as_they_are_added_each_is_added_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = rig.driver(trials=8, members=8, seeds=1, regret=1.0)
    slot, _ = filled(driver)
    plain = rig.study.add

    def killed(*args: Any) -> TrialSpec:
        if of_kind(rig, "regret"):
            raise SystemExit
        return plain(*args)

    monkeypatch.setattr(rig.study, "add", killed)
    with pytest.raises(SystemExit):
        step(driver, slot)
    monkeypatch.undo()
    assert len(of_kind(rig, "regret")) == 1
    finish_all(rig.driver(trials=8, members=8, seeds=1, regret=1.0))
    check_repeats(rig, 1.0)


def test_resume_equals_no_interruption(tmp_path: Path) -> None:
    words: dict[str, Any] = {"trials": 12, "members": 4, "in_flight": 6, "seeds": 2, "regret": 0.7}

    def one(name: str, kill_after: int | None) -> list[tuple[Any, ...]]:
        rig = Rig(tmp_path / name)
        driver = rig.driver(**words)
        taken, slot = 0, None
        while not driver.is_finished():
            if slot is None:
                slot, _ = filled(driver)
            step(driver, slot)
            taken += 1
            if taken == kill_after:
                driver, slot = rig.driver(**words), None
        check_repeats(rig, 0.7)
        found = searched(rig)
        kept = [r for batch in ReportStore(rig.folder, SCORED).batches() for r in batch]
        assert len({(r.number, r.epoch) for r in kept}) == len(kept)
        rig.folder.close()
        return [*found, *sorted((r.parent or 0, r.seed) for r in of_kind(rig, "regret"))]

    whole = one("whole", None)
    for shards in range(1, 12):
        assert one(f"killed{shards}", shards) == whole


def test_a_higher_share_at_resume_adds_to_those_of_the_lower_one(rig: Rig) -> None:
    finish_all(rig.driver(trials=24, members=8, seeds=1, regret=0.3))
    few = {row.parent for row in of_kind(rig, "regret")}
    check_repeats(rig, 0.3)
    finish_all(rig.driver(trials=24, members=8, seeds=1, regret=0.9))
    many = {row.parent for row in of_kind(rig, "regret")}
    assert few < many
    check_repeats(rig, 0.9)
    finish_all(rig.driver(trials=24, members=8, seeds=1, regret=0.1))
    assert {row.parent for row in of_kind(rig, "regret")} == many, "none is taken away"


def test_trials_asked_at_resume_choose_their_own(rig: Rig) -> None:
    finish_all(rig.driver(trials=12, members=8, seeds=2, regret=0.5))
    check_repeats(rig, 0.5)
    before = of_kind(rig, "regret")
    finish_all(rig.driver(trials=30, members=8, seeds=2, regret=0.5))
    check_repeats(rig, 0.5)
    assert of_kind(rig, "regret")[: len(before)] == before
    assert len(of_kind(rig, "search")) == 30


def test_out_of_time_those_that_train_and_those_that_wait_end(rig: Rig) -> None:
    driver, slot = begun(rig)
    numbers = sorted(driver.running[slot])
    driver.deadline = 0.0
    step(driver, slot)
    assert {rig.ends()[n] for n in numbers} == {("PRUNED", "time_budget")}
    assert driver.is_finished()
    assert sorted(row.parent or 0 for row in of_kind(rig, "regret")) == stopped(rig)


def test_in_rounds_two_slots_make_the_same_trials_as_one(tmp_path: Path) -> None:
    found = []
    for slots in (1, 2):
        rig = Rig(tmp_path / str(slots))
        driver = rig.driver(
            trials=16, slots=slots, members=16 // slots, seeds=2, in_rounds=True, regret=0.6
        )
        opened = [driver.open_slot() for _ in range(slots)]
        while not driver.is_finished():
            for slot in opened:
                assert slot is not None
                step(driver, slot)
        check_repeats(rig, 0.6)
        rows = rig.study.rows()
        found.append([(r.number, r.kind, r.parent, r.seed, r.state, r.reason) for r in rows])
        rig.folder.close()
    assert found[0] == found[1]
