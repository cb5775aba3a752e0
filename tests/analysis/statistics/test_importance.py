"""PED-ANOVA is Optuna's, and finds what was planted."""

import numpy as np
import optuna
import pytest
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import create_trial

from analysis.statistics.importance import Axis, importance

SPACE: dict[str, BaseDistribution] = {
    "lr": FloatDistribution(1e-5, 1e-1, log=True),
    "dropout": FloatDistribution(0.0, 0.5),
    "warmup": IntDistribution(0, 100, step=20),
    "width": IntDistribution(4, 256, log=True),
    "loss": CategoricalDistribution(("mse", "huber", "corr")),
}


def draw(random: np.random.Generator) -> dict[str, object]:
    return {
        "lr": float(10 ** random.uniform(-5, -1)),
        "dropout": float(random.uniform(0, 0.5)),
        "warmup": int(20 * random.integers(0, 6)),
        "width": int(np.exp(random.uniform(np.log(4), np.log(256)))),
        "loss": str(random.choice(["mse", "huber", "corr"])),
    }


def axis_of(distribution: BaseDistribution, values: list[object]) -> Axis:
    match distribution:
        case CategoricalDistribution(choices=choices):
            return Axis(values, choices=len(choices))
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return Axis(values, low, high, log, step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return Axis(values, low, high, log, step)
    raise AssertionError(distribution)


@pytest.mark.parametrize(("trials", "conditional"), [(12, False), (300, False), (300, True)])
def test_importance_is_optunas(trials: int, conditional: bool) -> None:
    random = np.random.default_rng(trials)
    study = optuna.create_study(direction="maximize")
    drawn, scores = [], []
    for i in range(trials):
        params = draw(random)
        if conditional and i % 3 == 0:
            del params["dropout"]
        score = -abs(np.log10(float(str(params["lr"]))) + 3) + 0.3 * random.normal()
        score += 0.5 * (params["loss"] == "corr")
        drawn.append(params)
        scores.append(score)
        known = {name: SPACE[name] for name in params}
        study.add_trial(create_trial(params=params, distributions=known, value=score))
    theirs = get_param_importances(study, evaluator=PedAnovaImportanceEvaluator(), normalize=True)
    ours = importance(
        np.array(scores),
        {name: axis_of(d, [p.get(name) for p in drawn]) for name, d in SPACE.items()},
    )
    assert ours is not None
    assert ours == pytest.approx(theirs, rel=1e-6)
    assert sum(ours.values()) == pytest.approx(1)
    assert list(ours.values()) == sorted(ours.values(), reverse=True)
    if trials == 300:
        assert next(iter(ours)) == "lr"


@pytest.mark.parametrize("scores", [[], [1.0], [1.0, 1.0, 1.0]])
def test_nothing_is_said_where_the_best_are_not_told_apart(scores: list[float]) -> None:
    axis = Axis([0.1 * i for i in range(len(scores))], 0.0, 1.0)
    assert importance(np.array(scores), {"lr": axis}) is None


def test_a_parameter_without_a_second_value_matters_nothing() -> None:
    random = np.random.default_rng(0)
    lr = random.uniform(0, 1, 40)
    found = importance(
        lr, {"lr": Axis(lr.tolist(), 0.0, 1.0), "one": Axis(["a"] * 40, choices=1),
             "still": Axis([2.0] * 40, 2.0, 2.0), "rare": Axis([None] * 39 + [0.5], 0.0, 1.0)}
    )  # fmt: skip
    assert found == {"lr": 1.0, "one": 0.0, "still": 0.0, "rare": 0.0}
