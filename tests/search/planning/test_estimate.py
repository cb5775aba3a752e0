"""What a dry run expects: the epochs, the steps, and the time on so many workers."""

from collections.abc import Sequence
from typing import Any

import optuna
import pytest
import torch
from rich.console import Console

from search.monitor.time_left import after_s
from search.planning import estimate as module
from search.planning.earlier import Earlier
from search.planning.estimate import (
    START_S,
    Estimate,
    estimate,
    expected_aside,
    expected_epochs,
    expected_rest,
    expected_stopped,
)
from search.planning.plan import Plan, make_plan
from search.planning.preview import show_plan
from search.scheduling.regret_trials import lot
from search.session.assembly import slots_here
from search.settings.reading import settings_from
from search.space.validation import load_space
from tests.fixtures.markets import make_market
from trainable.config import TrialConfig
from trainable.data.dataset.windows import train_eval_rows

STEP_S, ROW_S = 0.001, 0.00002


def narrow(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("optimizer/lr", 1e-4, 1e-2, log=True)
    return {"model/hidden_dims": "8", "model/norm": False, "train/batch_size": 32}


def plan(*words: str) -> Plan:
    usual = {"name": "x", "trials": "16", "epochs": "16", "finalist_seeds": "3"}
    usual |= dict(word.split("=", 1) for word in words)
    settings = settings_from([f"{key}={value}" for key, value in usual.items()])
    return make_plan(settings, load_space(narrow), make_market)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has each step take a millisecond; returns the threads that it was measured with."""
    seen: list[int] = []

    def fake(configs: Sequence[TrialConfig], *rest: object) -> float:
        seen.append(torch.get_num_threads())
        return STEP_S

    monkeypatch.setattr(module, "step_seconds", fake)
    monkeypatch.setattr(module, "row_seconds", lambda *_: ROW_S)
    monkeypatch.setattr(module, "best_size", lambda *_: 2)
    return seen


def test_epochs_are_those_of_the_survivors_of_each_rung_and_of_the_finalists_seeds() -> None:
    # 16 trials for 1 epoch, 4 for 3 more, 1 for 12 more, and 2 further seeds of it for 16.
    assert expected_epochs((1, 4, 16), 16, 4, 3) == 16 + 12 + 12 + 32
    assert expected_epochs((1, 4, 16), 16, 4, 1) == 16 + 12 + 12
    assert expected_epochs((5,), 3, 4, 1) == 15
    assert expected_epochs((1, 4), 2, 4, 1) == 2 + 3  # somebody goes on however few there are


def test_the_default_is_trained_to_its_end_with_as_many_seeds_as_the_leader() -> None:
    # 15 others for 1 epoch, 3.75 for 3 more, 1 for 12 more, and 2 further seeds of it for 16.
    others = 15 + 3.75 * 3 + 12
    assert expected_epochs((1, 4, 16), 16, 4, 1, default=True) == others + 16
    assert expected_epochs((1, 4, 16), 16, 4, 3, default=True) == others + 32 + 3 * 16
    assert expected_epochs((1, 4, 16), 1, 4, 3, default=True) == 3 * 16
    assert estimate(plan("try_default=false"), 1).epochs == 16 + 12 + 12 + 32
    assert estimate(plan(), 1).epochs == others + 32 + 3 * 16


def test_a_default_that_goes_on_has_the_rest_of_its_training_before_it() -> None:
    others_ended = Earlier({16: 15}, seeds=(2,), begun=(4,), default=4)
    assert rest(16, others_ended, seeds=1) == 12
    assert rest(16, others_ended) == 12 + 2 * 16


def rest(trials: int, earlier: Earlier, seeds: int = 3) -> float:
    return expected_rest(earlier, (1, 4, 16), trials, 4, seeds)


def test_what_is_left_of_a_finished_search_is_nothing() -> None:
    finished = Earlier({16: 16}, seeds=(2,))  # one finalist, with both of its further seeds
    assert rest(16, finished) == 0
    assert rest(12, finished) == 0


def test_what_is_left_are_further_trials_and_what_goes_on() -> None:
    finished = Earlier({16: 16}, seeds=(2,))
    # 4 more: 4 for 1 epoch, 1 for 3 more, a quarter for 12 more and for two seeds of 16.
    assert rest(20, finished) == 4 + 3 + 3 + 0.25 * 32
    assert rest(20, finished, seeds=1) == 4 + 3 + 3
    # Two have 1 epoch behind them and passed its rung, one has 6 of its 16.
    amid = Earlier({16: 13}, begun=(1, 1, 6), seeds=(2,))
    assert rest(16, amid, seeds=1) == 2 * 3 + 10 + 0.5 * 12


def test_what_is_left_are_the_seeds_that_finalists_lack() -> None:
    """All of one and two fifths of the others: 3.6 of three finalists, and two are there."""
    waiting = Earlier({16: 16}, seeds=(1, 1, 0), seeds_begun=(10,))
    assert rest(16, waiting) == pytest.approx(6 + 1.6 * 16)
    won = Earlier({16: 16}, seeds=(2, 1, 0), seeds_begun=(10,))
    assert rest(16, won) == 6


def test_a_search_that_nothing_has_begun_of_is_all_left() -> None:
    assert rest(16, Earlier({})) == expected_epochs((1, 4, 16), 16, 4, 3)
    assert rest(2, Earlier({}, begun=(0,))) == expected_epochs((1, 4, 16), 2, 4, 3)


def test_rungs_stop_all_but_one_in_so_many() -> None:
    assert expected_stopped((1, 4, 16), 16, 4) == 12 + 3
    assert expected_stopped((1, 4), 2, 4) == 1  # somebody goes on however few there are
    assert expected_stopped((16,), 16, 4) == 0
    assert expected_stopped((1, 4), 16, 1) == 0
    assert expected_stopped((1, 4), 0, 4) == 0


def test_a_share_of_the_stopped_is_trained_to_its_end_too(threads: list[int]) -> None:
    words = ("rungs=1,4",)
    plain, made = plan(*words), plan(*words, "regret=0.2")
    assert expected_aside(plain) == (0, 0)
    assert expected_aside(made) == pytest.approx((0.2 * 15, 0.2 * 15 * 16))
    assert estimate(made, 1).epochs == pytest.approx(estimate(plain, 1).epochs + 48)
    assert expected_aside(plan(*words, "regret=1", "pruning=none")) == (0, 0)


def test_of_what_is_stopped_already_the_lots_are_known(threads: list[int]) -> None:
    made = plan("rungs=1,4", "regret=0.4")
    stopped = tuple(range(1, 12))
    chosen = sum(lot(0, number) < 0.4 for number in stopped)
    assert 0 < chosen < 11
    ended = made.going_on(Earlier({16: 16}, seeds=(2,), stopped=stopped))
    assert expected_aside(ended) == (chosen, 16 * chosen)
    amid = made.going_on(Earlier({16: 16}, seeds=(2,), regret_begun=(10, 0)))
    assert expected_aside(amid) == (2, 6 + 16)
    assert estimate(amid, 1).epochs == 22
    done = made.going_on(Earlier({16: 16}, seeds=(2,)))
    assert expected_aside(done) == (0, 0)
    assert not estimate(done, 1).steps


def test_a_large_model_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    made = plan()
    monkeypatch.setattr("os.sysconf", lambda name: 100)
    found = estimate(made, 1)
    assert (found.step_us, found.row_us, found.seconds) == (None, None, None)
    assert found.steps == found.epochs * (len(made.dataset.train_rows) // 32)


def test_steps_are_those_that_the_person_asked_for(threads: list[int]) -> None:
    asked = {steps: estimate(plan(f"steps_per_epoch={steps}"), 2) for steps in (50, 100, 200)}
    times = []
    dataset = plan().dataset
    evaluated = len(dataset.valid_rows) + len(train_eval_rows(dataset))
    for steps, found in asked.items():
        assert found.epochs == asked[100].epochs
        assert found.steps == found.epochs * steps
        assert found.rows == found.epochs * evaluated
        assert found.seconds is not None
        times.append(found.seconds)
        # Both workers are busy, in whole cohorts, but at the end: the last ones train alone.
        together = (found.steps * STEP_S + found.rows * ROW_S) / 2
        training = found.seconds - START_S - after_s(16, len(plan().dataset.valid_rows))
        assert together < training < 4 * together
    assert times == sorted(set(times))


def test_starting_and_ending_are_a_part_of_a_tiny_search(threads: list[int]) -> None:
    found = estimate(plan("trials=1", "epochs=1", "finalist_seeds=1", "steps_per_epoch=1"), 2)
    assert found.seconds is not None
    assert START_S + 2.8 < found.seconds < START_S + 5


def test_finalists_seeds_and_the_default_take_their_time(threads: list[int]) -> None:
    def seconds(*words: str) -> float:
        found = estimate(plan(*words), 2).seconds
        assert found is not None
        return found

    alone = seconds("finalist_seeds=1", "try_default=false")
    assert alone < seconds("finalist_seeds=1") < seconds()


def test_an_epoch_is_one_pass_unless_the_person_says_otherwise(threads: list[int]) -> None:
    made = plan()
    found = estimate(made, 1)
    assert found.steps == found.epochs * (len(made.dataset.train_rows) // 32)
    assert found.step_us == pytest.approx(STEP_S * 1e6)


@pytest.mark.parametrize(("cpus", "expected"), [("0", 1), ("0.5", 1), ("1", 1), ("2", 2)])
def test_a_step_is_measured_with_the_threads_of_a_worker(
    threads: list[int], cpus: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        estimate(plan(f"cpus_per_trial={cpus}"), 1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert threads == [expected]


def test_threads_are_restored_when_measuring_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> int:
        raise MemoryError

    monkeypatch.setattr(module, "best_size", broken)
    made, before = plan(), torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        with pytest.raises(MemoryError):
            estimate(made, 1)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("slots", "words"), [(1, "on 1 worker."), (3, "on 3 workers.")])
def test_the_screen_says_on_how_many_workers(
    slots: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    guess = Estimate(epochs=72.0, steps=7200.0, step_us=1000.0, rows=5e5, row_us=20.0, seconds=60.0)
    monkeypatch.setattr("search.planning.preview.estimate", lambda *_: guess)
    console = Console(record=True, width=200)
    show_plan(plan("steps_per_epoch=100"), console, slots)
    said = console.export_text()
    assert "an epoch is 100 of 32 rows" in said
    assert (
        "Expected: 72 epochs, 7,200 steps of 1,000 µs each, 500,000 rows evaluated in 20 µs" in said
    )
    assert words in said


def test_workers_here_are_those_of_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert slots_here(settings_from([])) == 6
    assert slots_here(settings_from(["cpus_per_trial=2"])) == 3
    assert slots_here(settings_from(["max_concurrent=4"])) == 4
    assert slots_here(settings_from(["cpus_per_trial=0"])) == 1
