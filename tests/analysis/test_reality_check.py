"""Size and power of the bootstrap by simulation, its blocks by closed forms, and arch beside it."""

from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from arch.bootstrap import SPA
from scipy.signal import lfilter

from analysis.statistics.luck_line import luck_line
from analysis.statistics.reality_check import (
    RealityCheck,
    block_length,
    day_counts,
    reality_check,
)

YEAR = 252.0


def useless(seed: int, T: int, N: int, correlation: float, autocorrelation: float) -> np.ndarray:
    """Returns of correlated trials without skill, [T, N], with the tails of a t of 4 degrees."""
    draws = np.random.default_rng(seed).standard_t(4, (T + 30, N + 1))
    mixed = sqrt(correlation) * draws[:, :1] + sqrt(1 - correlation) * draws[:, 1:]
    return 0.01 * np.asarray(lfilter([1.0], [1.0, -autocorrelation], mixed, axis=0))[30:]


def check(returns: np.ndarray, resamples: int = 2000, seed: int = 0) -> RealityCheck:
    found = reality_check(returns, YEAR, resamples, seed)
    assert found is not None
    return found


@pytest.mark.parametrize(("T", "autocorrelation"), [(250, 0.2), (100, 0.0)])
def test_useless_trials_pass_about_one_time_in_twenty(T: int, autocorrelation: float) -> None:
    p = [check(useless(s, T, 12, 0.4, autocorrelation), 199, s).p for s in range(200)]
    assert 0.02 <= np.mean(np.array(p) <= 0.05) <= 0.08
    assert 0.43 <= np.mean(np.array(p) <= 0.5) <= 0.57


def test_independent_trials_reach_the_luck_line() -> None:
    N, T = 50, 1000
    found = check(np.random.default_rng(0).standard_normal((T, N)))
    assert found.expected == pytest.approx(luck_line(N, T, YEAR), rel=0.05)
    point = NormalDist().inv_cdf(0.95 ** (1 / N)) * sqrt(YEAR / T)
    assert found.point() == pytest.approx(point, rel=0.05)
    assert found.trials == N


def test_copies_are_one_trial() -> None:
    one = np.random.default_rng(1).standard_normal((500, 1))
    alone, copied = check(one), check(np.repeat(one, 40, axis=1))
    assert copied.maxima == pytest.approx(alone.maxima)
    assert copied.p == alone.p
    assert abs(alone.expected) < 0.1


@pytest.mark.parametrize("chosen", [3, 40])
def test_an_ensemble_of_the_best_is_drawn_as_by_a_loop(chosen: int) -> None:
    returns = useless(9, 120, 8, 0.4, 0.1)
    found = reality_check(returns, YEAR, 50, seed=3, chosen=chosen)
    assert found is not None
    z = (returns - returns.mean(axis=0)) / returns.std(axis=0)
    expected = []
    for counts in day_counts(120, found.block, 50, seed=3):
        for row in counts:
            days = np.repeat(z, row.astype(int), axis=0)
            ratios = days.mean(axis=0) / days.std(axis=0)
            best = days[:, np.argsort(-ratios)[:chosen]].mean(axis=1)
            expected.append(best.mean() / best.std(ddof=1))
    scale = sqrt(YEAR) / sqrt(1 - 2 * found.block / 120)
    assert found.maxima == pytest.approx(np.sort(expected) * scale)
    scaled = returns / returns.std(axis=0)
    best = scaled[:, np.argsort(-scaled.mean(axis=0))[:chosen]].mean(axis=1)
    assert found.best == pytest.approx(best.mean() / best.std(ddof=1) * sqrt(YEAR))


def test_a_useless_ensemble_of_the_best_passes_about_one_time_in_twenty() -> None:
    found = [
        reality_check(useless(s, 250, 12, 0.4, 0.0), YEAR, 199, s, chosen=4) for s in range(200)
    ]
    p = np.array([each.p for each in found if each is not None])
    assert len(p) == 200
    assert 0.02 <= np.mean(p <= 0.05) <= 0.08


def test_the_best_is_its_annual_sharpe_ratio_and_skill_is_found() -> None:
    returns = useless(2, 1000, 30, 0.3, 0.0)
    returns[:, 7] += 0.2 * returns[:, 7].std()
    found = check(returns)
    mean, deviation = returns[:, 7].mean(), returns[:, 7].std(ddof=1)
    assert found.best == pytest.approx(mean / deviation * sqrt(YEAR))
    assert found.p == 1 / 2001
    assert found.best > found.point() > found.expected > 0


def test_the_null_is_without_the_means() -> None:
    returns = useless(3, 400, 10, 0.3, 0.1)
    shifted = returns + 0.1 * returns.std(axis=0) * np.arange(10)
    assert check(shifted).maxima == pytest.approx(check(returns).maxima)


def test_arch_finds_the_same_p() -> None:
    """Of scaled returns; arch leaves the deviation of a resample, and a short sample, as it is."""
    returns = useless(4, 1250, 15, 0.3, 0.1)
    scaled = returns / returns.std(axis=0)
    scaled[:, 3] += 0.055 - scaled[:, 3].mean()
    found = check(scaled, 4000)
    test = SPA(np.zeros((1250, 1)), -scaled, round(found.block), 2000, seed=0)
    test.compute()
    assert 0.05 < found.p < 0.5
    assert found.p == pytest.approx(test.pvalues["upper"], abs=0.05)


def test_p_and_point_agree_on_what_is_significant() -> None:
    found = check(useless(5, 200, 8, 0.2, 0.0), 999)
    for level in (0.01, 0.05, 0.5):
        point = found.point(level)
        assert found.p_of(point) > level >= found.p_of(np.nextafter(point, 99))
    assert found.p_of(99) == 1 / 1000
    assert found.p_of(-99) == 1
    with pytest.raises(ValueError, match="of 999 resamples"):
        found.point(0.0005)


def test_the_same_seed_gives_the_same() -> None:
    returns = useless(6, 100, 5, 0.3, 0.0)
    assert (check(returns).maxima == check(returns).maxima).all()
    assert (check(returns).maxima != check(returns, seed=1).maxima).any()


@pytest.mark.parametrize("block", [1.0, 4.0, 15.0])
def test_a_drawn_mean_varies_as_politis_and_romano_say(block: float) -> None:
    """Var(mean*) = (γ₀ + 2Σ(1 − i/T)·((1 − p)^i ...)γᵢ) ÷ T of circular autocovariances γ."""
    T = 60
    x = np.asarray(lfilter([1.0], [1.0, -0.6], np.random.default_rng(7).standard_normal(T)))
    x -= x.mean()
    drawn = np.concatenate([*day_counts(T, block, 30_000, seed=0)])
    assert (drawn.sum(axis=1) == T).all()
    assert drawn.mean(axis=0) == pytest.approx(np.ones(T), abs=0.05)
    lags = np.arange(1, T)
    circular = np.array([x @ np.roll(x, -lag) for lag in lags]) / T
    closed = (x @ x / T + 2 * ((1 - lags / T) * (1 - 1 / block) ** lags) @ circular) / T
    assert (drawn @ x / T).var() == pytest.approx(closed, rel=0.04)


def test_batches_hold_all_resamples() -> None:
    sizes = [len(batch) for batch in day_counts(100_000, 5.0, 45, seed=0)]
    assert sizes == [20, 20, 5]


def test_blocks_are_longer_where_days_belong_together() -> None:
    together, apart = (useless(8, 800, 6, 0.3, a) for a in (0.8, 0.0))
    assert block_length(apart) == pytest.approx(800 ** (1 / 3), rel=0.5)
    assert block_length(together) > 2 * block_length(apart)
    assert block_length(np.random.default_rng(0).standard_normal((800, 1))) >= 800 ** (1 / 3)


def test_a_trial_that_never_trades_is_left_out() -> None:
    returns = useless(9, 200, 4, 0.3, 0.0)
    idle = np.hstack([np.zeros((200, 2)), returns])
    assert check(idle).maxima == pytest.approx(check(returns).maxima)
    assert check(idle).trials == 4


def test_a_trial_that_trades_on_one_day_has_finite_figures() -> None:
    once = np.zeros((30, 1))
    once[4] = 0.01
    found = check(once)
    assert np.isfinite(found.maxima).all()
    assert found.p > 0.05


def test_what_is_undefined_is_none() -> None:
    assert reality_check(np.zeros((100, 3)), YEAR) is None
    assert reality_check(np.zeros((100, 0)), YEAR) is None
    assert reality_check(useless(0, 19, 3, 0.0, 0.0), YEAR) is None
    assert reality_check(useless(0, 20, 3, 0.0, 0.0), YEAR) is not None
