"""The centre of a space: in the middle of every range, and always a value that it can yield."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, cast

import optuna
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.sampler.centre import middle, middles
from search.sampler.fixed_values import contains
from search.sampler.sampler import Suggestion, centre
from search.space.fixed_values import fixed
from search.space.loading import load_space, names
from search.space.names import configured
from trainable.cli.errors import UserError
from trainable.config import TrialConfig
from trainable.validation import validate

finite = st.floats(allow_nan=False, allow_infinity=False)
positive = st.floats(min_value=1e-300, max_value=1e300)
whole = st.integers(-(2**62), 2**62)
scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text("ab-"), finite)


@st.composite
def ranges(draw: st.DrawFn) -> BaseDistribution:
    kind = draw(st.sampled_from(["float", "log", "step", "int", "int log", "choice"]))
    if kind == "choice":
        return CategoricalDistribution(draw(st.lists(scalars, min_size=1, max_size=5)))
    if kind in ("float", "log"):
        low, high = sorted(draw(st.tuples(*[positive if kind == "log" else finite] * 2)))
        return FloatDistribution(low, high, log=kind == "log")
    if kind == "step":
        low = Decimal(draw(st.integers(-(10**6), 10**6)))
        step = Decimal(draw(st.integers(1, 10**4)))
        high = low + step * draw(st.integers(0, 1000))
        return FloatDistribution(float(low / 1000), float(high / 1000), step=float(step / 1000))
    if kind == "int log":
        low, high = sorted(draw(st.tuples(*[st.integers(1, 2**62)] * 2)))
        return IntDistribution(low, high, log=True)
    low, step = draw(whole), draw(st.integers(1, 10**6))
    return IntDistribution(low, low + step * draw(st.integers(0, 10**6)), step=step)


@given(ranges())
def test_the_middle_is_a_value_of_its_distribution(distribution: BaseDistribution) -> None:
    found = middle(distribution)
    assert contains(distribution, found) or found is distribution.__dict__["choices"][0]
    if not isinstance(distribution, CategoricalDistribution):
        assert type(found) is (int if isinstance(distribution, IntDistribution) else float)


@given(st.floats(1e-8, 1e8), st.floats(1e-8, 1e8), st.booleans())
def test_as_much_of_a_range_lies_above_the_middle_as_below(a: float, b: float, log: bool) -> None:
    low, high = sorted((a, b))
    assume(high > low)
    found = middle(FloatDistribution(low, high, log=log))
    if log:
        assert found / low == pytest.approx(high / found)
    else:
        assert found - low == pytest.approx(high - found)


@pytest.mark.parametrize(
    ("distribution", "expected"),
    [
        (FloatDistribution(0.1, 0.3), 0.2),
        (FloatDistribution(1e-4, 1e-2, log=True), 1e-3),
        (FloatDistribution(0.0, 1.0, step=0.25), 0.5),
        (FloatDistribution(0.0, 0.3, step=0.1), 0.1),  # the lower of two as near
        (FloatDistribution(-1e308, 1e308), 0.0),
        (FloatDistribution(2.5, 2.5), 2.5),
        (IntDistribution(1, 3), 2),
        (IntDistribution(1, 4), 2),
        (IntDistribution(2000, 5000, step=1000), 3000),
        (IntDistribution(4, 64, log=True), 16),
        (IntDistribution(1, 2, log=True), 1),
        (IntDistribution(-3, 2), -1),
        (CategoricalDistribution(["b", "a"]), "b"),
        (CategoricalDistribution([None, 1]), None),
    ],
)
def test_middles_by_hand(distribution: BaseDistribution, expected: Any) -> None:
    found = middle(distribution)
    assert found == (pytest.approx(expected) if isinstance(expected, float) else expected)


def config_of_centre(name: str, fix: dict[str, str] | None = None) -> TrialConfig:
    found = centre_of(name, fix or {})
    config = configured(found.params, found.constants, fix or {})
    validate(config)
    return config


def centre_of(name: str, fix: Mapping[str, str] = MappingProxyType({})) -> Suggestion:
    return centre(cast(Any, fixed(load_space(name).function, fix)))


@pytest.mark.parametrize("name", names())
def test_every_space_can_be_trained_at_its_centre(name: str) -> None:
    found = centre_of(name)
    assert found.params.keys() == found.distributions.keys()
    for parameter, distribution in found.distributions.items():
        assert contains(distribution, found.params[parameter])
    config_of_centre(name)


def test_the_centre_of_a_space_is_what_it_aims_at() -> None:
    assert centre_of("medium").params["model/hidden_dims"] == "128-64-32"
    assert centre_of("ensemble").params["model/hidden_dims"] == "32-16"
    common = centre_of("common").params
    assert (common["model/name"], common["train/batch_size"]) == ("mlp", 2048)
    plateau = centre_of("graph_experiments").params
    # Of the network whose report asked for others.
    assert (plateau["schedule/plateau_patience"], plateau["schedule/factor"]) == (5, 0.5)


def test_what_is_held_fixed_stays_and_all_else_is_in_the_middle() -> None:
    config = config_of_centre("conservative", {"model/dropout": "0.26"})
    assert config.model.dropout == 0.26
    assert config.optimizer.lr == pytest.approx(10**-4.5)


def test_a_space_branches_on_its_centre() -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        deep = trial.suggest_int("depth", 1, 5) > 2
        if deep and trial.suggest_categorical("wide", [True, False]):
            return {"width": trial.suggest_int("width", 10, 20)}
        return {"width": trial.suggest_int("narrow", 1, 2)}

    assert centre(space).params == {"depth": 3, "wide": True, "width": 15}


def test_the_centre_does_not_depend_on_what_a_study_holds() -> None:
    study = optuna.create_study(sampler=middles())
    found = set()
    for value in (3.0, 1.0, 2.0):
        trial = study.ask()
        found.add(trial.suggest_float("x", 0.0, 1.0))
        study.tell(trial, value)
    assert found == {0.5}


def test_a_space_may_refuse_its_centre() -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        raise UserError(f"not at {trial.suggest_float('x', 0, 1)}")

    with pytest.raises(UserError, match=r"not at 0\.5"):
        centre(space)
