"""Rows and columns of the dataset: identical for every trial of a search."""

import numpy as np
import pytest

from tests.fixtures.markets import holes, make_market, without
from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset, evaluation_dataset
from trainable.data.settings import DataSettings

SETTINGS = DataSettings()


def test_rows_do_not_depend_on_a_trials_window() -> None:
    market = holes(make_market(bars=1000))
    small, large = (build_dataset(market, SETTINGS, window) for window in (1, 80))
    np.testing.assert_array_equal(small.features, large.features)
    assert set(large.train_rows) < set(small.train_rows)
    assert large.age[large.train_rows].min() >= 80
    np.testing.assert_array_equal(small.valid_rows, large.valid_rows)
    np.testing.assert_array_equal(large.valid_rows, build_dataset(market, SETTINGS, 80).valid_rows)


def test_scored_rows_are_complete_and_sorted_by_time_then_symbol() -> None:
    market = holes(make_market(bars=1000))
    hidden = np.zeros((1000, 3), bool)
    hidden[720:, 1] = True  # it ends
    market = without(market, hidden)
    dataset = build_dataset(market, DataSettings(horizon=2))
    assert dataset.ended == ("S01",)
    assert dataset.quality["symbols_ended"] == ["S01"]
    time, symbol = dataset.time[dataset.valid_rows], dataset.symbol[dataset.valid_rows]
    expected = [(t, s) for t in range(600, 748) for s in range(3) if market.present[t, s]]
    assert list(zip(time.tolist(), symbol.tolist(), strict=True)) == expected
    # A label may be missing there; such a row still counts for the Sharpe ratio.
    assert np.isnan(dataset.target[dataset.valid_rows]).any()
    assert np.isfinite(dataset.forward_returns[time, symbol]).all()
    assert np.isfinite(dataset.target[dataset.train_rows]).all()
    assert np.isfinite(dataset.features[dataset.train_rows]).all()


def test_no_label_that_runs_over_a_halt_crosses_a_border() -> None:
    """The purge follows the label's own end: a bar before the halt is in no part of the split."""
    hidden = np.zeros((1000, 3), bool)
    hidden[590:610, 0] = True
    dataset = build_dataset(without(make_market(bars=1000), hidden), DataSettings(horizon=2))
    own = dataset.symbol == 0
    train = dataset.time[dataset.train_rows[own[dataset.train_rows]]]
    valid = dataset.time[dataset.valid_rows[own[dataset.valid_rows]]]
    assert (train.max(), valid.min()) == (587, 610)
    others = dataset.time[dataset.train_rows[~own[dataset.train_rows]]]
    assert others.max() == 597


def test_columns_by_group() -> None:
    dataset = build_dataset(make_market(bars=1000, closes_only=True), SETTINGS)
    everything = dataset.columns("all")
    np.testing.assert_array_equal(everything, np.arange(len(dataset.feature_names)))
    some = dataset.columns("calendar + price")
    assert {dataset.feature_groups[j] for j in some} == {"price", "calendar"}
    assert (np.diff(some) > 0).all()
    groups = dataset.groups()
    assert [dataset.feature_names[j] for j in some] == [*groups["price"], *groups["calendar"]]
    with pytest.raises(UserError, match="did you mean 'price'"):
        dataset.columns("prise")
    with pytest.raises(UserError, match="made has no feature of group 'volume'"):
        dataset.columns("price+volume")
    with pytest.raises(UserError, match="all stands alone"):
        dataset.columns("all+price")


def test_gate_and_test_rows_follow_the_rule_of_the_validation_rows() -> None:
    dataset = build_dataset(make_market(bars=1000), SETTINGS, 30)
    np.testing.assert_array_equal(dataset.rows_of("valid"), dataset.valid_rows)
    np.testing.assert_array_equal(dataset.rows_of("train"), dataset.train_rows)
    gate = dataset.rows_of("gate")
    assert len(gate) == 3 * 99
    assert set(dataset.time[gate]) == set(range(750, 849))
    with pytest.raises(ValueError, match="'all' is not a part"):
        dataset.rows_of("all")


def test_an_evaluation_dataset_has_the_same_features_and_nothing_fitted() -> None:
    market = make_market(bars=1000)
    trained = build_dataset(market, SETTINGS, 20)
    fresh = evaluation_dataset(market, SETTINGS, trained.feature_names, 20, first=850)
    assert fresh.feature_names == trained.feature_names
    np.testing.assert_array_equal(fresh.features, trained.features)
    np.testing.assert_array_equal(fresh.valid_rows, trained.rows_of("test"))
    assert len(fresh.train_rows) == 0
    with pytest.raises(UserError, match="no row to score after bar 999 of 1000"):
        evaluation_dataset(market, SETTINGS, trained.feature_names, first=999)
