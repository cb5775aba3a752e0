"""What every sampler promises: the same after a resume, within the space, away from failures."""

import copy
import math
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import numpy as np
import optuna
import pytest

from search.sampler.fixed_values import contains
from search.sampler.observations import Observation
from search.sampler.sampler import Sampler, SpaceFunction
from search.sampler.strategies import SAMPLERS

NAMES = [*SAMPLERS, "optuna:TPESampler"]
SLOW = ("gp",)  # a third of a second for each suggestion
STARTUP = 6


def _marked(name: str) -> Any:
    missing = name == "cmaes" and find_spec("cmaes") is None
    return pytest.param(name, marks=pytest.mark.skipif(missing, reason="needs cmaes"))


every = pytest.mark.parametrize("name", [_marked(name) for name in NAMES])
with_a_model = pytest.mark.parametrize(
    "name", [_marked(name) for name in NAMES if name not in ("random", "qmc")]
)


def mixed(trial: optuna.Trial) -> dict[str, Any]:
    trial.suggest_float("lr", 1e-5, 1e-1, log=True)
    trial.suggest_float("share", 0.0, 0.5, step=0.05)
    trial.suggest_int("warmup", 0, 100, step=10)
    kind = trial.suggest_categorical("kind", ["mlp", "gru", None])
    if kind == "mlp":
        trial.suggest_int("width", 8, 512, log=True)
        trial.suggest_float("dropout", 0.0, 0.9)
    elif kind == "gru":
        trial.suggest_float("dropout", 0.0, 0.5)
    trial.suggest_categorical("always", [True])
    return {"constant": 1}


def plain(trial: optuna.Trial) -> dict[str, Any]:
    for name in "abcd":
        trial.suggest_float(name, 0.0, 1.0)
    return {}


def smooth(params: dict[str, Any]) -> float:
    """Highest, 0, at a corner of the middle half."""
    return -sum((params[name] - 0.7) ** 2 for name in "abcd")


class Life:
    """A sampler that asks, with several trials in flight, and is told of them out of order."""

    def __init__(self, name: str, seed: int, space: SpaceFunction, startup: int = STARTUP) -> None:
        self.name, self.seed, self.space, self.startup = name, seed, space, startup
        self.sampler = self.fresh()
        self.rng = np.random.default_rng(seed)
        self.asked: list[Observation] = []
        self.flight: list[Observation] = []
        self.told: list[Observation] = []

    def fresh(self) -> Sampler:
        return Sampler(self.seed, self.startup, self.name)

    def ask(self) -> Observation:
        found = self.sampler.ask(self.space, len(self.asked), {})
        trial = Observation(len(self.asked), found.params, found.distributions)
        self.sampler.add(trial)
        self.asked.append(trial)
        self.flight.append(trial)
        return trial

    def end(self, score: Callable[[dict[str, Any]], float | None]) -> None:
        """Ends one trial in flight; None is a numeric failure after its first report."""
        trial = self.flight.pop(int(self.rng.integers(len(self.flight))))
        value = score(trial.params)
        trial.reports = {1: 0.0} if value is None else {1: value, 2: value, 3: value}
        if value is None:
            trial.state, trial.reason = "PRUNED", "nan_explosion"
        elif self.rng.random() < 0.3:
            trial.state, trial.reason = "PRUNED", "asha_rung"
        else:
            trial.state, trial.reason, trial.value = "COMPLETE", "completed", value
        self.sampler.tell(trial)
        self.told.append(trial)

    def go(
        self, trials: int, score: Callable[[dict[str, Any]], float | None], slots: int = 4
    ) -> "Life":
        for _ in range(trials):
            self.ask()
            while len(self.flight) >= slots:
                self.end(score)
        return self

    def resumed(self) -> Sampler:
        """Returns a sampler that is loaded with copies of what this one knows."""
        sampler = self.fresh()
        sampler.load(copy.deepcopy(self.told), copy.deepcopy(self.flight))
        return sampler

    @property
    def suggested(self) -> list[dict[str, Any]]:
        return [trial.params for trial in self.asked]


def of_mixed(params: dict[str, Any]) -> float | None:
    if params["lr"] > 3e-2:
        return None
    return -abs(math.log10(params["lr"]) + 3) - params["share"] + 0.1 * (params["kind"] == "gru")


@every
def test_a_seed_is_one_search_and_another_seed_another(name: str) -> None:
    trials = 8 if name in SLOW else 10
    one, two = (Life(name, 5, mixed).go(trials, of_mixed) for _ in range(2))
    assert one.suggested == two.suggested
    other = Life(name, 6, mixed).go(trials, of_mixed)
    assert all(a != b for a, b in zip(one.suggested, other.suggested, strict=True))


@every
@pytest.mark.parametrize("space", [mixed, plain])
def test_a_resumed_search_suggests_what_an_unbroken_one_would(
    name: str, space: SpaceFunction
) -> None:
    life = Life(name, 1, space)
    score = of_mixed if space is mixed else smooth
    for _ in range(2 if name in SLOW else 5):
        life.go(5, score)
        resumed, index = life.resumed(), len(life.asked)
        again = resumed.ask(space, index, {})
        assert again.params == life.ask().params
        # And so do both after another trial has ended.
        resumed.add(Observation(index, again.params, again.distributions))
        life.end(score)
        resumed.tell(copy.deepcopy(life.told[-1]))
        assert resumed.ask(space, index + 1, {}).params == life.ask().params


@with_a_model
def test_what_is_told_is_learnt(name: str) -> None:
    trials = STARTUP + (3 if name in SLOW else 10)
    good, bad = (
        Life(name, 3, plain).go(trials, lambda p, sign=sign: sign * smooth(p), slots=1).suggested
        for sign in (1.0, -1.0)
    )
    assert good[:STARTUP] == bad[:STARTUP]
    assert good[-1] != bad[-1]


@every
def test_trials_asked_at_once_differ(name: str) -> None:
    life = Life(name, 2, plain).go(STARTUP + 2, smooth, slots=1)
    batch = [life.ask().params for _ in range(6)]
    places = np.array([[params[name] for name in "abcd"] for params in batch])
    apart = np.linalg.norm(places[:, None] - places, axis=-1)[np.triu_indices(6, 1)]
    assert apart.min() > 0.01


@pytest.mark.parametrize("name", ["tpe", "gp", "optuna:TPESampler"])
def test_later_suggestions_keep_away_from_trials_in_flight(name: str) -> None:
    life = Life(name, 2, plain).go(STARTUP + 2, smooth, slots=1)
    index = len(life.asked)
    alone = life.sampler.ask(plain, index, {})
    beside = life.resumed()
    for number in range(index, index + 3):
        beside.add(Observation(number, alone.params, alone.distributions))
    assert beside.ask(plain, index, {}).params != alone.params


@every
def test_suggestions_are_of_the_space_and_of_every_branch(name: str) -> None:
    life = Life(name, 4, mixed).go(16 if name in SLOW else 40, of_mixed)
    for trial in life.asked:
        assert all(contains(trial.distributions[key], trial.params[key]) for key in trial.params)
        own = {"mlp": {"width", "dropout"}, "gru": {"dropout"}, None: set()}
        assert trial.params.keys() == {
            "lr", "share", "warmup", "kind", "always", *own[trial.params["kind"]]
        }  # fmt: skip
        limit = 0.5 if trial.params["kind"] == "gru" else 0.9
        assert trial.params.get("dropout", 0.0) <= limit
    assert {trial.params["kind"] for trial in life.asked} == {"mlp", "gru", None}


def other_choices(trial: optuna.Trial) -> dict[str, Any]:
    """Branches that offer other choices and ranges under the same names."""
    large = trial.suggest_categorical("large", [False, True])
    trial.suggest_categorical("kind", ["x", "y", "z"] if large else ["x", "y"])
    trial.suggest_int("layers", 1, 9 if large else 4)
    trial.suggest_float("a", 0.0, 1.0)
    return {}


@every
def test_branches_may_have_other_choices_under_one_name(name: str) -> None:
    life = Life(name, 0, other_choices).go(STARTUP + 8, lambda p: p["a"])
    assert {trial.params["large"] for trial in life.asked} == {False, True}
    for trial in life.asked:
        assert trial.params["kind"] in (("x", "y", "z") if trial.params["large"] else ("x", "y"))
    assert life.resumed().ask(other_choices, len(life.asked), {}).params == life.ask().params


@every
def test_fixed_values_hold_and_the_rest_is_suggested(name: str) -> None:
    life = Life(name, 0, mixed)
    for trials in (0, STARTUP + 4):
        life.go(trials, of_mixed)
        fixed = {"lr": 1e-3, "kind": "mlp", "width": 32}
        found = life.sampler.ask(mixed, len(life.asked), fixed)
        assert {key: found.params[key] for key in fixed} == fixed
        assert found.params.keys() == {*fixed, "share", "warmup", "dropout", "always"}
    wholly = {"lr": 1e-3, "kind": None, "share": 0.1, "warmup": 10}
    found = life.sampler.ask(mixed, len(life.asked), wholly)
    assert found.params == {**wholly, "always": True}


@every
def test_what_fails_becomes_rare(name: str) -> None:
    """A third of the range of one parameter explodes; the best lies at its edge."""
    trials = 36 if name in SLOW else 60
    life = Life(name, 0, plain, startup=10)
    life.go(trials, lambda p: None if p["a"] > 0.67 else p["a"])
    failing = np.array([params["a"] > 0.67 for params in life.suggested])
    assert failing[:12].sum() >= 3
    assert failing[-20:].sum() <= 2


@with_a_model
def test_a_model_beats_chance(name: str) -> None:
    trials, seeds = (22, 3) if name in SLOW else (60, 4)

    def best(sampler: str) -> list[float]:
        lives = [Life(sampler, seed, plain, startup=8).go(trials, smooth) for seed in range(seeds)]
        return [max(map(smooth, life.suggested)) for life in lives]

    assert np.mean(best(name)) > 0.5 * np.mean(best("random"))  # half of the distance, squared
