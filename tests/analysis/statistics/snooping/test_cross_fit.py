"""Cross-fitting: the same by a plain loop, its size and power by simulation."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from scipy.signal import lfilter

from analysis.statistics.snooping.bootstrap import block_length, block_signs
from analysis.statistics.snooping.cross_fit import CrossFit, cross_fit
from analysis.statistics.snooping.reality_check import reality_check

YEAR = 252.0


def returns_of(
    seed: int, T: int, N: int, correlation: float, sharpe: float = 0.0, autocorrelation: float = 0.0
) -> np.ndarray:
    """Returns of correlated trials of one annual Sharpe ratio, [T, N], with fat tails."""
    draws = np.random.default_rng(seed).standard_t(5, (T + 30, N + 1)) / sqrt(5 / 3)
    mixed = sqrt(correlation) * draws[:, :1] + sqrt(1 - correlation) * draws[:, 1:]
    x = np.asarray(lfilter([1.0], [1.0, -autocorrelation], mixed, axis=0))[30:]
    return 0.01 * (x + sharpe / sqrt(YEAR))


def by_a_loop(scaled: np.ndarray) -> float:
    """The definition, fold by fold: Sharpe ratio per period with a divisor of T."""
    T = len(scaled)
    held = np.zeros(T)
    for fold in np.array_split(np.arange(T), 5):
        others = np.delete(scaled, fold, axis=0)
        ratios = others.mean(axis=0) / others.std(axis=0)
        shares = np.where(ratios > 0, ratios / others.std(axis=0), 0.0)
        if shares.any():
            held[fold] = scaled[fold] @ (shares / shares.sum())
    return float(held.mean() / held.std()) if held.any() else 0.0


def check(returns: np.ndarray, resamples: int = 399, seed: int = 0) -> CrossFit:
    found = cross_fit(returns, YEAR, resamples, seed)
    assert found is not None
    return found


def earned(returns: np.ndarray) -> float:
    sharpe = check(returns).sharpe
    assert sharpe is not None
    return sharpe


def test_it_is_what_a_loop_finds_of_the_days_and_of_days_turned_over() -> None:
    returns = returns_of(0, 103, 7, 0.3, sharpe=1.0)
    found = check(returns, resamples=20, seed=4)
    scaled = returns / np.sqrt(np.square(returns).mean(axis=0))
    unbiased = sqrt(YEAR * 102 / 103)
    assert found.sharpe == pytest.approx(by_a_loop(scaled) * unbiased)
    block = block_length((returns - returns.mean(axis=0)) / returns.std(axis=0))
    (turned,) = block_signs(103, block, 20, seed=4)
    expected = np.sort([by_a_loop(scaled * signs[:, None]) for signs in turned]) * unbiased
    assert found.without_skill == pytest.approx(expected)
    assert found.error == pytest.approx(expected.std())
    assert found.trials == 7


@pytest.mark.parametrize(
    ("T", "N", "correlation", "autocorrelation"),
    [(250, 12, 0.4, 0.0), (150, 30, 0.1, 0.2), (250, 30, 0.0, 0.0)],
)
def test_useless_trials_pass_about_one_time_in_twenty(
    T: int, N: int, correlation: float, autocorrelation: float
) -> None:
    made = (returns_of(s, T, N, correlation, 0.0, autocorrelation) for s in range(120))
    p = np.array([check(returns, 199, s).p for s, returns in enumerate(made)])
    assert 0.01 <= np.mean(p <= 0.05) <= 0.1
    assert 0.4 <= np.mean(p <= 0.5) <= 0.6


def test_skill_that_all_trials_share_is_found_sooner_than_by_the_best_of_them() -> None:
    """Three years of 40 trials whose true Sharpe ratio is 0.9."""
    found, best = [], []
    for seed in range(40):
        returns = returns_of(seed, 756, 40, 0.4, sharpe=0.9)
        found.append(check(returns, 199, seed).p <= 0.05)
        of_best = reality_check(returns, YEAR, 199, seed)
        best.append(of_best is not None and of_best.p <= 0.05)
    assert np.mean(found) > np.mean(best) + 0.1
    assert np.mean(found) > 0.6


def test_what_is_provable_is_found_four_times_in_five() -> None:
    """Trials whose choice is truly worth as much as `provable` says, on average."""
    found = [check(returns_of(s, 756, 24, 0.4, sharpe=1.07), 199, s) for s in range(60)]
    worth = np.mean([each.sharpe or 0.0 for each in found])
    assert worth == pytest.approx(np.mean([each.provable(0.05) for each in found]), abs=0.05)
    assert 0.7 <= np.mean([each.p <= 0.05 for each in found]) <= 0.9


def test_no_days_luck_chooses_what_is_held_on_it() -> None:
    """A trial that is best by one lucky fifth of the days is not held there."""
    returns = returns_of(1, 500, 6, 0.0)
    returns[:, 2] -= returns[:, 2].mean() + 0.001
    lucky = returns.copy()
    lucky[200:300, 2] += 0.02  # over all days it now is the best
    assert earned(lucky) <= earned(returns) + 1e-9


def test_a_worthless_choice_holds_nothing_and_has_no_skill() -> None:
    returns = returns_of(2, 300, 4, 0.2, sharpe=-6.0)
    found = check(returns)
    assert (found.sharpe, found.p) == (None, 1.0)


def test_the_point_of_a_level_is_where_p_crosses_it() -> None:
    found = check(returns_of(3, 300, 10, 0.3))
    for level in (0.05, 0.2):
        point = found.point(level)
        assert replace(found, sharpe=point).p <= level
        assert replace(found, sharpe=point - 1e-6).p > level
    assert replace(found, sharpe=found.point(1e-9)).p == 1 / 400


def test_idle_trials_and_scale_change_nothing() -> None:
    returns = returns_of(4, 200, 5, 0.3)
    other = check(np.hstack([returns * [1, 2, 3, 4, 5], np.zeros((200, 2))]))
    assert other.without_skill == pytest.approx(check(returns).without_skill)
    assert other.sharpe == pytest.approx(earned(returns))
    assert other.trials == 5


@pytest.mark.parametrize(("days", "exact"), [(2, 0.25), (3, 0.125), (5, 0.03125)])
def test_a_few_days_that_earn_prove_no_more_than_their_signs(days: int, exact: float) -> None:
    returns = np.zeros((250, 1))
    returns[:: 250 // days, 0][:days] = 0.01
    assert check(returns, 1999).p == pytest.approx(exact, abs=0.05)


def test_what_is_undefined_is_none() -> None:
    assert cross_fit(np.zeros((100, 3)), YEAR) is None
    assert cross_fit(np.zeros((100, 0)), YEAR) is None
    assert cross_fit(returns_of(0, 19, 3, 0.0), YEAR) is None
