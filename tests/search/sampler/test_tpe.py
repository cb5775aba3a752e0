"""Our TPE is Optuna's, computed faster: given the same trials and seed, both suggest the same."""

import math
import warnings
from collections.abc import Iterable

import numpy as np
import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import TPESampler
from optuna.trial import TrialState, create_trial

from search.sampler.observations import Observation, state_for_tpe
from search.sampler.parzen import Dimension, ParzenEstimator
from search.sampler.sampler import Sampler, SpaceFunction
from search.sampler.seeds import derive_seed
from trainable.stop_reasons import NUMERIC_FAILURES

SEED = 5


def flat(trial: optuna.Trial) -> dict:
    trial.suggest_float("a", 1e-5, 1e-1, log=True)
    trial.suggest_categorical("b", ["x", "y", None])
    trial.suggest_float("c", -1.0, 1.0)
    trial.suggest_categorical("single", [True])
    return {}


def steps(trial: optuna.Trial) -> dict:
    trial.suggest_int("a", 1, 5)
    trial.suggest_int("b", 8, 512, log=True)
    trial.suggest_float("c", 0.0, 0.5, step=0.05)
    trial.suggest_int("d", 0, 100, step=10)
    return {}


def conditional(trial: optuna.Trial) -> dict:
    trial.suggest_float("a", 1e-6, 1e2, log=True)
    if trial.suggest_categorical("b", ["mlp", "transformer"]) == "mlp":
        trial.suggest_int("c", 1, 40)
        trial.suggest_float("d", 0.0, 1.0)
    return {}


def lived(space: SpaceFunction, n: int) -> tuple[Sampler, list[Observation], list[Observation]]:
    """Returns a sampler after `n` trials at random, those told and those in flight."""
    rng = np.random.default_rng(n)
    sampler = Sampler(SEED, startup=10)
    told: list[Observation] = []
    flight: list[Observation] = []
    for index in range(n):
        trial = optuna.create_study(sampler=optuna.samplers.RandomSampler(index)).ask()
        space(trial)
        observation = Observation(index, dict(trial.params), dict(trial.distributions))
        sampler.add(observation)
        flight.append(observation)
        if len(flight) < 9:
            continue
        observation = flight.pop(int(rng.integers(9)))
        observation.reports = {
            epoch: float(rng.normal()) for epoch in (1, 4, 10)[: rng.integers(4)]
        }
        kind = int(rng.integers(4))
        observation.state = ("COMPLETE", "PRUNED", "PRUNED", "FAIL")[kind]
        observation.reason = ("completed", "asha_rung", "nan_explosion", "error")[kind]
        observation.value = float(np.round(rng.normal(), 1)) if kind == 0 else None  # ties, too
        sampler.tell(observation)
        told.append(observation)
    return sampler, told, flight


def of_optuna(
    space: SpaceFunction, told: Iterable[Observation], flight: list[Observation], seed: int
) -> dict:
    """Returns what Optuna's own sampler suggests."""
    tpe = TPESampler(
        n_startup_trials=10,
        n_ei_candidates=24,
        seed=seed,
        multivariate=True,
        group=False,
        constant_liar=True,
    )
    study = optuna.create_study(sampler=tpe, direction="maximize")
    for observation in sorted([*told, *flight], key=lambda trial: trial.number):
        state = TrialState.RUNNING if observation in flight else state_for_tpe(observation)
        if state is None:
            continue
        study.add_trial(
            create_trial(
                state=state,
                value=observation.value if state is TrialState.COMPLETE else None,
                params=observation.params,
                distributions=observation.distributions,
                intermediate_values=dict(observation.reports),
                constraints={"numeric": 1.0} if observation.reason in NUMERIC_FAILURES else {},
            )
        )
    trial = study.ask()
    space(trial)
    return trial.params


@pytest.mark.parametrize("space", [flat, steps, conditional])
@pytest.mark.parametrize("n", [5, 30, 60, 150, 400])
def test_suggestions_are_those_of_optuna(
    space: SpaceFunction, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("search.sampler.sampler.MAX_RISK", 1.0)  # nothing is asked again
    sampler, told, flight = lived(space, n)
    for index in range(n, n + 5):
        suggested = sampler.ask(space, index, {}).params
        expected = of_optuna(space, told, flight, derive_seed(SEED, 0, index, 0))
        assert suggested == {
            name: pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            for name, value in expected.items()
        }


def test_a_mixture_is_a_density() -> None:
    rng = np.random.default_rng(0)
    spaces = [FloatDistribution(1e-3, 1.0, log=True), CategoricalDistribution("abc")]
    dimensions = [Dimension(space) for space in spaces]
    columns = [10.0 ** rng.uniform(-3, 0, 200), rng.integers(3, size=200).astype(float)]
    density = ParzenEstimator(dimensions, columns)
    grid = 10.0 ** (-3 + 3 * (np.arange(2000) + 0.5) / 2000)
    total = sum(
        np.exp(density.log_density(np.stack([grid, np.full(2000, float(choice))], axis=1))).mean()
        for choice in range(3)
    )
    assert total == pytest.approx(1.0, abs=1e-4)
    drawn = density.sample(np.random.RandomState(0), 5000)
    assert np.mean(np.log10(drawn[:, 0])) == pytest.approx(np.mean(np.log10(columns[0])), abs=0.1)
    assert drawn[:, 0].min() >= 1e-3
    assert drawn[:, 0].max() <= 1.0


def test_the_cells_of_a_grid_share_all_of_the_mass() -> None:
    dimension = Dimension(IntDistribution(1, 6))
    density = ParzenEstimator([dimension], [np.array([1.0, 1.0, 2.0, 6.0])])
    chances = np.exp(density.log_density(np.arange(1.0, 7.0)[:, None]))
    assert math.fsum(chances) == pytest.approx(1.0)
    assert chances.argmax() == 0


def test_values_from_another_range_stand_at_the_end() -> None:
    """A space whose range depends on another parameter meets values outside of today's range."""
    sampler = Sampler(0, startup=2)
    for number, high in enumerate((90, 80, 3, 2)):
        space = IntDistribution(1, high)
        observation = Observation(number, {"n": high}, {"n": space})
        sampler.add(observation)
        observation.state, observation.reason, observation.value = (
            "COMPLETE",
            "completed",
            float(high),
        )
        sampler.tell(observation)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for index in range(20):
            n = sampler.ask(lambda t: {"k": t.suggest_int("n", 1, 4)}, index, {}).params["n"]
            assert 1 <= n <= 4
