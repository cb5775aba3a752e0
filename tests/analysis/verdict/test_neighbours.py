"""Distances in the unit cube of a space, by hand and by properties."""

from itertools import combinations

import numpy as np
import optuna.distributions as d
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.verdict.neighbours import (
    Parameter,
    distances,
    median_distance,
    nearest,
    parameters_of,
)

SPACE = {
    "model/dropout": d.FloatDistribution(0.0, 0.5),
    "optimizer/lr": d.FloatDistribution(1e-4, 1e-2, log=True),
    "depth": d.IntDistribution(1, 5),
    "model/hidden_dims": d.CategoricalDistribution(("16", "32-16")),
}
RECORD = {"space": {"parameters": {name: str(each) for name, each in SPACE.items()}}}


def trial(dropout: float, lr: float, depth: float | None, dims: str) -> dict[str, object]:
    return {
        "model/dropout": dropout, "optimizer/lr": lr, "depth": depth, "model/hidden_dims": dims,
    }  # fmt: skip


def test_parameters_are_read_as_the_search_writes_them() -> None:
    assert parameters_of(RECORD) == [
        Parameter("model/dropout", 0.0, 0.5),
        Parameter("optimizer/lr", 1e-4, 1e-2, log=True),
        Parameter("depth", 1.0, 5.0, step=1.0),
        Parameter("model/hidden_dims", choices=2),
    ]
    for nothing in ({}, {"space": None}, {"space": {"parameters": ["x"]}}):
        assert parameters_of(nothing) == []
    strange = {"a": "open('x')", "b": "1 +", "c": "F(low=g(), high=1)", "d": "F(low='0', high=1)"}
    assert parameters_of({"space": {"parameters": strange}}) == []


def test_distances_are_root_mean_squares_of_sides() -> None:
    rows = [
        trial(0.0, 1e-4, 1, "16"),
        trial(0.5, 1e-2, 5, "32-16"),
        trial(0.25, 1e-3, 1, "16"),
        trial(0.0, 1e-4, None, "16"),
        trial(0.0, 1e-4, float("nan"), "16"),
    ]
    found = distances(parameters_of(RECORD), rows)
    assert found is not None
    assert found[0, 1] == pytest.approx(1.0), "opposite corners"
    assert found[0, 2] == pytest.approx(np.sqrt((0.5**2 + 0.5**2) / 4)), "lr in its logarithm"
    assert found[0, 3] == pytest.approx(np.sqrt(1 / 4)), "without a parameter that another has"
    assert found[3, 4] == 0.0, "both without it"
    assert distances(parameters_of(RECORD), [{"lr": 1.0}]) is None
    assert distances([], rows) is None
    outside = distances(parameters_of(RECORD), [trial(0.9, -1.0, 9, "x"), rows[1]])
    assert outside is not None
    assert outside[0, 1] == pytest.approx(np.sqrt((0 + 1 + 0 + 1) / 4)), "tried by hand"


@pytest.mark.parametrize(
    ("needless", "value"),
    [
        (d.FloatDistribution(0.3, 0.3), 0.3),
        (d.FloatDistribution(0.3, 0.3, log=True), 0.3),
        (d.CategoricalDistribution(("adamw",)), "adamw"),
        (d.FloatDistribution(0.0, 1.0), None),  # that neither has
        (d.CategoricalDistribution(("a", "b")), float("nan")),
    ],
)
def test_what_says_nothing_of_two_trials_brings_them_no_nearer(
    needless: d.BaseDistribution, value: object
) -> None:
    rows = [trial(0.0, 1e-4, 1, "16"), trial(0.5, 1e-4, 2, "32-16"), trial(0.1, 1e-3, 5, "16")]
    record = {"space": {"parameters": RECORD["space"]["parameters"] | {"more": str(needless)}}}
    found = distances(parameters_of(record), [{**row, "more": value} for row in rows])
    assert found == pytest.approx(distances(parameters_of(RECORD), rows))
    some = distances(parameters_of(record), [{**rows[0], "more": 0.3}, {**rows[0], "more": None}])
    assert some is not None
    assert some[0, 1] == pytest.approx(np.sqrt(1 / 5)), "one has it, the other not"


def test_trials_that_nothing_is_said_of_are_the_same() -> None:
    alone = [Parameter("more", 0.0, 1.0)]
    found = distances(alone, [{"more": None}, {"more": None}, {"more": 0.5}])
    assert found == pytest.approx(np.array([[0.0, 0, 1], [0, 0, 1], [1, 1, 0]]))


def test_the_median_is_of_any_two() -> None:
    places = np.array([0.0, 0.1, 0.2, 0.3, 0.8, 0.9, 1.0])
    apart = np.abs(places[:, None] - places)
    pairs = [b - a for a, b in combinations(places, 2)]
    assert median_distance(apart) == pytest.approx(np.median(pairs))
    assert np.isnan(median_distance(apart[:6, :6]))
    assert np.isnan(median_distance(np.zeros((0, 0))))


@given(st.lists(st.tuples(st.floats(0, 0.5), st.floats(1e-4, 1e-2)), min_size=2, max_size=6))
def test_distances_are_a_metric_within_the_cube(values: list[tuple[float, float]]) -> None:
    rows = [trial(dropout, lr, 2, "16") for dropout, lr in values]
    found = distances(parameters_of(RECORD), rows)
    assert found is not None
    assert (np.diag(found) == 0).all()
    np.testing.assert_array_equal(found, found.T)
    assert (found <= 1 + 1e-12).all()
    assert (found[:, :, None] <= found[:, None, :] + found.T[None, :, :] + 1e-9).all()


def test_the_nearest_three_speak_for_a_configuration() -> None:
    places = np.array([0.0, 0.1, 0.2, 0.3, 0.8, 0.9, 1.0])
    apart = np.abs(places[:, None] - places)
    values = np.array([1.0, 2.0, 3.0, 4.0, 10.0, 20.0, 30.0])
    mean, distance = nearest(apart, values)
    assert mean == pytest.approx([3.0, 8 / 3, 7 / 3, 2.0, 18.0, 44 / 3, 34 / 3])
    assert distance[0] == pytest.approx(0.2)
    assert distance[6] == pytest.approx((0.1 + 0.2 + 0.7) / 3)
    few, _ = nearest(apart[:6, :6], values[:6])
    assert np.isnan(few).all(), "five others are too few"
