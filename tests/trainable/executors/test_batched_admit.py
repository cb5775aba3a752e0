"""Members taken in late end as they would have from the start, and disturb nobody."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.fixtures.trainings import config
from trainable.config import TrialConfig
from trainable.executors.batched import BatchedExecutor
from trainable.executors.solo import SoloExecutor
from trainable.losses.base import Targets
from trainable.models import InputShape
from trainable.optimizers import OPTIMIZERS

BATCHED = [name for name, optimizer in OPTIMIZERS.items() if optimizer.has_batched_form]
LOSSES = (("adaptive_huber", True), ("bce", False))  # with normalisation or without
# Of each optimizer a small and a large cohort, which one or three join, with one of the losses.
SIZES = [
    (name, first, (1, 3)[(i + first // 5) % 2], *LOSSES[(i // 2 + first // 5) % 2])
    for i, name in enumerate(BATCHED)
    for first in (1, 5)
]
INPUTS, BATCH, STEPS = 6, 13, 12  # steps of a plan
CPU = torch.device("cpu")


def members(count: int, **shared: Any) -> list[TrialConfig]:
    return [
        config(
            **shared,
            train__seed=k,
            optimizer__lr=1e-3 * (k + 1),
            optimizer__clip=0.2 * (k + 1),
            optimizer__beta1=0.9 - 0.1 * k,
            optimizer__momentum=0.1 * k,
        )
        for k in range(count)
    ]


def dropping(count: int, **shared: Any) -> list[TrialConfig]:
    shares = [0.2, 0.0, 0.5, 0.1]
    return [
        config(
            **shared,
            train__seed=k,
            model__dropout=shares[k % 4],
            optimizer__lr=1e-3 * (k + 1),
            optimizer__momentum=0.1 * k,
        )
        for k in range(count)
    ]


def executor_of(configs: list[TrialConfig], dtype: torch.dtype = torch.float32) -> BatchedExecutor:
    return BatchedExecutor(configs, InputShape(1, INPUTS), CPU, dtype)


def epoch(executor: Any, configs: list[TrialConfig], ages: list[int], dtype: Any = None) -> None:
    """One plan of steps; a member's batches and rates follow from its seed and its age."""
    lr = np.array([c.optimizer.lr / (1 + age) for c, age in zip(configs, ages, strict=True)])
    executor.plan(np.linspace(1, 0.5, STEPS)[:, None] * lr)
    batches = [
        torch.randn(
            STEPS,
            BATCH,
            INPUTS + 1,
            generator=torch.Generator().manual_seed(1000 * c.train.seed + age),
            dtype=dtype,
        )
        for c, age in zip(configs, ages, strict=True)
    ]
    for i in range(STEPS):
        now = torch.stack([batch[i] for batch in batches])
        x = now[..., None, :INPUTS].contiguous()  # as a view's windows are
        executor.step(i, executor.prepare(x), Targets(now[..., INPUTS]))
        if i % 8 == 7:
            executor.snapshot()


def same(a: dict[str, Tensor], b: dict[str, Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize(("optimizer", "first", "late", "loss", "norm"), SIZES)
def test_members_taken_in_late_end_as_if_trained_alone_from_the_start(
    optimizer: str, first: int, late: int, loss: str, norm: bool
) -> None:
    fields = {"optimizer__name": optimizer, "loss__name": loss, "model__norm": norm}
    configs = dropping(first + late, **fields)
    executor = executor_of(configs[:first])
    epoch(executor, configs[:first], [0] * first)
    executor.add(configs[first:])
    for age in (0, 1):
        epoch(executor, configs, [age + 1] * first + [age] * late)
    for k, each in enumerate(configs):
        alone = executor_of([each])
        for age in range(3 if k < first else 2):
            epoch(alone, [each], [age])
        assert same(executor.state(k), alone.state(0))


@pytest.mark.parametrize("count", [1, 3])
def test_taking_members_in_leaves_those_there_as_they_are(count: int) -> None:
    configs = dropping(count + 2)
    executor = executor_of(configs[:count])
    epoch(executor, configs[:count], [0] * count)
    kept = [tensor[:count].clone() for tensor in executor.snapshots]
    states = [executor.state(k) for k in range(count)]
    norms = executor.component_norms()
    executor.add(configs[count:])
    assert all(same(executor.state(k), state) for k, state in enumerate(states))
    assert all(torch.equal(a[:count], b) for a, b in zip(executor.snapshots, kept, strict=True))
    assert executor.component_norms()[:count] == norms
    fresh = executor_of([configs[-1]])
    assert same(executor.state(count + 1), fresh.state(0))
    executor.p[:] = torch.nan
    executor.restore([count + 1])
    assert same(executor.state(count + 1), fresh.state(0))


def test_state_of_one_taken_in_can_be_loaded_and_leaves_the_others_last_good_weights() -> None:
    configs = dropping(3)
    trained = executor_of([configs[2]])
    epoch(trained, [configs[2]], [0])
    saved = trained.state(0)
    epoch(trained, [configs[2]], [1])

    executor = executor_of(configs[:1])
    epoch(executor, configs[:1], [0])
    good = executor.snapshots[0][0].clone()
    assert not torch.equal(executor.p[0], good)  # four steps on from the latest snapshot
    executor.add(configs[1:])
    executor.load(2, saved)
    assert torch.equal(executor.snapshots[0][0], good)
    executor.p[2] = torch.nan
    executor.restore([2])
    assert same(executor.state(2), saved)
    epoch(executor, configs, [1, 0, 1])
    assert same(executor.state(2), trained.state(0))


def test_members_leave_and_others_take_their_places() -> None:
    configs = dropping(5)
    executor = executor_of(configs[:3])
    epoch(executor, configs[:3], [0] * 3)
    executor.compact([1])
    executor.add(configs[3:])
    executor.compact([0, 2])
    epoch(executor, [configs[1], configs[4]], [1, 0])
    for place, (k, ages) in enumerate(((1, 2), (4, 1))):
        alone = executor_of([configs[k]])
        for age in range(ages):
            epoch(alone, [configs[k]], [age])
        assert same(executor.state(place), alone.state(0))


@pytest.mark.parametrize("optimizer", BATCHED)
def test_one_taken_in_late_agrees_with_autograd_in_float64(optimizer: str) -> None:
    configs = members(3, optimizer__name=optimizer)
    wide = torch.float64
    executor = executor_of(configs[:2], wide)
    epoch(executor, configs[:2], [0, 0], wide)
    executor.add(configs[2:])
    epoch(executor, configs, [1, 1, 0], wide)
    for k, ages in ((0, 2), (2, 1)):
        alone = SoloExecutor([configs[k]], InputShape(1, INPUTS), CPU, wide)
        for age in range(ages):
            epoch(alone, [configs[k]], [age], wide)
        for name, weight in alone.weights(0).items():
            assert (executor.weights(k)[name] - weight).abs().max() < 1e-9
