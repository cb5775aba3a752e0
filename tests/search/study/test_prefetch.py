"""Asking in the background: how much, what it raises, what it hands back."""

import time
from collections.abc import Callable

import optuna
import pytest

from search.study.prefetch import Prefetcher
from search.study.study import SearchStudy
from tests.search.study.test_study import space
from trainable.cli.errors import UserError


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def test_prefetching_stops_at_the_wish_the_budget_and_the_trials_in_flight() -> None:
    study = SearchStudy.create(None, "run", seed=0)
    with Prefetcher(study, space, budget=10, in_flight=6) as ahead:
        assert ahead.take(3) == []
        ahead.want(4)
        wait_until(lambda: study.searched == 4)
        taken = ahead.take(3)
        assert [asked.number for asked in taken] == [0, 1, 2]
        wait_until(lambda: study.searched == 6)  # six in flight, ready ones included
        time.sleep(0.05)
        assert study.searched == 6
        for asked in taken:
            study.finish(asked.number, "PRUNED", "asha_rung")
        taken = ahead.take(2)
        wait_until(lambda: study.searched == 9)
        for asked in taken:
            study.finish(asked.number, "PRUNED", "asha_rung")
        ahead.want(9)
        wait_until(lambda: study.searched == 10)
        assert not ahead.exhausted
        left = ahead.take(9)
        assert ahead.exhausted
    assert [asked.number for asked in left] == [5, 6, 7, 8, 9]
    assert study.untold == 5


def test_prefetching_raises_what_the_space_raised_once() -> None:
    study = SearchStudy.create(None, "run", seed=0)

    def moody(trial: optuna.Trial) -> dict:
        if study.searched == 2:
            raise UserError("spaces/moody.py:3: no")
        return space(trial)

    with Prefetcher(study, moody, budget=9, in_flight=16) as ahead:
        ahead.want(3)
        wait_until(lambda: ahead._error is not None)
        assert len(ahead.take(5)) == 2
        for ask in (ahead.take, ahead.want):
            with pytest.raises(UserError, match=r"moody.py:3"):
                ask(1)
        assert ahead.exhausted
    assert study.searched == 2


def test_closing_hands_back_what_was_not_taken() -> None:
    study = SearchStudy.create(None, "run", seed=0)
    ahead = Prefetcher(study, space, budget=9, in_flight=16)
    ahead.want(3)
    wait_until(lambda: study.searched == 3)
    left = ahead.close()
    assert [asked.number for asked in left] == [0, 1, 2]
    assert ahead.close() == []
    assert ahead.exhausted


def test_without_a_thread_trials_are_asked_when_they_are_taken() -> None:
    study = SearchStudy.create(None, "run", seed=0)
    with Prefetcher(study, space, budget=10, in_flight=4, in_background=False) as ahead:
        ahead.want(3)
        assert study.searched == 0
        taken = ahead.take(9)
        assert [asked.number for asked in taken] == [0, 1, 2]
        assert [asked.number for asked in ahead.take(9)] == [3], "four in flight"
        assert not ahead.busy
        for asked in taken:
            study.finish(asked.number, "PRUNED", "asha_rung")
        assert ahead.busy
        assert len(ahead.take(2)) == 2
    assert ahead.exhausted


def test_without_a_thread_what_the_space_raises_comes_after_what_was_asked_before() -> None:
    study = SearchStudy.create(None, "run", seed=0)

    def moody(trial: optuna.Trial) -> dict:
        if study.searched == 2:
            raise UserError("spaces/moody.py:3: no")
        return space(trial)

    with Prefetcher(study, moody, budget=9, in_flight=16, in_background=False) as ahead:
        ahead.want(3)
        assert len(ahead.take(5)) == 2
        with pytest.raises(UserError, match="moody"):
            ahead.take(5)
