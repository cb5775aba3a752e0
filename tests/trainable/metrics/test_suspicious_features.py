"""Features that are too good to be true, or whose relation with the label changes."""

from collections import Counter
from dataclasses import replace
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, t

from tests.fixtures.panels import panel
from tests.fixtures.planted import DAYS, VALID, market
from trainable.data.dataset.dataset import Dataset
from trainable.metrics import suspicious_features as module
from trainable.metrics.suspicious_features import (
    BELIEVED,
    block_error,
    change_point,
    suspicion_lines,
    suspicious_features,
    with_suspicious_features,
)


def whys(dataset: Dataset) -> dict[str, str]:
    return {one["feature"]: one["why"] for one in suspicious_features(dataset)}


def test_a_leak_of_a_correlation_of_15_percent_is_named() -> None:
    for seed in range(5):
        (found,) = suspicious_features(market(seed, ic=0.03, leak=0.15))
        assert (found["feature"], found["why"], found["since"]) == ("f1", "too_good", None)
        assert found["train"]["ic"] == pytest.approx(0.15, abs=0.03)
        # √(19 · 252): of 20 symbols less their mean 19 are independent.
        assert found["train"]["implied_sharpe"] == pytest.approx(0.14 * sqrt(19 * 252), rel=0.2)
        assert "feature 'f1' is too good to be true: " in found["warning"]


def test_a_leak_that_begins_with_validation_is_named_with_its_date() -> None:
    for seed in range(5):
        dataset = market(seed, leak=0.15, leak_from=VALID)
        (found,) = suspicious_features(dataset)
        assert (found["feature"], found["why"]) == ("f1", "too_good_from")
        apart = np.datetime64(found["since"]) - dataset.timestamps[VALID]
        assert abs(apart / np.timedelta64(1, "D")) < 60
        assert f"true from about {found['since']} on" in found["warning"]


def test_a_leak_that_ends_with_training_is_named() -> None:
    dataset = market(0, leak=0.15)
    late = dataset.time >= VALID
    dataset.features[late, 1] = np.random.default_rng(1).normal(size=late.sum())
    (found,) = suspicious_features(dataset)
    assert (found["feature"], found["why"]) == ("f1", "too_good_until")


def test_a_relation_that_turns_is_named_with_its_date() -> None:
    for seed in range(5):
        dataset = market(seed, ic=0.05, later_ic=-0.05)
        (found,) = suspicious_features(dataset)
        assert (found["feature"], found["why"]) == ("f0", "turned")
        assert found["train"]["ic"] > 0 > found["valid"]["ic"]
        apart = np.datetime64(found["since"]) - dataset.timestamps[VALID]
        assert abs(apart / np.timedelta64(1, "D")) < 200
        assert "its relation with the label turned at about 20" in found["warning"]
        assert "in training and −0.0" in found["warning"]


def test_a_relation_that_is_lost_is_named() -> None:
    assert [whys(market(seed, ic=0.06, later_ic=0.0)) for seed in range(3)] == [
        {"f0": "changed"}
    ] * 3


HONEST: dict[str, dict[str, Any]] = {
    "noise": {},
    "noise of five days": {"horizon": 5},
    "noise of twenty days": {"horizon": 20, "symbols": 6},
    "noise of one symbol": {"symbols": 1},
    "noise of three symbols and five days": {"symbols": 3, "horizon": 5},
    "an IC of 0.03": {"ic": 0.03},
    "an IC of 0.05": {"ic": 0.05},
    "an IC of 0.05 of one symbol": {"ic": 0.05, "symbols": 1},
}


@pytest.mark.parametrize("kind", HONEST)
def test_honest_features_raise_no_alarm(kind: str) -> None:
    """Of 8 × 5 markets and 160 features, none: with 95 % confidence below 1.9 % of features."""
    assert [whys(market(seed, **HONEST[kind])) for seed in range(100, 105)] == [{}] * 5


def by_hand(dataset: Dataset, feature: int, rows: np.ndarray, method: str) -> pd.Series:
    """The correlation of each bar, one bar after another."""
    frame = pd.DataFrame({
        "bar": dataset.time[rows],
        "x": dataset.features[rows, feature].astype(float),
        "y": dataset.target[rows].astype(float),
    })  # fmt: skip
    if method == "spearman":
        frame[["x", "y"]] = frame.groupby("bar")[["x", "y"]].rank()
    each = [np.corrcoef(group["x"], group["y"])[0, 1] for _, group in frame.groupby("bar")]
    return pd.Series(each)


def test_figures_are_those_of_single_bars() -> None:
    for kind, method, skewed in (("IC", "pearson", False), ("rank IC", "spearman", True)):
        dataset = market(3, leak=0.2, cost_bps=0.0)
        if skewed:
            features = dataset.features.copy()
            features[:, 1] = np.exp(4 * features[:, 1])  # only its ranks still tell
            dataset = replace(dataset, features=features)
        (found,) = suspicious_features(dataset)
        assert found["kind"] == kind
        for part, rows in (("train", dataset.train_rows), ("valid", dataset.valid_rows)):
            daily = by_hand(dataset, 1, rows, method)
            assert found[part]["ic"] == pytest.approx(daily.mean(), abs=2e-6)
            implied = abs(daily.mean()) / daily.std() * sqrt(252)
            assert found[part]["implied_sharpe"] == pytest.approx(implied, rel=1e-5)
            iid = daily.std() / sqrt(len(daily))
            assert found[part]["error"] == pytest.approx(iid, rel=0.25)
            assert found[part]["error"] >= iid - 1e-6


def test_costs_are_those_of_a_portfolio_of_the_feature() -> None:
    """What trading x ÷ (deviation · N) costs is set against IC × the labels' deviation."""
    free, dear = (market(4, leak=0.3, cost_bps=cost) for cost in (0.0, 20.0))
    (before,), (after,) = suspicious_features(free), suspicious_features(dear)
    rows = free.train_rows
    days = free.time[rows].max() + 1
    x = free.features[rows, 1].reshape(days, 20).astype(float)
    y = free.target[rows].reshape(days, 20).astype(float)
    weights = (x - x.mean(1, keepdims=True)) / x.std(1, keepdims=True) / 20
    costs = 20e-4 * np.abs(np.diff(weights, axis=0)).sum(axis=1).mean()
    earned = by_hand(free, 1, rows, "pearson").mean() * y.std(axis=1).mean()
    ratio = after["train"]["implied_sharpe"] / before["train"]["implied_sharpe"]
    assert ratio == pytest.approx(1 - costs / earned, rel=1e-3)
    assert ratio < 0.8


def test_of_few_symbols_the_correlation_is_over_time() -> None:
    dataset = market(5, symbols=1, leak=0.0, cost_bps=0.0)
    features = dataset.features.copy()
    label = dataset.target.astype(float)
    features[:, 2] = 0.5 * label / label.std() + np.random.default_rng(0).normal(size=DAYS)
    dataset = replace(dataset, features=features)
    (found,) = suspicious_features(dataset)
    assert (found["feature"], found["why"]) == ("f2", "too_good")
    for part, rows in (("train", dataset.train_rows), ("valid", dataset.valid_rows)):
        x, y = features[rows, 2], label[rows]
        pearson, spearman = np.corrcoef(x, y)[0, 1], pd.Series(x).corr(pd.Series(y), "spearman")
        wanted = {"IC": pearson, "rank IC": spearman}[found["kind"]]
        assert found[part]["ic"] == pytest.approx(wanted, abs=2e-6)


@pytest.mark.parametrize("horizon", [1, 5])
def test_a_year_has_as_many_bets_as_labels_that_do_not_overlap(horizon: int) -> None:
    """√(breadth × 252 ÷ horizon): a longer label is fewer bets of the same IC."""
    dataset = market(9, leak=0.5, horizon=horizon, cost_bps=0.0)
    (found,) = suspicious_features(dataset)
    daily = by_hand(
        dataset, 1, dataset.train_rows, "pearson" if found["kind"] == "IC" else "spearman"
    )
    wanted = daily.mean() / daily.std() * sqrt(252 / horizon)
    assert found["train"]["implied_sharpe"] == pytest.approx(wanted, rel=1e-5)


def test_symbols_that_move_together_are_fewer_bets() -> None:
    """Twenty copies of five symbols imply no more than the five do."""
    few = market(6, symbols=5, leak=0.35, cost_bps=0.0)
    bars = few.forward_returns.shape[0]
    order = np.lexsort((few.symbol, few.time))
    grids = [
        np.tile(values[order].reshape(bars, 5, -1), (1, 4, 1))
        for values in (few.target, few.features)
    ]
    many = panel(
        np.tile(few.forward_returns, (1, 4)),
        target=grids[0][..., 0],
        features=grids[1],
        valid=(VALID, DAYS),
        cost_bps=0.0,
    )
    implied = [suspicious_features(one)[0]["valid"]["implied_sharpe"] for one in (few, many)]
    assert implied[1] == pytest.approx(implied[0], rel=1e-4)
    assert implied[1] > BELIEVED


def test_a_constant_feature_and_a_part_without_labels_are_passed_over() -> None:
    dataset = market(7, leak=0.15)
    features = dataset.features.copy()
    features[:, 0] = 1.0
    assert whys(replace(dataset, features=features)) == {"f1": "too_good"}
    target = dataset.target.copy()
    target[dataset.valid_rows] = np.nan
    assert suspicious_features(replace(dataset, target=target)) == []


def test_a_generated_market_has_a_signal_and_no_leak() -> None:
    dataset = replace(market(8, leak=0.15), quality={"rows": 1})
    assert with_suspicious_features(dataset, generated=True)["suspicious_features"] == []
    quality = with_suspicious_features(dataset, generated=False)
    assert quality["rows"] == 1
    assert suspicion_lines(quality) == [quality["suspicious_features"][0]["warning"]]


def test_five_have_a_line_each_and_the_others_one() -> None:
    records = [{"feature": f"f{n}", "warning": f"line {n}"} for n in range(12)]
    lines = suspicion_lines({"suspicious_features": records})
    assert lines[:5] == [f"line {n}" for n in range(5)]
    assert lines[5:] == ["and 7 more such features: f5, f6, f7, f8, f9 and 2 others"]
    assert suspicion_lines({"suspicious_features": records[:5]}) == lines[:5]
    assert suspicion_lines({}) == []


@pytest.mark.parametrize("horizon", [1, 5, 20])
def test_block_errors_hold_for_overlapping_labels(horizon: int) -> None:
    """|t| is beyond Student's 1 % point about once in a hundred times, whatever the overlap."""
    rng = np.random.default_rng(horizon)
    weights, beyond = np.ones(horizon), 0
    for _ in range(400):
        values = np.convolve(rng.standard_normal(1000 + horizon - 1), weights, "valid")
        measured = block_error(values, 4 * horizon)
        assert measured is not None
        error, freedom = measured
        beyond += abs(values.mean()) > t.ppf(0.995, freedom) * error
    assert binomtest(beyond, 400, 0.02, alternative="greater").pvalue > 0.01


def test_block_errors_are_no_smaller_than_those_of_independent_values() -> None:
    values = np.tile([1.0, -1.0], 500)
    assert block_error(values, 4) == (pytest.approx(values.std(ddof=1) / sqrt(1000)), 249)
    assert block_error(values[:31], 4) is None, "seven blocks"
    assert block_error(np.ones(100), 4) is None


def test_the_change_point_is_that_of_least_squares() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        values = rng.normal(size=120)
        values[int(rng.integers(20, 100)) :] += rng.normal()
        left = {
            at: values[:at].var() * at + values[at:].var() * (120 - at) for at in range(10, 111)
        }
        assert change_point(values) == min(left, key=lambda at: left[at])
    assert change_point(np.ones(19)) is None


def test_kinds_of_suspicion_are_counted_over_twenty_markets() -> None:
    """A leak, a late leak and a turned relation are told apart in at least 19 of 20 markets."""
    planted: tuple[dict[str, Any], ...] = (
        {"leak": 0.15, "symbols": 16},
        {"leak": 0.15, "leak_from": VALID, "symbols": 16},
        {"ic": 0.06, "later_ic": -0.06, "symbols": 16},
    )
    wanted = (("f1", "too_good"), ("f1", "too_good_from"), ("f0", "turned"))
    for options, one in zip(planted, wanted, strict=True):
        found = Counter(
            pair for seed in range(200, 220) for pair in whys(market(seed, **options)).items()
        )
        assert found[one] >= 19
        assert found.total() <= 20


def test_a_feature_that_varies_on_few_days_implies_what_it_earns_on_all() -> None:
    """It knows as much as `daily` on a tenth of the days: √10 times less a year."""
    daily = market(4, leak=0.5, cost_bps=0.0)
    rare = market(4, leak=0.5, cost_bps=0.0)
    rare.features[rare.time % 10 > 0, 1] = 0.0
    implied = [
        next(one for one in suspicious_features(each) if one["feature"] == "f1")["train"]
        for each in (daily, rare)
    ]
    assert implied[1]["ic"] == pytest.approx(implied[0]["ic"], abs=0.03)
    ratio = implied[0]["implied_sharpe"] / implied[1]["implied_sharpe"]
    assert ratio == pytest.approx(sqrt(10), rel=0.15)
    honest = market(5, leak=0.1, cost_bps=0.0)
    honest.features[honest.time % 10 > 0, 1] = 0.0
    assert whys(honest) == {}, "a Sharpe ratio of 2"


def test_a_rank_of_the_label_is_far_too_good_and_its_figure_is_one() -> None:
    dataset = market(6)
    label = pd.Series(dataset.target.astype(float))
    dataset.features[:, 1] = label.groupby(dataset.time).rank()
    (found,) = suspicious_features(dataset)
    assert "implies a Sharpe ratio above 100 from it alone" in found["warning"]


def test_what_costs_eat_on_either_side_is_no_change() -> None:
    """An IC that gets weaker, of which no cost leaves anything."""
    assert whys(market(7, ic=0.06, later_ic=0.0, cost_bps=1.0)) == {"f0": "changed"}
    assert whys(market(7, ic=0.06, later_ic=0.0, cost_bps=1e4)) == {}


def test_a_relation_that_gets_stronger_is_not_called_lost() -> None:
    (found,) = suspicious_features(market(8, ic=0.02, later_ic=0.09, cost_bps=0.0))
    assert found["why"] in ("changed", "too_good_from")
    if found["why"] == "changed":
        assert "it is stronger there" in found["warning"]
    (lost,) = suspicious_features(market(8, ic=0.06, later_ic=0.0))
    assert "does not hold in validation" in lost["warning"]


def test_of_many_rows_those_on_either_side_of_the_border_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A leak that begins with validation is dated there, however many rows there are."""
    monkeypatch.setattr(module, "CELLS", 6000)
    dataset = market(0, leak=0.15, leak_from=VALID)
    (found,) = suspicious_features(dataset)
    apart = np.datetime64(found["since"]) - dataset.timestamps[VALID]
    assert abs(apart / np.timedelta64(1, "D")) < 60


def test_what_is_said_of_a_leak_that_ends_is_a_sentence() -> None:
    dataset = market(0, leak=0.15)
    late = dataset.time >= VALID
    dataset.features[late, 1] = np.random.default_rng(1).normal(size=late.sum())
    (found,) = suspicious_features(dataset)
    assert f"too good to be true until about {found['since']}:" in found["warning"]
