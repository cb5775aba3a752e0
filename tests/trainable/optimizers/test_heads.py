"""A learning rate of its own for the heads of a model."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from benchmarks.step.__main__ import run_steps
from tests.fixtures.trainings import config, narrow, starts
from trainable.cli.errors import UserError
from trainable.models import MODELS, InputShape, Model
from trainable.models.mlp import MlpConfig
from trainable.optimizers import OPTIMIZERS
from trainable.optimizers.base import param_groups
from trainable.training.loop import Training
from trainable.validation import check


class Headless(nn.Module):
    """Its output layer is called otherwise."""

    def __init__(self, config: MlpConfig, shape: InputShape) -> None:
        super().__init__()
        self.output = nn.Linear(shape.size, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.output(x.flatten(1)).squeeze(-1)


def moved(share: float, executor: str, name: str = "lion", steps: int = 3) -> dict[str, float]:
    """How far each component's furthest weight went, in a few steps."""
    each = config(optimizer__name=name, optimizer__head_lr=share, optimizer__weight_decay=0.0)
    training = Training(starts([each]), narrow(), executor)
    before = training.executor.weights(0)
    run_steps(training, steps)
    after = training.executor.weights(0)
    return {key: float((after[key] - before[key]).abs().max()) for key in before}


@pytest.mark.parametrize("executor", ["solo", "cohort", "serial"])
def test_heads_move_by_their_share_and_nothing_else_does(executor: str) -> None:
    """Lion moves each weight by the learning rate, 1e-3 here."""
    found = moved(0.1, executor, steps=1)
    for name, distance in found.items():
        expected = 1e-4 if name.startswith("head.") else 1e-3
        assert distance == pytest.approx(expected, rel=1e-3), name


@pytest.mark.parametrize("executor", ["cohort", "serial"])
@pytest.mark.parametrize("name", [n for n, o in OPTIMIZERS.items() if o.has_batched_form])
def test_in_every_optimizer_a_head_of_small_share_hardly_moves(name: str, executor: str) -> None:
    usual, slow = moved(1.0, executor, name), moved(1e-3, executor, name)
    assert slow["head.weight"] < 0.01 * usual["head.weight"]
    assert slow["hidden.0.linear.weight"] > 0.1 * usual["hidden.0.linear.weight"]


def test_groups_of_parameters() -> None:
    names = ["hidden.0.weight", "head.weight", "heads.up.bias", "ahead.weight"]
    named = [(name, torch.zeros(1)) for name in names]
    body, heads = param_groups(named, config(optimizer__head_lr=5.0).optimizer)
    assert [id(p) for p in body["params"]] == [id(named[0][1]), id(named[3][1])]
    assert [id(p) for p in heads["params"]] == [id(named[1][1]), id(named[2][1])]
    assert (body["lr"], heads["lr"]) == pytest.approx((1e-3, 5e-3))
    (everyone,) = param_groups(named, config().optimizer)
    assert len(everyone["params"]) == 4


def test_a_rate_for_heads_of_a_model_without_any_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    each: Any = config(optimizer__head_lr=0.1)
    check(each, narrow())
    monkeypatch.setitem(MODELS, "mlp", Model(MlpConfig, Headless))
    check(config(), narrow())
    with pytest.raises(UserError, match=r"head_lr=0\.1: no component .* fix\.optimizer/head_lr=1"):
        check(each, narrow())
