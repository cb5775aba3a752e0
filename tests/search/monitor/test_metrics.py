"""What monitoring is told of a search: true figures, none that is not defined."""

import re
from pathlib import Path
from typing import Any

import pytest

from search.monitor.best import Best
from search.monitor.metrics import METRICS, Figure, Moment, figures, state_of
from search.monitor.progress import Snapshot
from search.monitor.time_left import TimeLeft
from search.scheduling.controller import Controller
from tests.fixtures.rigs import Rig, filled, report
from trainable.report import Stop

ROOT = Path(__file__).parents[3]


def told(driver: Controller, total: int = 8, **more: Any) -> dict[str, float]:
    """The figures by name, those by reason as `name/STATE/reason`."""
    shown = Snapshot("run", total, reasons=driver.lifecycle.reasons, **more)
    moment = Moment(shown, driver.progress, driver.running, driver.capacity)
    return {"/".join([f.name, *f.tags.values()]): f.value for f in figures(moment)}


def test_before_anything_was_reported(rig: Rig) -> None:
    driver = rig.driver(trials=8, slots=2)
    assert told(driver) == {
        "asharpe_trials_wanted": 8.0,
        "asharpe_running": 0.0,
        "asharpe_seeds": 0.0,
        "asharpe_seeds_ended": 0.0,
        "asharpe_steps": 0.0,
        "asharpe_failed_steps": 0.0,
        "asharpe_slots": 2.0,
        "asharpe_slots_busy": 0.0,
        "asharpe_cohort_occupancy": 0.0,
    }


def test_in_the_middle_of_a_search(rig: Rig) -> None:
    driver = rig.driver(trials=4, slots=3, members=4)
    slot, members = filled(driver)
    assert members == [0, 1, 2, 3]
    driver.on_reports(slot, [report(n, 1, nan_rate=0.5 if n == 0 else 0.0) for n in range(4)])
    driver.on_reports(slot, [report(0, 2, Stop("nan_explosion", {}), nan_rate=1.0)])
    best, left = Best(3, 3.1, 2, 0.7), TimeLeft(60.0, 50.0, 80.0)
    found = told(driver, total=4, luck=1.25, seeds=5, seeds_ended=3, best=best, left=left)
    assert found == {
        "asharpe_trials/PRUNED/nan_explosion": 1.0,
        "asharpe_trials_wanted": 4.0,
        "asharpe_running": 3.0,
        "asharpe_seeds": 5.0,
        "asharpe_seeds_ended": 3.0,
        "asharpe_seconds_left": 60.0,
        "asharpe_sharpe_best": 3.1,
        "asharpe_sharpe_best_expected": 0.7,
        "asharpe_sharpe_best_seeds": 2.0,
        "asharpe_sharpe_median": 1.6,  # of 0.2, 1.1, 2.1 and 3.1
        "asharpe_sharpe_luck": 1.25,
        "asharpe_steps": 50.0,
        "asharpe_failed_steps": pytest.approx(15.0),
        "asharpe_slots": 3.0,
        "asharpe_slots_busy": 1.0,
        "asharpe_cohort_occupancy": 0.75,
    }
    assert {name.partition("/")[0] for name in found} == METRICS.keys()


def test_a_trial_of_another_kind_is_not_in_the_median(rig: Rig) -> None:
    driver = rig.driver(trials=1, seeds=2)
    slot, _ = filled(driver)
    driver.on_reports(slot, [report(0, 4, Stop("completed"))])
    assert driver.running[slot] == {1}
    driver.on_reports(slot, [report(1, 1)])
    assert driver.progress.median == 0.4


def test_the_median_follows_the_epoch_that_a_trial_would_be_ranked_by(rig: Rig) -> None:
    driver = rig.driver(trials=3)
    slot, _ = filled(driver)
    sharpes = {0: 1.0, 1: 2.0, 2: 3.0}
    driver.on_reports(slot, [report(n, 1, sharpe=s, val_loss=0.5) for n, s in sharpes.items()])
    assert driver.progress.median == 2.0
    driver.on_reports(slot, [report(2, 2, sharpe=-1.0, val_loss=0.4)])
    assert driver.progress.median == 1.0
    driver.on_reports(slot, [report(1, 2, sharpe=9.0, val_loss=0.6)])
    assert driver.progress.median == 1.0


def test_states_are_those_of_the_table_of_stop_reasons() -> None:
    text = (ROOT / "docs" / "run_folder.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*`) \| (COMPLETE|PRUNED|FAIL|RUNNING) \|", text, re.MULTILINE)
    known = {reason: state for row, state in rows for reason in re.findall(r"`(\w+)`", row)}
    assert known.pop("interrupted") == "RUNNING"  # it has not ended
    assert {reason: state_of(reason) for reason in known} == known


def test_a_figure_names_a_metric() -> None:
    assert Figure("asharpe_running", 1.0, {}).name in METRICS
    assert all(re.fullmatch(r"asharpe(_[a-z]+)+", name) for name in METRICS)
    assert all(text.endswith(".") for text in METRICS.values())
