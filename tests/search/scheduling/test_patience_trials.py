"""A search asks for no more trials once they are not expected to be worth it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from search.scheduling.controller import Controller
from tests.fixtures import tiny
from tests.fixtures.rigs import DAYS, LEVELS, Rig, joined, report
from trainable.report import Report, Stop


def ending(number: int, skill: float) -> Report:
    """The only report of a trial, whose returns have a mean of so much of their deviation."""
    noise = np.random.default_rng(number).standard_normal(len(DAYS))
    last = report(number, LEVELS[-1], Stop("completed"))
    returns = 0.01 * ((noise - noise.mean()) / noise.std() + skill)
    return Report(number, last.epoch, last.steps, last.values, 0.5, returns, last.stop)


def train(driver: Controller, skill: float, until: int = 10**6) -> None:
    """Ends the trials of one slot; their skills are spread over this many deviations."""
    slot = driver.open_slot()
    assert slot is not None
    members = joined(driver.on_reports(slot, []))
    while members:
        ends = [ending(n, skill * np.sin(n)) for n in members if n < until]
        if not ends:
            return
        members = joined(driver.on_reports(slot, ends))


def test_trials_that_do_not_differ_are_not_worth_more_of_them(rig: Rig) -> None:
    driver = rig.driver(trials=200, seeds=1, members=8, patience_trials=64)
    train(driver, skill=0.0)
    assert driver.is_finished()
    assert 32 <= rig.study.searched < 80
    assert {state for state, _ in rig.ends().values()} == {"COMPLETE"}, "none is left behind"


def test_trials_that_differ_are(rig: Rig) -> None:
    driver = rig.driver(trials=100, seeds=1, members=8, patience_trials=64)
    train(driver, skill=3.0)
    assert rig.study.searched == 100


def test_without_it_all_are_asked(rig: Rig) -> None:
    train(rig.driver(trials=100, seeds=1, members=8), skill=0.0)
    assert rig.study.searched == 100


def test_a_killed_driver_does_not_make_the_next_one_ask(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    train(rig.driver(trials=200, seeds=1, members=8, patience_trials=64), skill=0.0)
    asked = rig.study.searched
    train(rig.driver(trials=200, seeds=1, members=8, patience_trials=64), skill=0.0)
    assert rig.study.searched == asked
    train(rig.driver(trials=200, seeds=1, members=8), skill=0.0)
    assert rig.study.searched == 200


def test_a_whole_search_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(5)
    bars: Any = tiny.bars(days=1800)
    bars["hint"] = rng.standard_normal(len(bars))  # knows nothing
    tiny.write_inputs(tmp_path, bars)
    words = {"trials": "80", "patience_trials": "16", "max_concurrent": "1"}
    run = tiny.search(tmp_path, tiny.WORDS | words)
    asked = len(tiny.table(run, "trials").query("kind == 'search'"))
    assert 32 <= asked < 80
    said = " ".join(capsys.readouterr().out.split())
    assert f"{asked} of 80 trials were asked for: 16 more were expected to raise" in said
    assert "by less than 0.05 Sharpe (patience_trials=16)." in said


def test_a_resumed_search_expects_what_an_unbroken_one_does(rig: Rig) -> None:
    driver = rig.driver(trials=60, seeds=1, members=8)
    train(driver, skill=1.0)
    expected = driver.pruner.expected_rise(60, 64)
    assert expected is not None
    again = rig.driver(trials=60, seeds=1, members=8)
    assert again.pruner.expected_rise(60, 64) == pytest.approx(expected)
