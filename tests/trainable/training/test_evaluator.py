"""The evaluation that ends an epoch: each member's is its own, bit for bit, in any company."""

from dataclasses import asdict
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.step.__main__ import run_steps
from tests.fixtures.trainings import config, market, starts
from trainable.config import TrialConfig
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import make_windows
from trainable.executors.base import Executor
from trainable.losses.base import Targets
from trainable.losses.squared import MseConfig
from trainable.metrics import scores
from trainable.metrics.scoring import scoring
from trainable.models.base import Days
from trainable.training import evaluator as evaluation
from trainable.training.batches import BatchSource
from trainable.training.evaluator import Evaluation, Evaluator
from trainable.training.loop import Training

MEMBERS = 11
CONSTANT, BROKEN, TIED = 3, 5, 7  # members that predict one number, NaN, few numbers


class Fixed:
    """An executor whose members are fixed functions, computed number by number."""

    def __init__(self, members: list[int]) -> None:
        self.members = members

    def predict(self, x: Tensor, days: Days | None = None) -> Tensor:
        last = x[:, -1].double()
        found = [torch.sin(last[:, 0] * (k + 1) + last[:, 1]) * 10.0 ** (k - 5) for k in range(11)]
        found[CONSTANT] = torch.full_like(found[0], 0.1)
        found[BROKEN] = torch.where(last[:, 2] > 0, torch.nan, 1.0)
        found[TIED] = found[TIED].sign() * (last[:, 2] > 0)
        return torch.stack([found[k] for k in self.members]).float()


def evaluator_of(dataset: Dataset, like: TrialConfig) -> Evaluator:
    """The evaluator of members like this one."""
    return Evaluator(dataset, BatchSource(dataset, make_windows(dataset, like.data), like))


def evaluated(dataset: Dataset, members: list[int], loss: str = "huber") -> list[Evaluation]:
    configs: list[TrialConfig] = [config(loss__name=loss, loss__delta=1.0 + k % 3) for k in members]
    evaluator = evaluator_of(dataset, configs[0])
    return evaluator.evaluate(cast(Executor, Fixed(members)), configs)


def bits(result: Evaluation) -> dict[str, Any]:
    """All that an evaluation says, as something that is equal only if every bit is."""
    said = asdict(result)
    for name in ("net_returns", "predictions"):
        said[name] = None if said[name] is None else said[name].tobytes()
    return said | {"spread": repr(said["spread"])}


@pytest.mark.parametrize("symbols", [1, 3, 6, 20])
@pytest.mark.parametrize("loss", ["huber", "mse"])
def test_bit_identical_whatever_the_neighbours(symbols: int, loss: str) -> None:
    dataset = market(symbols, 600)
    together = [bits(r) for r in evaluated(dataset, list(range(MEMBERS)), loss)]
    assert together[0]["values"]["sharpe"] is not None
    assert together[BROKEN]["values"]["sharpe"] is None
    assert together[BROKEN]["val_loss"] is None
    for members in ([0], [CONSTANT], [BROKEN], [TIED, 1], [10, 0, BROKEN], [2, 4, 6, 8]):
        found = evaluated(dataset, members, loss)
        assert [bits(r) for r in found] == [together[k] for k in members]


@pytest.mark.parametrize("cells", [1, 5000])
def test_bit_identical_however_many_are_worked_on_at_once(
    monkeypatch: pytest.MonkeyPatch, cells: int
) -> None:
    together = [bits(r) for r in evaluated(market(6, 600), list(range(MEMBERS)))]
    monkeypatch.setattr(scores, "CELLS", cells)
    monkeypatch.setattr(evaluation, "CELLS", cells)
    assert [bits(r) for r in evaluated(market(6, 600), list(range(MEMBERS)))] == together


def test_networks_are_evaluated_alike_in_any_company() -> None:
    configs = [config(train__seed=k, model__hidden_dims="16-8") for k in range(9)]

    def run(members: list[int]) -> list[dict[str, Any]]:
        training = Training(starts([configs[k] for k in members]), market())
        run_steps(training, 3)
        found = training.evaluator.evaluate(training.executor, [configs[k] for k in members])
        return [bits(r) for r in found]

    together = run(list(range(9)))
    for members in ([0], [4, 2], [8, 1, 3, 5, 7]):
        assert run(members) == [together[k] for k in members]


def test_a_lone_members_loss_is_the_same_with_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluation, "CELLS", 300_000)  # three members at once
    dataset = market(6, 600)
    evaluator = evaluator_of(dataset, config(loss__name="mse"))
    draw = torch.Generator().manual_seed(0)
    p = torch.randn(3, 100_000, generator=draw)
    y = torch.randn(100_000, generator=draw).double()
    evaluator.targets = Targets(y, torch.ones(100_000, dtype=torch.bool))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        mse = MseConfig()
        together = evaluator.losses(p, [mse] * 3)
        assert [evaluator.losses(p[k : k + 1], [mse])[0] for k in range(3)] == together
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("symbols", [1, 3, 6])
def test_training_is_measured_as_validation_is(symbols: int) -> None:
    dataset = market(symbols, 600)
    on = scoring(dataset, dataset.valid_rows)
    p = np.random.default_rng(0).normal(size=(4, len(dataset.valid_rows))).astype(np.float32)
    p[1], p[2, 3] = 0.5, np.inf
    full = [(s.values["sharpe"], s.values["ic"]) for s in scores.score(on, p, p)]
    assert scores.sharpe_and_ic(on, p, p) == full
    assert full[0][0] is not None
    assert full[2] == (None, None)
