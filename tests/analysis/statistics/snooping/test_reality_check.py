"""Size and power of the bootstrap by simulation, its blocks by closed forms, and arch beside it."""

from math import sqrt
from statistics import NormalDist

import numpy as np
import pytest
from arch.bootstrap import SPA
from scipy.signal import lfilter

from analysis.statistics.snooping.luck_line import luck_line
from analysis.statistics.snooping.reality_check import RealityCheck, reality_check

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
