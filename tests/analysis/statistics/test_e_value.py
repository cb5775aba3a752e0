"""The bet is fair: counted over all paths, and by simulation over returns of any kind."""

from itertools import product
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.e_value import anytime_p, e_process

PATHS = 3000


def highest(returns: np.ndarray, **options) -> np.ndarray:
    """Returns the highest e-value of each path, [paths, T] in deviations."""
    return np.array([e_process(path, 1.0, **options).max() for path in returns])


@pytest.mark.parametrize("up", [0.2, 1.0, 4.0])
@pytest.mark.parametrize("expected", [0.0, 0.3])
def test_over_all_paths_of_a_fair_game_it_stays_1(up: float, expected: float) -> None:
    """Days of +up and of −1, so likely that they are worth nothing; the bet follows the past."""
    chance = 1 / (1 + up)  # of +up
    total = np.zeros(9)
    for path in product([True, False], repeat=9):
        wins = np.array(path)
        probability = np.prod(np.where(wins, chance, 1 - chance))
        returns = np.where(wins, up, -1.0)
        total += probability * e_process(returns, 1.0, expected, weight=2, worst=1.0)
    assert total == pytest.approx(np.ones(9), rel=1e-12)


@given(st.lists(st.floats(-0.19, 0.5), min_size=2, max_size=30), st.floats(-0.19, 0.5))
def test_no_bet_knows_the_day_that_it_is_made_on(days: list[float], other: float) -> None:
    """The value is a straight line of the last day's return, through what it was the day before."""
    returns = np.array(days)
    values = e_process(returns, 0.01, expected=0.05)
    changed = e_process(np.append(returns[:-1], other), 0.01, expected=0.05)
    half = e_process(np.append(returns[:-1], (other + returns[-1]) / 2), 0.01, expected=0.05)
    none = e_process(np.append(returns[:-1], 0.0), 0.01, expected=0.05)
    assert (changed[:-1] == values[:-1]).all()
    assert half[-1] == pytest.approx((changed[-1] + values[-1]) / 2, rel=1e-9)
    assert none[-1] == values[-2]
    assert (values > 0).all()


def fat_tails(rng: np.random.Generator) -> np.ndarray:
    """Of a Pareto distribution, turned round, cut at the worst and made worth nothing."""
    losses = np.minimum(rng.pareto(2.2, (PATHS, 500)), 19.0)
    return np.mean(losses) - losses


def many_small_gains(rng: np.random.Generator) -> np.ndarray:
    """A gain of 0.05 nearly every day, and now and then the worst."""
    return np.where(rng.random((PATHS, 500)) < 0.05 / 20.05, -20.0, 0.05)


def clustered(rng: np.random.Generator) -> np.ndarray:
    """Normal days whose deviation follows from the days before: larger after losses."""
    days, scale = np.empty((PATHS, 500)), np.ones(PATHS)
    for t in range(500):
        days[:, t] = scale * rng.standard_normal(PATHS)
        scale = np.clip(1.2 - 0.5 * days[:, t], 0.2, 4.0)
    return days


@pytest.mark.parametrize("kind", [fat_tails, many_small_gains, clustered])
@pytest.mark.parametrize("options", [{}, {"expected": 0.2}, {"expected": 0.1, "weight": 20}])
def test_what_is_worth_nothing_seldom_reaches_20(kind, options: dict) -> None:
    reached = np.mean(highest(kind(np.random.default_rng(0)), **options) >= 20)
    assert reached <= 0.05


def test_it_nearly_uses_up_what_it_may_by_the_end() -> None:
    """The bound above is not held by betting nothing: of many days, nearly 5 % reach 20."""
    rng = np.random.default_rng(1)
    reached = np.mean(highest(rng.standard_normal((1000, 5000)), expected=0.05) >= 20)
    assert 0.025 <= reached <= 0.05


def test_skill_grows() -> None:
    """An annual Sharpe ratio of 2 over three years, from what is expected of 1."""
    rng = np.random.default_rng(2)
    paths = rng.standard_normal((400, 756)) + 2 / sqrt(252)
    last = np.log([e_process(path, 1.0, 1 / sqrt(252))[-1] for path in paths])
    assert 3.0 < np.mean(last) < 2**2 / 2 * 3  # no bet grows faster than S²/2 a year
    assert np.mean(highest(paths, expected=1 / sqrt(252)) >= 20) > 0.7


def test_a_loss_beyond_the_worst_ends_it() -> None:
    values = e_process(np.array([0.01, -0.3, 0.5]), 0.01, expected=0.05)
    assert values[0] > 1
    assert values[1:].tolist() == [0.0, 0.0]


def test_nothing_is_bet_on_a_strategy_that_loses() -> None:
    values = e_process(np.array([-0.01, -0.01, 0.02, -0.03]), 0.01)
    assert values.tolist() == [1.0, 1.0, 1.0, 1.0]


def test_four_days_by_hand() -> None:
    """σ = 2; the bets are 0.1·3/3 = 0.1, then (0.3 + 1)/4 cut to 1/5, (0.3 − 1)/5 cut to 0."""
    values = e_process(np.array([2.0, -4.0, 6.0]), 2.0, expected=0.1, weight=3, worst=5)
    assert values == pytest.approx([1.1, 1.1 * (1 - 0.4), 0.66], rel=1e-12)


def test_its_p_is_of_the_highest_value() -> None:
    assert anytime_p(np.array([1.2, 25.0, 3.0])) == 0.04
    assert anytime_p(np.array([0.5, 0.2])) == 1
    assert anytime_p(e_process(np.array([]), 0.01)) == 1


@pytest.mark.parametrize("wrong", [{"deviation": 0}, {"weight": 0}, {"worst": -1}])
def test_what_cannot_be_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match="deviation="):
        e_process(np.zeros(3), **({"deviation": 1.0} | wrong))
