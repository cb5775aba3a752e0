"""A Sharpe difference and its error against other libraries; size and power of the flat rule."""

import math
from dataclasses import replace

import numpy as np
import pytest

from analysis.statistics.paired_sharpe import newey_west_variance, sharpe_difference
from search.pruning.flat_sharpe import (
    FlatRule,
    default_rule,
    flatness,
)

RULE = FlatRule()
DAYS = 1250


def pair(
    rng: np.random.Generator, gain: float, overlap: float, days: int = DAYS
) -> tuple[np.ndarray, np.ndarray]:
    """Returns daily returns before and now: now has `gain` more annual Sharpe.

    `overlap` is the correlation of the two, that is how much the positions are still the same.
    """
    shared = rng.standard_t(5, days) / math.sqrt(5 / 3)
    own = rng.standard_normal((2, days))
    noise = math.sqrt(overlap) * shared + math.sqrt(1 - overlap) * own
    return 0.01 * noise[0], 0.01 * (noise[1] + gain / math.sqrt(252))


def share_flat(gain: float, overlap: float, tries: int = 300) -> float:
    rng = np.random.default_rng(3)
    return float(
        np.mean([flatness(*pair(rng, gain, overlap), 0.0, 252.0, RULE).flat for _ in range(tries)])
    )


@pytest.mark.parametrize("days", [30, 100, 1250])
def test_newey_west_is_statsmodels_hac_error_of_the_mean(days: int) -> None:
    from statsmodels.api import OLS  # half a second for each process of a test run

    rng = np.random.default_rng(days)
    x = np.convolve(rng.standard_normal(days + 4), np.ones(5) / 5, mode="valid")
    lags = int(4 * (days / 100) ** (2 / 9))
    fit = OLS(x, np.ones(days)).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False}
    )
    assert math.sqrt(newey_west_variance(x)) == pytest.approx(float(fit.bse[0]), rel=1e-12)


def test_the_error_of_two_independent_strategies_is_that_of_lo_for_both() -> None:
    """Lo (2002): a Sharpe ratio's error is √((1 + S²/2) / T) for independent normal returns."""
    rng = np.random.default_rng(0)
    T = 100_000
    x, y = 0.05 + rng.standard_normal((2, T))
    measured = sharpe_difference(x, y)
    assert measured is not None
    assert measured[1] == pytest.approx(math.sqrt(2 * (1 + 0.05**2 / 2) / T), rel=0.03)


@pytest.mark.parametrize("smoothed", [False, True])
def test_the_error_is_the_spread_of_the_difference_over_many_samples(smoothed: bool) -> None:
    rng = np.random.default_rng(1)
    differences, errors = [], []
    for _ in range(400):
        before, now = pair(rng, 0.5, 0.95, 1004)
        if smoothed:  # positions held five days: autocorrelated returns
            before, now = (np.convolve(x, np.ones(5) / 5, mode="valid") for x in (before, now))
        measured = sharpe_difference(before, now)
        assert measured is not None
        differences.append(measured[0])
        errors.append(measured[1])
    # A Bartlett window of six lags sees about four fifths of a five-day average's variance.
    low = 0.8 if smoothed else 0.92
    assert low < float(np.mean(errors)) / float(np.std(differences)) < 1.08


def test_leverage_is_no_improvement() -> None:
    before, _ = pair(np.random.default_rng(0), 0.0, 0.9)
    measured = sharpe_difference(before + 1e-4, 3 * (before + 1e-4))
    assert measured is not None
    assert measured[0] == pytest.approx(0, abs=1e-12)
    assert measured[1] == pytest.approx(0, abs=1e-9)


def test_power_positions_that_hardly_change_are_called_flat() -> None:
    assert share_flat(gain=0.0, overlap=0.999) == 1.0
    assert share_flat(gain=0.0, overlap=0.995) > 0.75


def test_a_falling_sharpe_is_flat() -> None:
    assert share_flat(gain=-0.3, overlap=0.99) > 0.99


def test_size_an_improvement_of_the_margin_is_called_flat_one_time_in_ten() -> None:
    assert share_flat(gain=0.1, overlap=0.995, tries=1000) == pytest.approx(0.1, abs=0.03)


def test_an_improvement_of_three_margins_is_almost_never_called_flat() -> None:
    assert share_flat(gain=0.3, overlap=0.99) <= 0.01


def test_size_holds_where_positions_still_change_much() -> None:
    assert share_flat(gain=0.1, overlap=0.8, tries=1000) == pytest.approx(0.1, abs=0.03)
    assert share_flat(gain=0.0, overlap=0.8) < 0.25


def test_no_verdict_while_the_ic_still_rises_or_is_undefined() -> None:
    before, now = pair(np.random.default_rng(0), 0.0, 0.999)
    assert flatness(before, now, 0.0, 252.0, RULE).flat
    assert flatness(before, now, -0.01, 252.0, RULE).flat
    assert not flatness(before, now, 0.003, 252.0, RULE).flat
    assert not flatness(before, now, None, 252.0, RULE).flat


def test_no_verdict_on_few_days_or_constant_returns() -> None:
    before, now = pair(np.random.default_rng(0), -5.0, 0.9999, 59)
    assert not flatness(before, now, 0.0, 252.0, RULE).flat
    assert flatness(before, now, 0.0, 252.0, replace(RULE, minimum_days=59)).flat
    zeros, ones = np.zeros(DAYS), np.full(DAYS, 1e-3)
    assert not flatness(zeros, zeros, 0.0, 252.0, RULE).flat
    assert not flatness(ones, ones, 0.0, 252.0, RULE).flat


def test_identical_returns_are_flat_with_an_error_of_zero() -> None:
    before, _ = pair(np.random.default_rng(0), 0.0, 0.9)
    result = flatness(before, before, 0.0, 252.0, RULE)
    assert result.flat
    assert result.evidence["upper_bound"] == 0.0


def test_the_evidence_holds_the_figures_in_annual_sharpe() -> None:
    before, now = pair(np.random.default_rng(0), 0.2, 0.999)
    evidence = flatness(before, now, 0.001, 252.0, RULE).evidence
    sharpes = [x.mean() / x.std() * math.sqrt(252) for x in (before, now)]
    assert evidence["improvement"] == pytest.approx(sharpes[1] - sharpes[0])
    expected = evidence["improvement"] + 1.2815515655446004 * evidence["standard_error"]
    assert evidence["upper_bound"] == pytest.approx(expected)
    assert (evidence["days"], evidence["margin"], evidence["ic_change"]) == (DAYS, 0.1, 0.001)


def test_unpaired_returns_are_a_defect() -> None:
    with pytest.raises(ValueError, match="paired"):
        flatness(np.zeros(5), np.zeros(6), 0.0, 252.0, RULE)


def test_window_and_age_are_a_tenth_and_a_fifth_of_the_training_and_at_least_five_epochs() -> None:
    rules = [default_rule(epochs) for epochs in (3, 25, 50, 100)]
    assert [(rule.window, rule.patience) for rule in rules] == [
        (5, 5),
        (5, 5),
        (5, 10),
        (10, 20),
    ]
