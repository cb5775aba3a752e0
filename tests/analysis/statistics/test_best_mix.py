"""The best mix of two strategies, against a search over all mixes."""

from math import sqrt

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.best_mix import best_mix


def returns(one: float, two: float, correlation: float, T: int = 600) -> tuple[np.ndarray, ...]:
    """Two series with exactly these ratios per period and this correlation."""
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, T))
    z -= z.mean(axis=1, keepdims=True)
    z[1] -= z[0] * (z[0] @ z[1]) / (z[0] @ z[0])
    z /= z.std(axis=1, ddof=1, keepdims=True)
    mixed = correlation * z[0] + sqrt(1 - correlation**2) * z[1]
    return 0.01 * (z[0] + one), 0.02 * (mixed + two)


def by_search(first: np.ndarray, second: np.ndarray) -> float:
    """The highest ratio of all mixes without short positions."""
    shares = np.linspace(0, 1, 20_001)[:, None]
    mean = shares[:, 0] * first.mean() + (1 - shares[:, 0]) * second.mean()
    c = np.cov(first, second)
    s = shares[:, 0]
    variance = s**2 * c[0, 0] + 2 * s * (1 - s) * c[0, 1] + (1 - s) ** 2 * c[1, 1]
    return float((mean / np.sqrt(variance)).max())


@given(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2), st.floats(-0.95, 0.95))
def test_no_mix_is_better(one: float, two: float, correlation: float) -> None:
    first, second = returns(one, two, correlation)
    mix = best_mix(first, second, 252.0)
    assert mix is not None
    assert mix.correlation == pytest.approx(correlation, abs=1e-9)
    assert mix.alone == pytest.approx(two * sqrt(252), abs=1e-9)
    found = by_search(first, second) * sqrt(252)
    assert mix.sharpe == pytest.approx(found, abs=2e-4)
    assert mix.sharpe >= found - 1e-9


def test_independent_strategies_add_up_by_their_squares() -> None:
    mix = best_mix(*returns(0.03, 0.04, 0.0), periods_per_year=1.0)
    assert mix is not None
    assert (mix.sharpe, mix.own) == (pytest.approx(0.05), pytest.approx(0.03))


def test_its_own_part_is_alpha_over_its_residual() -> None:
    """The appraisal ratio is alpha ÷ the deviation of the residuals of a regression."""
    first, second = returns(0.08, 0.05, 0.4)
    fit = sm.OLS(first, sm.add_constant(second)).fit()
    mix = best_mix(first, second, 1.0)
    assert mix is not None
    residual = np.asarray(fit.resid).std(ddof=1)
    assert mix.own == pytest.approx(float(np.asarray(fit.params)[0]) / residual)
    error = 1 / sqrt(len(first))
    t = float(np.asarray(fit.tvalues)[0])
    assert mix.own / error == pytest.approx(t, rel=0.01)


def test_what_is_worth_nothing_beside_the_other_is_left_out() -> None:
    first, second = returns(0.02, 0.06, 0.8)
    mix = best_mix(first, second, 1.0)
    assert mix is not None
    assert mix.own < 0
    assert mix.sharpe == pytest.approx(0.06)


def test_undefined_mixes() -> None:
    first, _ = returns(0.1, 0.1, 0.5)
    assert best_mix(first, 2 * first, 252.0) is None, "one and the same strategy"
    assert best_mix(first, np.full(len(first), 0.01), 252.0) is None, "constant returns"
    assert best_mix(first[:2], first[:2], 252.0) is None
    with pytest.raises(ValueError, match="paired"):
        best_mix(first, first[1:], 252.0)
