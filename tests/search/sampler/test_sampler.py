"""What TPE learns: to avoid explosions, from a bounded selection, the same after a resume."""

import math
from collections import Counter

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from search.sampler.fixed_values import check_used, contains, describe
from search.sampler.observations import Observation
from search.sampler.sampler import Sampler
from search.sampler.seeds import derive_seed
from search.study.study import SearchStudy
from trainable.cli.errors import UserError

RUNGS = (1, 4, 16)
BORDER = 1e-2  # half of the log range 1e-6 … 1e2 lies above and explodes
OPTIMUM = 1e-3  # a decade from the border
LOOKS = 0.9  # rung-1 value of what explodes later: above the median, about 0.6


def learnt(sampler: Sampler) -> list[int]:
    """Returns the told trials that TPE learns from."""
    return sorted(observation.number for observation in sampler.selected)


def space(trial: optuna.Trial) -> dict:
    trial.suggest_float("optimizer/lr", 1e-6, 1e2, log=True)
    for i in range(5):
        trial.suggest_float(f"x{i}", 0.0, 1.0)
    return {}


def sharpe(params: dict) -> float:
    distance = math.log10(params["optimizer/lr"] / OPTIMUM)
    return 1.5 * math.exp(-((distance / 1.5) ** 2)) + 0.2 * sum(
        params[f"x{i}"] - 0.5 for i in range(5)
    ) / math.sqrt(5)


def explosions(seed: int, batch: int, slots: int, late: bool) -> np.ndarray:
    """Searches 128 trials, ASHA with factor 4 pruning them, and returns which explode."""
    rng = np.random.default_rng(seed + 1000)
    sampler = Sampler(seed)
    rungs: dict[int, list[float]] = {epoch: [] for epoch in RUNGS}
    exploding: list[bool] = []
    flight: list[tuple[Observation, int]] = []

    def end(observation: Observation, state: str, reason: str, value: float | None = None) -> None:
        observation.state, observation.reason, observation.value = state, reason, value
        sampler.tell(observation)

    while len(exploding) < 128 or flight:
        if len(exploding) < 128 and slots - len(flight) >= batch:
            for _ in range(batch):
                suggestion = sampler.ask(space, len(exploding), {})
                observation = Observation(
                    len(exploding), suggestion.params, suggestion.distributions
                )
                sampler.add(observation)
                flight.append((observation, 0))
                exploding.append(observation.params["optimizer/lr"] > BORDER)
        arrived: list[tuple[Observation, int]] = []
        for observation, stage in flight:
            explodes = exploding[observation.number]
            if explodes and (stage > 0 or not late):
                end(observation, "PRUNED", "nan_explosion")
                continue
            value = (LOOKS if explodes else sharpe(observation.params)) + rng.normal(0.0, 0.3)
            observation.reports[RUNGS[stage]] = value
            rungs[RUNGS[stage]].append(value)
            arrived.append((observation, stage))
        flight = []
        for observation, stage in arrived:
            value = observation.reports[RUNGS[stage]]
            if stage == len(RUNGS) - 1:
                end(observation, "COMPLETE", "completed", value)
            elif value < np.quantile(rungs[RUNGS[stage]], 0.75):
                end(observation, "PRUNED", "asha_rung")
            else:
                flight.append((observation, stage + 1))
    return np.array(exploding)


@pytest.mark.parametrize("late", [False, True], ids=["at once", "after the first rung"])
@pytest.mark.parametrize(("batch", "slots"), [(8, 16), (16, 16)])
def test_exploding_trials_become_rare(batch: int, slots: int, late: bool) -> None:
    runs = [explosions(seed, batch, slots, late) for seed in range(5)]
    assert np.mean([run[:16] for run in runs]) > 0.35  # random: about half of the range
    assert np.mean([run[-32:] for run in runs]) < 0.05


def test_a_loaded_sampler_suggests_what_a_live_one_does() -> None:
    rng = np.random.default_rng(0)
    live = Sampler(7)
    ended: list[Observation] = []
    flight: list[Observation] = []
    for index in range(60):
        suggestion = live.ask(space, index, {})
        observation = Observation(index, suggestion.params, suggestion.distributions)
        live.add(observation)
        flight.append(observation)
        if len(flight) == 8:
            for observation in [flight.pop(int(rng.integers(len(flight)))) for _ in range(5)]:
                observation.reports = {1: float(rng.normal()), 4: float(rng.normal())}
                kind = int(rng.integers(4))
                observation.state = ("COMPLETE", "PRUNED", "PRUNED", "FAIL")[kind]
                observation.reason = ("completed", "asha_rung", "nan_explosion", "error")[kind]
                observation.value = observation.reports[4] if kind == 0 else None
                live.tell(observation)
                ended.append(observation)
    resumed = Sampler(7)
    resumed.load(ended, flight)
    assert learnt(resumed) == learnt(live)
    assert resumed.ask(space, 60, {}).params == live.ask(space, 60, {}).params
    # It is the told trials that make the suggestion, not the seed alone.
    assert Sampler(7).ask(space, 60, {}).params != live.ask(space, 60, {}).params


def test_loading_after_a_new_selection_equals_living_through_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("search.sampler.observations.TOLD_LIMIT", 24)
    monkeypatch.setattr("search.sampler.observations.TOLD_STEP", 8)
    live = Sampler(1)
    ended: list[Observation] = []
    for index in range(45):
        suggestion = live.ask(space, index, {})
        observation = Observation(index, suggestion.params, suggestion.distributions)
        live.add(observation)
        observation.state, observation.reason, observation.value = (
            "COMPLETE",
            "completed",
            sharpe(observation.params),
        )
        live.tell(observation)
        ended.append(observation)
    resumed = Sampler(1)
    resumed.load(ended, [])
    assert len(learnt(live)) == 24 + (45 - 24) % 8
    assert learnt(resumed) == learnt(live)
    assert resumed.ask(space, 45, {}).params == live.ask(space, 45, {}).params


def test_a_raising_space_leaves_nothing_in_flight() -> None:
    sampler = Sampler(0)

    def broken(trial: optuna.Trial) -> dict:
        trial.suggest_float("optimizer/lr", 1e-6, 1e2, log=True)
        raise ZeroDivisionError

    before = sampler.ask(space, 5, {}).params
    with pytest.raises(ZeroDivisionError):
        sampler.ask(broken, 5, {})
    assert sampler.ask(space, 5, {}).params == before
    with pytest.raises(UserError, match="must return a dict"):
        sampler.ask(lambda trial: None, 5, {})  # pyright: ignore[reportArgumentType]


def test_fixed_values_hold_and_the_rest_is_sampled() -> None:
    suggestion = Sampler(0).ask(space, 0, {"optimizer/lr": 0.5, "x0": 1})
    assert suggestion.params["optimizer/lr"] == 0.5
    assert suggestion.params["x0"] == 1
    assert len(suggestion.params) == 6
    with pytest.raises(UserError, match=r"optimizer/lr=1000.0 is outside.*1e-06 to 100.0"):
        Sampler(0).ask(space, 0, {"optimizer/lr": 1000.0})
    with pytest.raises(UserError, match=r"unknown parameter 'optimizer/lrr'.*'optimizer/lr'"):
        Sampler(0).ask(space, 0, {"optimizer/lrr": 0.5})


def test_fixed_values_after_startup() -> None:
    sampler = Sampler(0, startup=2)
    for index in range(4):
        suggestion = sampler.ask(space, index, {})
        observation = Observation(index, suggestion.params, suggestion.distributions)
        sampler.add(observation)
        observation.state, observation.reason, observation.value = (
            "COMPLETE",
            "completed",
            float(index),
        )
        sampler.tell(observation)
    assert sampler.ask(space, 4, {"x3": 0.25}).params["x3"] == 0.25


def test_a_constant_may_be_fixed_at_its_own_value() -> None:
    check_used({"model/name": "mlp"}, {}, {"model/name": "mlp"})
    with pytest.raises(UserError, match="the space holds it at 'mlp'"):
        check_used({"model/name": "graph"}, {"model/name": "graph"}, {"model/name": "mlp"})


@pytest.mark.parametrize(
    ("distribution", "inside", "outside", "words"),
    [
        (FloatDistribution(1e-5, 1e-1, log=True), [1e-5, 0.1, 0.05], [0, 0.2, math.nan], "1e-05"),
        (FloatDistribution(0.0, 1.0, step=0.1), [0, 0.3, 0.7, 1.0], [0.35, "a"], "steps of 0.1"),
        (IntDistribution(2, 8, step=2), [2, 4, 8], [3, 10, True, None], "2 to 8 in steps of 2"),
        (CategoricalDistribution(["a", None, 1]), ["a", None, 1], ["b", 1.0, True], "'a', None, 1"),
    ],
)
def test_contains(distribution: object, inside: list, outside: list, words: str) -> None:
    assert isinstance(distribution, optuna.distributions.BaseDistribution)
    assert all(contains(distribution, value) for value in inside)
    assert not any(contains(distribution, value) for value in outside)
    assert words in describe(distribution)


def test_seeds_are_mixed_and_stable() -> None:
    assert derive_seed(0, 1, 0) == derive_seed(0, 1, 0)
    seeds = {derive_seed(a, b, c) for a in range(5) for b in range(2) for c in range(50)}
    assert len(seeds) == 500
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_more_than_a_thousand_trials_may_end_in_batches() -> None:
    """The selection is made again while others of the batch are still to be told."""
    study = SearchStudy.create(None, "many", seed=0)
    for _ in range(66):
        batch = [
            study.ask(lambda t: {"a": t.suggest_float("optimizer/lr", 1e-5, 1e-1, log=True)})
            for _ in range(16)
        ]
        for asked in batch:
            if asked.number % 8:
                study.finish(asked.number, "COMPLETE", "completed", value=float(asked.number % 7))
            else:
                study.finish(asked.number, "PRUNED", "nan_explosion")
    assert Counter((row.state, row.reason) for row in study.rows()) == {
        ("COMPLETE", "completed"): 66 * 14,
        ("PRUNED", "nan_explosion"): 66 * 2,
    }
