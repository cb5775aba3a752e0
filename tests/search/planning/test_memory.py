"""A model that this machine cannot hold is refused before any memory is taken."""

from typing import Any

import optuna
import pytest

from search.planning.memory import machine_memory, needed
from search.planning.plan import Plan, make_plan
from search.settings.reading import settings_from
from search.space.validation import load_space
from tests.fixtures.markets import make_market
from tests.fixtures.trainings import narrow
from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.models import InputShape, build_model


def plan_of(dims: str, *words: str, window: int = 1, optimizer: str = "adamw") -> Plan:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_float("optimizer/lr", 1e-4, 1e-2, log=True)
        return {
            "model/hidden_dims": dims,
            "optimizer/name": optimizer,
            "data/window": window,
            "schedule/name": "constant",
        }

    settings = settings_from(["name=x", "trials=4", "epochs=4", *words])
    return make_plan(settings, load_space(space), make_market)


@pytest.mark.parametrize(
    ("dims", "shown"),
    [
        ("1000000-1000000", "mlp 1000000-1000000 has 1,000,0"),
        ("64-10000000000000-32", "mlp 64-10000000000000-32 has "),
        ("9" * 30, f"mlp {'9' * 30} has "),
    ],
)
def test_a_model_larger_than_this_machine(dims: str, shown: str) -> None:
    with pytest.raises(UserError) as refused:
        plan_of(dims)
    said = str(refused.value)
    assert said.startswith(shown)
    assert " GB of memory, and this machine has " in said
    assert "; fix.model/hidden_dims=64-32-16 works, or address=" in said
    plan_of(dims, "fix.model/hidden_dims=64-32-16")


def test_one_large_choice_among_small_ones_is_found() -> None:
    def space(trial: optuna.Trial) -> dict[str, Any]:
        trial.suggest_categorical("model/hidden_dims", ["8", "1000000-1000000"])
        return {"schedule/name": "constant"}

    settings = settings_from(["name=x", "trials=4", "epochs=4"])
    with pytest.raises(UserError, match="mlp 1000000-1000000 has 1,000,"):
        make_plan(settings, load_space(space), make_market)


def test_of_a_cluster_nothing_is_known_here() -> None:
    assert plan_of("1000000-1000000", "address=auto").epochs == 4


@pytest.mark.parametrize(("optimizer", "copies"), [("adamw", 4), ("lion", 3), ("sgd", 3)])
def test_memory_is_that_of_weights_gradients_and_the_optimizers_state(
    optimizer: str, copies: int
) -> None:
    plan = plan_of("16-8", window=3, optimizer=optimizer)
    config = plan.facts.configs[0]
    features = len(plan.dataset.columns(config.data.features))
    module = build_model(config.model, InputShape(3, features), seed=0)
    count = sum(parameter.numel() for parameter in module.parameters())
    assert needed(config, plan.dataset) == (count, 4 * copies * count)


def test_the_limit_is_what_the_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    plan_of("64-32-16")
    monkeypatch.setattr("os.sysconf", lambda name: 100)  # a hundred pages of a hundred bytes
    assert machine_memory() == 10_000
    with pytest.raises(UserError, match=r"mlp 64-32-16 has .*; a smaller model or data/window wor"):
        plan_of("64-32-16")


def test_alone_some_optimizers_keep_less_than_in_a_cohort() -> None:
    """A graph network trains alone, where adafactor keeps row and column means."""
    config = from_params({"model/name": "graph", "optimizer/name": "adafactor"})
    count, least = needed(config, narrow())
    assert least == 4 * 2 * count
    adamw = from_params({"model/name": "graph", "optimizer/name": "adamw"})
    assert needed(adamw, narrow())[1] == 4 * 4 * count
    in_a_cohort = from_params({"optimizer/name": "adafactor"})
    few, least = needed(in_a_cohort, narrow())
    assert least == 4 * 3 * few
