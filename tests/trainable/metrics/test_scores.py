"""Metrics on hand-made cases, against independent libraries, and the failures they must catch."""

import dataclasses
import math

import empyrical
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from tests.fixtures.panels import noise, on_rows, panel, scored
from trainable.cli.errors import UserError
from trainable.metrics.scores import (
    SCORE_NAMES,
    Scores,
    balanced_accuracy,
    max_drawdown,
    score,
    sharpe_ratio,
    sharpe_se,
)
from trainable.metrics.scoring import scoring


def same(a: Scores, b: Scores, rel: float = 1e-9) -> None:
    for name in SCORE_NAMES:
        if a.values[name] is None:
            assert b.values[name] is None, name
        else:
            assert b.values[name] == pytest.approx(a.values[name], rel=rel), name


# --- returns ----------------------------------------------------------------------------------


@given(st.integers(2, 400), st.integers(0, 1000), st.sampled_from([12.0, 252.0, 98280.0]))
@settings(max_examples=50, deadline=None, derandomize=True, database=None)
def test_sharpe_and_drawdown_are_those_of_empyrical(T: int, seed: int, years: float) -> None:
    returns = np.random.default_rng(seed).normal(0.0003, 0.012, T)
    expected = empyrical.sharpe_ratio(returns, annualization=years)
    assert sharpe_ratio(returns, years) == pytest.approx(expected, rel=1e-9)
    assert max_drawdown(returns) == pytest.approx(empyrical.max_drawdown(returns), rel=1e-9)


def test_sharpe_is_undefined_without_spread() -> None:
    assert sharpe_ratio(np.full(100, 0.01), 252.0) is None
    assert sharpe_ratio(np.zeros(100), 252.0) is None
    assert sharpe_ratio(np.array([0.01]), 252.0) is None
    assert sharpe_ratio(np.array([0.01, np.nan, 0.02]), 252.0) is None
    assert sharpe_se(np.full(100, 0.01), 252.0) is None


def test_sharpe_standard_error_is_that_of_lo_2002() -> None:
    # Lo (2002), table 1: a Sharpe ratio of 0.50 over 60 periods has a standard error of 0.137.
    rng = np.random.default_rng(0)
    raw = rng.normal(size=60)
    returns = 0.5 + (raw - raw.mean()) / raw.std(ddof=1)
    assert sharpe_ratio(returns, 1.0) == pytest.approx(0.5)
    assert sharpe_se(returns, 1.0) == pytest.approx(0.137, abs=5e-4)
    annual = sharpe_se(returns, 12.0)
    assert annual == pytest.approx(math.sqrt(12.0 * (1 + 0.125) / 60))


def test_standard_error_covers_the_true_sharpe() -> None:
    returns = np.random.default_rng(1).normal(0.05, 1.0, (2000, 250))
    ratios = [(sharpe_ratio(r, 252.0), sharpe_se(r, 252.0)) for r in returns]
    truth = 0.05 * math.sqrt(252.0)
    inside = [abs(s - truth) < 1.96 * e for s, e in ratios if s is not None and e is not None]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)


def test_ruin_is_a_drawdown_of_everything() -> None:
    assert max_drawdown(np.array([0.1, -1.5, 0.2])) == -1.0
    assert max_drawdown(np.array([0.1, 0.2])) == 0.0


# --- undefined --------------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [1, 3, 23])
@pytest.mark.parametrize("value", [0.1, -1e-4, 0.0, 12345.678])
def test_a_constant_prediction_has_no_sharpe_and_no_correlation(symbols: int, value: float) -> None:
    """In float32 a constant minus its mean over 23 symbols is not 0 (measured): no portfolio."""
    dataset = panel(noise(80, symbols) + 0.001)
    got = scored(dataset, np.full((80, symbols), value, np.float32))
    for name in ("sharpe", "sharpe_se", "sharpe_clean", "ic", "rank_ic", "turnover"):
        assert got.values[name] is None
    assert got.net_returns is None
    assert got.values["prediction_std"] == pytest.approx(0.0, abs=1e-9)
    hold_all = sharpe_ratio(np.sign(value) * dataset.forward_returns[40:79].mean(axis=1), 252.0)
    if hold_all is None:
        assert got.values["sharpe_exposure"] is None
    else:  # long or short everything; the first entry costs a basis point
        assert got.values["sharpe_exposure"] == pytest.approx(hold_all, rel=0.02)


def test_a_constant_with_rounding_noise_is_a_constant() -> None:
    grid = np.full((80, 23), 0.1, np.float32)
    grid += np.random.default_rng(0).choice([-7e-9, 0, 7e-9], (80, 23)).astype(np.float32)
    got = scored(panel(noise(80, 23)), grid)
    assert got.values["sharpe"] is None
    assert got.values["ic"] is None


def test_a_prediction_that_is_not_finite_has_no_metric_at_all() -> None:
    grid = noise(60, 6)
    grid[50, 3] = np.nan
    got = scored(panel(noise(60, 6)), grid)
    assert set(got.values) == set(SCORE_NAMES)
    assert all(value is None for value in got.values.values())
    assert got.net_returns is None


def test_what_cannot_be_scored_is_said() -> None:
    dataset = panel(noise(60, 6))
    with pytest.raises(UserError, match="no rows to score"):
        scoring(dataset, np.empty(0, np.int64))
    dataset.forward_returns[40, 2] = np.nan
    with pytest.raises(UserError, match=r"made: no return for a decision at 2020-02-10.* on S2"):
        scoring(dataset, dataset.valid_rows)
    on = scoring(panel(noise(60, 6)), dataset.valid_rows)
    with pytest.raises(ValueError, match=r"expected \[K, "):
        score(on, np.zeros((2, 3)), np.zeros((2, 5)))
    with pytest.raises(ValueError, match=r"expected \[2, n\]"):
        score(on, np.zeros((2, len(on.label))), np.zeros((1, 5)))


# --- correlation and accuracy -----------------------------------------------------------------


def test_one_symbol_is_correlated_over_time_with_ties_at_average_rank() -> None:
    target = np.round(noise(200, 1), 2)
    grid = np.round(noise(200, 1, seed=1) + 0.5 * target, 2)
    dataset = panel(noise(200, 1), target=target)
    got = scored(dataset, grid)
    rows = dataset.valid_rows
    x, y = grid[dataset.time[rows], 0], dataset.target[rows].astype(np.float64)
    assert got.values["ic"] == pytest.approx(stats.pearsonr(x, y)[0])
    assert got.values["rank_ic"] == pytest.approx(stats.spearmanr(x, y)[0])


def test_balanced_accuracy_counts_ups_and_downs_alike() -> None:
    labels = np.array([1.0, 1.0, 1.0, 1.0, -1.0, 0.0, np.nan])
    assert balanced_accuracy(np.array([1, 1, 1, -1, -1, -1, 1.0]), labels) == pytest.approx(0.875)
    assert balanced_accuracy(np.zeros(7), labels) == 0.5
    assert balanced_accuracy(np.ones(7), np.abs(labels)) is None


def test_system_a2_predicting_up_always_is_chance() -> None:
    """Sigmoid applied twice: every prediction "up"; the base rate of 80 % is not accuracy."""
    target = np.abs(noise(400, 1))
    target[::5] *= -1.0
    logits = noise(400, 1, seed=1) * 300.0
    once = 1.0 / (1.0 + np.exp(-logits))
    twice = 1.0 / (1.0 + np.exp(-once))  # all above 0.5
    got = scored(panel(target, target=target), twice)
    assert got.values["accuracy"] == 0.5


def test_system_c2_correlation_of_a_constant_is_undefined_whatever_the_row_order() -> None:
    dataset = panel(noise(60, 9))
    shuffled = np.random.default_rng(0).permutation(dataset.valid_rows)
    for rows in (dataset.valid_rows, shuffled):
        constant = np.full((1, len(rows)), 0.3, np.float32)
        got = score(scoring(dataset, rows), constant, np.full((1, 50), 0.3, np.float32))[0]
        assert got.values["ic"] is None
        assert got.values["rank_ic"] is None


def test_system_c2_no_metric_depends_on_the_row_order() -> None:
    dataset = panel(noise(60, 9), horizon=3)
    grid = np.round(noise(60, 9, seed=1), 2)  # many ties
    training = on_rows(dataset, grid, dataset.train_rows)
    shuffled = np.random.default_rng(0).permutation(dataset.valid_rows)
    scores = [
        score(scoring(dataset, rows), on_rows(dataset, grid, rows), training)[0]
        for rows in (dataset.valid_rows, shuffled)
    ]
    same(scores[0], scores[1])


@pytest.mark.parametrize("symbols", [1, 4, 5, 20])
def test_system_c4_one_definition_of_sharpe(symbols: int) -> None:
    """Annualised, of the net returns that are handed out, and positive for a good predictor."""
    returns = noise(500, symbols)
    dataset = panel(returns, cost_bps=2.0)
    good = scored(dataset, returns)
    assert good.net_returns is not None
    assert good.values["sharpe"] == pytest.approx(
        empyrical.sharpe_ratio(good.net_returns, annualization=252), rel=1e-9
    )
    ratio = sharpe_ratio(good.net_returns, 252.0)
    assert ratio is not None
    assert ratio > 5.0
    assert good.values["sharpe"] == ratio
    inverted = scored(dataset, -returns).values["sharpe"]
    assert inverted is not None
    assert inverted < -5.0
    minutes = scored(dataclasses.replace(dataset, periods_per_year=98280.0), returns)
    assert minutes.values["sharpe"] == pytest.approx(ratio * math.sqrt(98280 / 252))


# --- properties -------------------------------------------------------------------------------


@pytest.mark.parametrize("symbols", [2, 7])
@pytest.mark.parametrize("factor", [1e-6, 1e-3, 1e6])
def test_the_unit_of_predictions_changes_nothing(symbols: int, factor: float) -> None:
    dataset = panel(noise(100, symbols), horizon=2)
    grid = noise(100, symbols, seed=1)
    a, b = scored(dataset, grid), scored(dataset, grid * factor)
    a.values["prediction_std"] = b.values["prediction_std"] = None
    same(a, b, rel=1e-6)


def test_members_do_not_touch_each_other() -> None:
    dataset = panel(noise(90, 6))
    grids = [noise(90, 6, seed=s) for s in range(4)]
    grids[2][:] = 0.5
    on = scoring(dataset, dataset.valid_rows)
    together = score(
        on,
        np.concatenate([on_rows(dataset, g, dataset.valid_rows) for g in grids]),
        np.concatenate([on_rows(dataset, g, dataset.train_rows) for g in grids]),
    )
    for grid, got in zip(grids, together, strict=True):
        same(scored(dataset, grid), got)


def test_useless_predictions_have_sharpe_zero_within_its_error() -> None:
    dataset = panel(noise(2500, 10), cost_bps=0.0)
    found = [scored(dataset, noise(2500, 10, seed=s)).values for s in range(1, 61)]
    z = [v["sharpe"] / v["sharpe_se"] for v in found if v["sharpe"] and v["sharpe_se"]]
    assert len(z) == 60
    assert abs(np.mean(z)) < 0.4
    assert np.std(z) == pytest.approx(1.0, abs=0.25)
