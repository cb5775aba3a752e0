"""Against the papers' own examples, two packages, and simulations."""

from math import sqrt

import jsharpe
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.signal import lfilter
from skfolio import measures

from analysis.statistics.probabilistic_sharpe import (
    Moments,
    deflated_sharpe,
    minimum_track_record,
    moments,
    probabilistic_sharpe,
    provable_sharpe,
    robust_sharpe_error,
    sharpe_error,
)

DAILY = 2.5 / sqrt(250)  # Bailey and López de Prado (2014): 2.5 a year, five years of 250 days
FUND = 0.458  # Bailey and López de Prado (2012): a hedge fund, 24 months


def returns_of(seed: int = 0, T: int = 600) -> np.ndarray:
    return 0.01 * np.random.default_rng(seed).standard_t(5, T) + 0.001


def test_example_of_2012_with_and_without_tails() -> None:
    assert probabilistic_sharpe(Moments(24, FUND)) == pytest.approx(0.982, abs=5e-4)
    fund = Moments(24, FUND, -2.448, 10.164)
    assert probabilistic_sharpe(fund) == pytest.approx(0.913, abs=5e-4)


@pytest.mark.parametrize(
    ("year", "skewness", "kurtosis", "years"),
    [(250, 0, 3, 2.73), (52, 0, 3, 2.83), (12, 0, 3, 3.24), (12, -0.72, 5.78, 4.99)],
)
def test_track_records_of_2012_that_prove_2_to_be_above_1(
    year: int, skewness: float, kurtosis: float, years: float
) -> None:
    found = Moments(99, 2 / sqrt(year), skewness, kurtosis)
    periods = minimum_track_record(found, 1 / sqrt(year))
    assert periods is not None
    assert periods / year == pytest.approx(years, abs=5e-3)


@pytest.mark.parametrize(
    ("trials", "skewness", "kurtosis", "deflated"),
    [(100, -3, 10, 0.9004), (46, -3, 10, 0.9505), (88, 0, 3, 0.9505)],
)
def test_example_of_2014(trials: int, skewness: float, kurtosis: float, deflated: float) -> None:
    found = deflated_sharpe(Moments(1250, DAILY, skewness, kurtosis), trials, 0.5 / 250)
    assert found == pytest.approx(deflated, abs=5e-5)


def test_threshold_of_2014() -> None:
    """A ratio at the threshold itself is above it as surely as not."""
    assert deflated_sharpe(Moments(1250, 0.1132), 100, 0.5 / 250) == pytest.approx(0.5, abs=5e-4)


@pytest.mark.parametrize("threshold", [-0.1, 0.0, 0.05])
def test_of_returns_it_is_skfolios(threshold: float) -> None:
    returns = returns_of()
    found = moments(returns)
    assert found is not None
    wanted = measures.probabilistic_sharpe_ratio(returns, threshold)
    assert probabilistic_sharpe(found, threshold) == pytest.approx(wanted, rel=1e-12)


def test_deflated_is_skfolios() -> None:
    returns, others = returns_of(), 0.04 * np.random.default_rng(1).standard_normal(30)
    found = moments(returns)
    assert found is not None
    wanted = measures.deflated_sharpe_ratio(returns, others)
    variance = float(np.var(others, ddof=1))
    assert deflated_sharpe(found, 30, variance) == pytest.approx(wanted, rel=1e-12)


@given(
    st.floats(-0.5, 0.5), st.floats(-0.2, 0.2), st.integers(10, 5000), st.floats(-2, 2),
    st.floats(5, 20),
)  # fmt: skip
def test_it_is_jsharpes(
    sharpe: float, threshold: float, periods: int, skewness: float, kurtosis: float
) -> None:
    found = Moments(periods, sharpe, skewness, kurtosis)
    variance = jsharpe.sharpe_ratio_variance(sharpe, periods - 1, gamma3=skewness, gamma4=kurtosis)
    assert sharpe_error(found) == pytest.approx(sqrt(variance), rel=1e-9)
    wanted = jsharpe.probabilistic_sharpe_ratio(sharpe, threshold, variance=variance)
    assert probabilistic_sharpe(found, threshold) == pytest.approx(wanted, abs=1e-12)


@given(st.floats(0.02, 0.5), st.floats(-0.2, 0.01), st.floats(-1.5, 1.5), st.floats(4, 15))
def test_so_long_a_record_proves_it_and_a_shorter_one_does_not(
    sharpe: float, threshold: float, skewness: float, kurtosis: float
) -> None:
    periods = minimum_track_record(Moments(9, sharpe, skewness, kurtosis), threshold)
    assert periods is not None
    longer, shorter = int(periods) + 1, int(periods)
    for length, proves in ((longer, True), (shorter, False)):
        if length < 2:
            continue
        found = probabilistic_sharpe(Moments(length, sharpe, skewness, kurtosis), threshold)
        assert found is not None
        assert (found >= 0.95) == proves


@pytest.mark.parametrize("autocorrelation", [0.0, 0.3])
def test_the_robust_error_is_how_far_ratios_scatter(autocorrelation: float) -> None:
    rng = np.random.default_rng(2)
    noise = rng.standard_normal((1200, 1050))
    scale = [sqrt(1 - autocorrelation**2)]
    series = np.asarray(lfilter(scale, [1, -autocorrelation], noise))[:, 50:] + 0.1
    found = [moments(each) for each in series]
    scatter = float(np.std([one.sharpe for one in found if one is not None]))
    robust = [error for each in series if (error := robust_sharpe_error(each)) is not None]
    assert np.mean(robust) == pytest.approx(scatter, rel=0.08)
    closed = jsharpe.sharpe_ratio_variance(0.1, 1000, rho=autocorrelation)
    assert np.mean(robust) == pytest.approx(sqrt(closed), rel=0.06)
    plain = [sharpe_error(one) for one in found if one is not None]
    assert (np.mean([e for e in plain if e]) < 0.85 * scatter) == (autocorrelation > 0)


def test_with_another_error_it_is_less_sure() -> None:
    found = Moments(1250, DAILY)
    plain, wide = probabilistic_sharpe(found), probabilistic_sharpe(found, error=0.1)
    assert plain is not None
    assert wide is not None
    assert wide == pytest.approx(0.9431, abs=1e-4)  # Φ(1.5811)
    assert wide < plain
    assert deflated_sharpe(found, 1, 1.0, 0.1) == wide


def proved(returns: np.ndarray, level: float) -> float:
    """Returns the share of series, [n, T], that a p of at most `level` proves."""
    found = [moments(each) for each in returns]
    surely = [probabilistic_sharpe(one) for one in found if one is not None]
    return float(np.mean([sure is not None and sure >= 1 - level for sure in surely]))


@pytest.mark.parametrize("trials", [1, 64])
@pytest.mark.parametrize("shape", [None, 4.0])
def test_what_could_be_proved_is_proved_four_times_in_five(
    trials: int, shape: float | None
) -> None:
    """With normal returns, and with those of a gamma distribution turned round."""
    rng, T = np.random.default_rng(3), 400
    if shape is None:
        skewness, kurtosis, z = 0.0, 3.0, rng.standard_normal((2000, T))
    else:
        skewness, kurtosis = -2 / sqrt(shape), 3 + 6 / shape
        z = (shape - rng.gamma(shape, size=(2000, T))) / sqrt(shape)
    annual = provable_sharpe(T, 252, trials, skewness=skewness, kurtosis=kurtosis)
    assert annual is not None
    level = 1 - 0.95 ** (1 / trials)
    assert proved(z + annual / sqrt(252), level) == pytest.approx(0.8, abs=0.03)


def test_useless_trials_pass_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(4)
    level = 1 - 0.95 ** (1 / 16)
    best = rng.standard_normal((16 * 250, 200))
    assert proved(best, level) * 16 == pytest.approx(0.05, abs=0.02)


def test_power_is_jsharpes() -> None:
    annual = provable_sharpe(1250, 250, 1, level=0.05, miss=0.2)
    assert annual is not None
    power = jsharpe.sharpe_ratio_power(0, annual / sqrt(250), 1249, alpha=0.05)
    assert power == pytest.approx(0.8, abs=0.002)
    assert annual == pytest.approx(2.4865 / sqrt(5), rel=0.002)


def test_more_trials_need_more_and_more_days_less() -> None:
    one, many, longer = (
        provable_sharpe(days, 252, trials) for days, trials in ((252, 1), (252, 64), (1260, 64))
    )
    assert one is not None
    assert many is not None
    assert longer is not None
    assert longer < one < many
    assert provable_sharpe(252, 252, 12.5) == pytest.approx(3.5, abs=0.1)


def test_what_is_undefined_is_none() -> None:
    for returns in (np.full(50, 0.01), np.zeros(50), np.array([0.01, 0.02]), np.empty(0)):
        assert moments(returns) is None
        assert robust_sharpe_error(returns) is None
    assert sharpe_error(Moments(1, 0.1)) is None
    assert probabilistic_sharpe(Moments(1, 0.1)) is None
    assert probabilistic_sharpe(Moments(9, 0.1), error=0.0) is None
    assert minimum_track_record(Moments(9, 0.1), 0.1) is None
    assert provable_sharpe(3, 252, 1000) is None


@pytest.mark.parametrize("arguments", [(1, 252, 1), (99, 252, 0.5), (99, 0, 1), (99, 252, np.nan)])
def test_what_cannot_be_is_refused(arguments: tuple) -> None:
    with pytest.raises(ValueError, match="trials="):
        provable_sharpe(*arguments)


@pytest.mark.parametrize("chance", [0.0, 0.5, 1.0])
def test_chances_are_below_a_half(chance: float) -> None:
    with pytest.raises(ValueError, match="level must"):
        provable_sharpe(99, 252, level=chance)
    with pytest.raises(ValueError, match="miss must"):
        provable_sharpe(99, 252, miss=chance)
    with pytest.raises(ValueError, match="level must"):
        minimum_track_record(Moments(9, 0.1), level=chance)
