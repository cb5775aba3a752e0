"""Distances in the unit cube of a space, by hand and by properties."""

import numpy as np
import optuna.distributions as d
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.verdict.neighbours import Parameter, distances, nearest, parameters_of

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
        Parameter("depth", 1.0, 5.0),
        Parameter("model/hidden_dims"),
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
