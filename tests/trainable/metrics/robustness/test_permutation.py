"""What permuting a feature costs: of models whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from tests.fixtures.panels import noise, panel
from tests.fixtures.planted import market
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.robustness.permutation import Predict, permute_features
from trainable.metrics.scores import sharpe_and_ic
from trainable.metrics.scoring import scoring

NAMES = ("f0", "f1", "f2", "f3")


def linear(*weights: float, back: int = 0) -> Predict:
    """A model that adds features, of so many rows before the one predicted."""

    def predict(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
        return dataset.features[rows - back] @ np.array(weights, np.float32)

    return predict


def ic_of(dataset: Dataset, predict: Predict) -> float:
    p = predict(dataset, dataset.valid_rows)[None]
    found = sharpe_and_ic(scoring(dataset, dataset.valid_rows), p, p)[0][1]
    assert found is not None
    return found


def test_a_leak_that_a_model_rests_on_costs_all_and_the_others_nothing() -> None:
    dataset = market(0, leak=0.3)
    predict = linear(0.0, 1.0, 0.0, 0.0)
    found = permute_features(dataset, NAMES, predict)
    assert found is not None
    assert found.ic == ic_of(dataset, predict) > 0.25
    left = dict(found.without)
    assert abs(left.pop("f1") or 0.0) < 0.02
    assert left == dict.fromkeys(("f0", "f2", "f3"), found.ic)


def test_of_two_features_each_costs_what_it_adds() -> None:
    """Of a sum of independent parts of the label, what is left is the other part's share."""
    dataset = market(1, ic=0.1, leak=0.3)
    found = permute_features(dataset, NAMES, linear(1.0, 1.0, 0.0, 0.0))
    assert found is not None
    alone = [ic_of(dataset, linear(*weights)) for weights in np.eye(4)[:2]]
    # Permuted, a feature is noise of the same spread: the other's covariance over √2.
    assert found.without["f1"] == pytest.approx(alone[0] / np.sqrt(2), abs=0.02)
    assert found.without["f0"] == pytest.approx(alone[1] / np.sqrt(2), abs=0.02)


def test_values_change_places_within_a_bar_and_the_dataset_stays_as_it_is() -> None:
    dataset = market(0)
    before = dataset.features.copy()
    seen: list[np.ndarray] = []

    def predict(data: Dataset, rows: np.ndarray) -> np.ndarray:
        seen.append(data.features.copy())
        return data.features[rows, 0]

    assert permute_features(dataset, ["f2"], predict) is not None
    np.testing.assert_array_equal(dataset.features, before)
    np.testing.assert_array_equal(seen[0], before)
    rows, permuted = dataset.valid_rows, seen[1]
    moved = np.flatnonzero(permuted[:, 2] != before[:, 2])
    assert len(moved) > 0.9 * len(rows)
    assert set(moved) <= set(rows)
    np.testing.assert_array_equal(permuted[:, [0, 1, 3]], before[:, [0, 1, 3]])
    for bar in np.unique(dataset.time[rows])[:50]:
        here = rows[dataset.time[rows] == bar]
        np.testing.assert_array_equal(np.sort(permuted[here, 2]), np.sort(before[here, 2]))
    assert not np.array_equal(seen[1], seen[2]), "each time in another way"


def test_all_rows_of_a_window_are_permuted() -> None:
    """A model that looks at the row nine before: its leak is ten days old when it begins."""
    dataset = market(2)
    features = dataset.features.copy()
    features[:, 1] = np.roll(dataset.target, -9)  # what a row knows is the label of nine later
    dataset = replace(dataset, features=features)
    predict = linear(0.0, 1.0, 0.0, 0.0, back=9)
    found = permute_features(dataset, ["f1"], predict, window=10, most_rows=200)
    assert found is not None
    assert found.ic > 0.99
    assert abs(found.without["f1"] or 0.0) < 0.2, "of ten days, nine look at what was before"


def test_the_first_bars_are_enough() -> None:
    """2,010 rows of 20 symbols: the last bar that would be cut is left out."""
    dataset = market(0, leak=0.3)
    asked: list[np.ndarray] = []

    def predict(data: Dataset, rows: np.ndarray) -> np.ndarray:
        asked.append(rows)
        return data.features[rows, 1]

    found = permute_features(dataset, ["f1"], predict, most_rows=2_010)
    assert found is not None
    assert 0.25 < found.ic < 0.35
    assert all(np.array_equal(rows, dataset.valid_rows[:2_000]) for rows in asked)
    assert permute_features(dataset, ["f1"], predict, most_rows=19) is None, "not one whole bar"


def test_of_a_single_symbol_values_change_places_among_days() -> None:
    returns = noise(400, 1)
    known = returns[..., None] + 0.01 * np.random.default_rng(1).standard_normal((400, 1, 1))
    dataset = panel(returns, features=known, valid=(100, 400))
    found = permute_features(dataset, ["f0"], lambda data, rows: data.features[rows, 0])
    assert found is not None
    assert found.ic > 0.6
    assert abs(found.without["f0"] or 0.0) < 0.15


def test_of_a_model_that_says_the_same_of_all_nothing_is_known() -> None:
    dataset = market(0)
    assert permute_features(dataset, NAMES, linear(0.0, 0.0, 0.0, 0.0)) is None
