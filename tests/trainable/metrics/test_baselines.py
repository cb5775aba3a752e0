"""The baselines: right figures, nothing from the future, fitted on training rows only."""

import dataclasses
import math

import empyrical
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from tests.fixtures.panels import panel
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.baselines import (
    BASELINES,
    PENALTIES,
    Baseline,
    baselines,
    fit_ridge,
    mean_past_returns,
)
from trainable.metrics.scores import SCORE_NAMES, score_weights, sharpe_ratio
from trainable.metrics.scoring import scoring
from trainable.metrics.trees import fit_trees


def market(T: int = 400, N: int = 6, *, signal: float = 0.0, **options: object) -> Dataset:
    """Three features; the first carries the signal."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(T, N, 3))
    returns = 0.01 * (signal * features[..., 0] + rng.normal(size=(T, N)))
    return panel(returns, features=features, **options)  # type: ignore[arg-type]


def by_name(dataset: Dataset) -> dict[str, Baseline]:
    return {b.name: b for b in baselines(dataset)}


@pytest.mark.parametrize("name", list(BASELINES))
@pytest.mark.parametrize("symbols", [1, 3, 6])
@pytest.mark.parametrize(("horizon", "lag"), [(1, 0), (5, 1)])
def test_every_baseline_has_every_metric(name: str, symbols: int, horizon: int, lag: int) -> None:
    made = by_name(market(N=symbols, horizon=horizon, lag=lag))[name]
    assert set(made.values) == {*SCORE_NAMES, "val_loss"}
    assert all(v is None or math.isfinite(v) for v in made.values.values())
    if made.net_returns is not None:
        assert made.values["sharpe"] == sharpe_ratio(made.net_returns, 252.0)


def test_zero_has_no_sharpe_and_the_loss_to_beat() -> None:
    dataset = market()
    zero = by_name(dataset)["zero"]
    assert zero.values["sharpe"] is None
    assert zero.net_returns is None
    train, valid = dataset.target[dataset.train_rows], dataset.target[dataset.valid_rows]
    expected = (valid.astype(float) ** 2).mean() / train.astype(float).var()
    assert zero.values["val_loss"] == pytest.approx(expected, rel=1e-5)


def test_equal_weight_is_buy_and_hold_less_one_entry() -> None:
    dataset = market(cost_bps=10.0)
    made = by_name(dataset)["equal_weight"]
    expected = dataset.forward_returns[200:399].mean(axis=1)
    expected[0] -= 10e-4
    assert made.net_returns == pytest.approx(expected)
    assert made.values["sharpe"] == pytest.approx(empyrical.sharpe_ratio(expected))
    assert made.values["sharpe_exposure"] == made.values["sharpe"]
    assert made.values["accuracy"] == 0.5
    assert made.values["ic"] is None


@pytest.mark.parametrize("symbols", [3, 6])
def test_equal_weight_is_entered_and_unwound_as_a_trial_is(symbols: int) -> None:
    """A trial that always predicts the same for each symbol holds the same positions."""
    dataset = market(T=60, N=symbols, horizon=4, lag=1, cost_bps=50.0)
    made = by_name(dataset)["equal_weight"]
    on = scoring(dataset, dataset.valid_rows)
    always = np.where(on.scored, 1.0 / symbols, 0.0)
    same = score_weights(on, always)
    assert made.net_returns == pytest.approx(same.net_returns)
    # Bars 30 … 54 have rows; at the next three a quarter less is held, the last is not charged.
    held = np.r_[np.ones(25), 0.75, 0.5, 0.25]
    earned = dataset.forward_returns[30:58].mean(axis=1) * held
    assert made.net_returns == pytest.approx(earned - 50e-4 * np.abs(np.diff(held, prepend=0.0)))


def test_equal_weight_is_shared_among_those_present() -> None:
    present = np.ones((400, 6), bool)
    present[300:, 2] = False
    made = by_name(market(present=present, cost_bps=100.0))["equal_weight"]
    dataset = market()
    before, after = np.full(6, 1 / 6), np.array([1, 1, 0, 1, 1, 1]) / 5
    assert made.net_returns is not None
    assert made.net_returns[100] == pytest.approx(
        dataset.forward_returns[300] @ after - 0.01 * np.abs(after - before).sum()
    )


def test_equal_weight_holds_what_collapses_while_it_is_halted() -> None:
    present = np.ones((400, 6), bool)
    present[300:305, 2] = False
    dataset = market(present=present, cost_bps=0.0)
    dataset.forward_returns[299, 2] = -0.8  # from bar 299 to 305
    made = by_name(dataset)["equal_weight"]
    others = np.delete(dataset.forward_returns[299:305], 2, axis=1)
    assert made.net_returns is not None
    expected = [others[0].sum() / 6, *others[1:].mean(axis=1)]
    expected[-1] -= 0.8 / 6  # the sixth that was held, on the day it trades again
    assert made.net_returns[99:105] == pytest.approx(expected)


@pytest.mark.parametrize("lag", [0, 1, 3])
def test_momentum_is_the_mean_return_known_at_the_close(lag: int) -> None:
    dataset = market(lag=lag)
    past = mean_past_returns(dataset, 60)
    t = 150  # the last return known ends at t: decided at t − lag − 1
    known = dataset.forward_returns[: t - lag]
    assert past[t] == pytest.approx(known[-60:].mean(axis=0))
    assert past[lag] == pytest.approx(np.zeros(6))
    assert past[lag + 2] == pytest.approx(dataset.forward_returns[:2].mean(axis=0))

    later = dataset.forward_returns.copy()
    later[t - lag :] += 1.0
    changed = mean_past_returns(dataclasses.replace(dataset, forward_returns=later), 60)
    assert np.array_equal(changed[: t + 1], past[: t + 1])
    assert not np.array_equal(changed[t + 1], past[t + 1])


def test_momentum_leaves_missing_bars_out() -> None:
    present = np.ones((400, 6), bool)
    present[100:140, 1] = False
    dataset = market(present=present)
    window = dataset.forward_returns[90:150, 1]
    assert mean_past_returns(dataset, 60)[150, 1] == pytest.approx(np.nanmean(window))


def test_momentum_knows_the_return_over_a_halt_once_it_trades_again() -> None:
    present = np.ones((400, 6), bool)
    present[100:105, 1] = False
    dataset = market(present=present)
    dataset.forward_returns[99, 1] = -0.8
    past = mean_past_returns(dataset, 60)[:, 1]
    known = np.nan_to_num(dataset.forward_returns[44:99, 1])
    assert past[104] == pytest.approx(known[: 104 - 44].mean())
    assert past[105] == pytest.approx((known[1:].sum() - 0.8) / 55)


def test_momentum_finds_lasting_differences() -> None:
    drift = np.linspace(-0.005, 0.005, 6)
    returns = np.random.default_rng(1).normal(drift, 0.01, (600, 6))
    sharpe = by_name(panel(returns))["momentum"].values["sharpe"]
    assert sharpe is not None
    assert sharpe > 3.0


def test_ridge_finds_a_planted_line_and_nothing_in_noise() -> None:
    found = by_name(market(T=3000, signal=0.2))
    values = found["ridge"].values
    assert values["ic"] == pytest.approx(0.2 / math.hypot(0.2, 1.0), abs=0.03)
    loss, zero = values["val_loss"], found["zero"].values["val_loss"]
    assert loss is not None
    assert zero is not None
    assert loss / zero == pytest.approx(1 - 0.04 / 1.04, abs=0.02)
    useless = by_name(market(T=3000))["ridge"].values
    assert useless["ic"] is None or abs(useless["ic"]) < 0.04


@pytest.mark.parametrize("name", ["ridge", "trees"])
def test_what_is_fitted_knows_nothing_of_the_scored_labels(name: str) -> None:
    dataset = market(signal=0.1)
    target = dataset.target.copy()
    target[dataset.valid_rows] *= -3.0
    features = dataset.features.copy()
    features[dataset.time > 390] = 50.0
    original, flipped = by_name(dataset), by_name(dataclasses.replace(dataset, target=target))
    later = by_name(dataclasses.replace(dataset, features=features))
    assert np.array_equal(original[name].net_returns, flipped[name].net_returns)  # type: ignore[arg-type]
    before, after = original[name].net_returns, later[name].net_returns
    assert before is not None
    assert after is not None
    assert np.array_equal(before[:190], after[:190])


def test_trees_find_a_planted_product_that_ridge_cannot() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2000, 6, 3))
    signal = np.sign(features[..., 0] * features[..., 1])
    returns = 0.01 * (0.3 * signal + rng.normal(size=(2000, 6)))
    found = by_name(panel(returns, features=features))
    ic = {name: found[name].values["ic"] for name in ("ridge", "trees")}
    assert ic["trees"] == pytest.approx(0.3 / math.hypot(0.3, 1.0), abs=0.06)
    assert ic["ridge"] is None or abs(ic["ridge"]) < 0.06


def test_the_number_of_trees_is_the_best_on_the_late_rows_of_a_fit_on_the_early_ones() -> None:
    rng = np.random.default_rng(1)
    x, time = rng.normal(size=(1000, 5)), np.arange(1000)
    y = 0.5 * np.sign(x[:, 0]) + rng.normal(size=1000)
    chosen = fit_trees(x, y, time, time + 5).n_iter_
    assert 1 < chosen < 50
    purged = y.copy()
    purged[795:800] += 1e6  # labels that reach into the late rows take no part in the choice
    assert fit_trees(x, purged, time, time + 5).n_iter_ == chosen
    turned = y.copy()
    turned[800:] *= -1  # the late rows decide: where they contradict, a single tree is best
    assert fit_trees(x, turned, time, time + 5).n_iter_ == 1


def test_ridge_takes_a_missing_feature_as_average() -> None:
    dataset = market(signal=0.1)
    features = dataset.features.copy()
    features[dataset.valid_rows[7], 1] = np.nan
    made = by_name(dataclasses.replace(dataset, features=features))["ridge"]
    assert made.values["sharpe"] is not None


def test_ridge_solves_the_penalised_normal_equations() -> None:
    rng = np.random.default_rng(0)
    x, time = rng.normal(1.0, 2.0, (5000, 4)).astype(np.float32), np.arange(5000) // 5
    y = x @ [0.1, -0.05, 0.0, 0.02] + rng.normal(size=5000)
    model = fit_ridge(x, y, time, time + 1)
    wide = x.astype(np.float64)
    centred = wide - wide.mean(axis=0)
    penalised = centred.T @ centred + model.alpha * np.eye(4)
    coefficients = np.linalg.solve(penalised, centred.T @ (y - y.mean()))
    assert model.coef_ == pytest.approx(coefficients, rel=1e-10)
    assert model.intercept_ == pytest.approx(y.mean() - wide.mean(axis=0) @ coefficients, rel=1e-9)


def test_the_penalty_is_the_best_on_the_late_rows_of_a_fit_on_the_early_ones() -> None:
    rng = np.random.default_rng(1)
    x, time = rng.normal(size=(500, 30)), np.arange(500)
    y = 0.1 * x[:, 0] + rng.normal(size=500)
    early, late = slice(0, 400 - 5), slice(400, 500)
    errors = [
        ((Ridge(alpha=s * 395).fit(x[early], y[early]).predict(x[late]) - y[late]) ** 2).mean()
        for s in PENALTIES
    ]
    chosen = fit_ridge(x, y, time, time + 5).alpha / len(x)
    assert chosen == pytest.approx(PENALTIES[int(np.argmin(errors))])
    assert PENALTIES[0] < chosen < PENALTIES[-1]
    # Labels that reach into the late rows take no part in the choice.
    purged = y.copy()
    purged[395:400] += 1e6
    assert fit_ridge(x, purged, time, time + 5).alpha / len(x) == chosen
