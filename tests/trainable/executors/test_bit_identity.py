"""A member's float32 result on a CPU: the same bit for bit in every cohort of two or more."""

from collections.abc import Iterator, Sequence
from itertools import cycle, product
from typing import Any

import pytest
import torch
from torch import Tensor

from benchmarks.step.__main__ import run_steps
from tests.fixtures.losses import ELEMENTWISE, OF_ROWS
from tests.fixtures.trainings import best, config, finish, market, narrow, starts, trained
from tests.trainable.executors.test_batched import dropping, told
from trainable.config import TrialConfig
from trainable.executors import base
from trainable.losses import LOSSES
from trainable.losses.base import Targets
from trainable.optimizers import OPTIMIZERS
from trainable.schedules import SCHEDULES
from trainable.training.loop import Training

COHORTS = ([63], [40, 3], [7, 62, 21], [63, 1, 9, 30, 2], [*range(20, 36)])  # of 1, 2, 3, 5, 16
SHAPES: list[dict[str, Any]] = [
    {"model__hidden_dims": "8-4", "train__batch_size": 13},
    {"model__hidden_dims": "31-17", "train__batch_size": 16, "model__norm": False},
    {"model__hidden_dims": "16", "train__batch_size": 32, "data__window": 3},
    {"model__hidden_dims": "7-3", "train__batch_size": 48, "data__window": 2, "model__norm": False},
    {"model__hidden_dims": "7-3", "train__batch_size": 13, "data__window": 3, "model__norm": False},
    {"model__hidden_dims": "8-4", "train__batch_size": 48},
]
BATCHED = [name for name, optimizer in OPTIMIZERS.items() if optimizer.has_batched_form]
CASES = [
    (loss, optimizer, [*SCHEDULES][i % len(SCHEDULES)], SHAPES[(i + i // 6) % len(SHAPES)])
    # A loss and an optimizer do not know of each other: each with all of the first of the others.
    for i, (loss, optimizer) in enumerate(
        [*product(OF_ROWS, BATCHED[:1]), *product(OF_ROWS[:1], BATCHED[1:])]
    )
]


@pytest.fixture
def two_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def members(count: int, dead_zones: bool, **shared: Any) -> list[TrialConfig]:
    """Members that differ in everything; the third part drops nothing."""
    return [
        config(
            **shared,
            train__seed=k,
            train__epochs=2,
            train__steps_per_epoch=5,
            model__dropout=0.15 * (k % 3),
            optimizer__lr=1e-3 * (1 + k % 7),
            optimizer__clip=0.2 * (1 + k % 5),
            optimizer__head_lr=(1.0, 0.3)[k % 4 == 1],
            optimizer__beta2=0.9 + 0.01 * (k % 9),
            optimizer__weight_decay=0.01 * (k % 4),
            loss__delta=0.1 + 0.2 * (k % 3),
            loss__dead_zone=0.002 * (k % 3) * dead_zones,
            schedule__warmup_steps=k % 4,
        )
        for k in range(count)
    ]


def results(configs: list[TrialConfig]) -> list[tuple[Tensor, list[Any]]]:
    """Each member's weights and all that it reported, less how fast it was."""
    training = Training(starts(configs), narrow(), "cohort")
    told: list[list[Any]] = [[] for _ in configs]
    for report in finish(training):
        values = {n: v for n, v in report.values.items() if not n.endswith("_per_s")}
        told[report.number].append(values)
    return [(best(training.ended[k]), told[k]) for k in range(len(configs))]


def check(configs: list[TrialConfig], cohorts: Sequence[list[int]] = COHORTS) -> None:
    everyone = results(configs)
    for chosen in cohorts:
        found = results([configs[k] for k in chosen])
        for k, (weights, said) in zip(chosen, found, strict=True):
            assert said == everyone[k][1]
            assert torch.equal(weights, everyone[k][0])


@pytest.mark.parametrize(("loss", "optimizer", "schedule", "shape"), CASES)
def test_result_is_the_same_in_every_cohort(
    loss: str, optimizer: str, schedule: str, shape: dict[str, Any]
) -> None:
    names = {"loss__name": loss, "optimizer__name": optimizer, "schedule__name": schedule}
    check(members(64, optimizer == "lion", **names, **shape))


@pytest.mark.usefixtures("two_threads")
@pytest.mark.parametrize(("loss", "norm"), [*zip(OF_ROWS, cycle([True, False]))])
def test_result_is_the_same_when_two_threads_share_the_work(loss: str, norm: bool) -> None:
    shape = {"model__hidden_dims": "31-17", "model__norm": norm, "train__batch_size": 48}
    check(members(64, norm, loss__name=loss, **shape), COHORTS[1::2])


def test_slope_of_every_loss_is_a_members_own_wherever_it_lies() -> None:
    """Vectorised loops take other instructions for what is left at the end of a tensor."""
    generator = torch.Generator().manual_seed(1)
    prediction, target = torch.randn(2, 64, 13, generator=generator)
    columns = {"delta": torch.ones(64, 1)}
    for name in ELEMENTWISE:
        loss = LOSSES[name]
        everyone = loss.of_batch(prediction, Targets(target), columns, training=True)
        for k in range(63):
            two = slice(k, k + 2)
            few = {name: column[:2] for name, column in columns.items()}
            pair = loss.of_batch(prediction[two], Targets(target[two]), few, training=True)
            for one, all_of_them in zip(pair[:2], everyone[:2], strict=True):
                assert torch.equal(one, all_of_them[k : k + 2]), name


def test_a_sum_that_overflowed_below_zero_is_zero_whether_or_not_a_neighbour_drops() -> None:
    configs = [config(model__norm=False, model__dropout=share) for share in (0.0, 0.5)]
    losses = []
    for cohort in (configs, configs[:1]):
        training = Training(starts(cohort), narrow(), "cohort")
        training.executor.parts["hidden.0.linear.bias"][0, 0] = -torch.inf  # type: ignore[attr-defined]
        training.executor.parts["hidden.0.linear.bias"][-1, 0] = -torch.inf  # type: ignore[attr-defined]
        run_steps(training, 1)
        losses.append(float(training.plan.losses[0, 0]))
    assert losses[0] == losses[1]
    assert torch.isfinite(torch.tensor(losses)).all()


@pytest.mark.parametrize("dims", ["8-4", "64-32-16"])
def test_float32_result_is_bit_identical_for_every_cohort_size(dims: str) -> None:
    configs = dropping(16, model__hidden_dims=dims, train__batch_size=32)
    _, everyone = trained(configs, market())
    full = Training(starts(configs), market())
    finish(full)
    for k in (1, 2, 3, 5, 8, 11):
        members, reports = trained(configs[:k], market())
        for number, member in members.items():
            assert torch.equal(best(member), best(full.ended[number]))
            assert told(reports, number) == told(everyone, number)


@pytest.mark.parametrize("dims", ["7-3", "30", "31-17"])
@pytest.mark.parametrize("batch", [13, 16])
def test_odd_sizes_do_not_let_the_place_in_memory_show(dims: str, batch: int) -> None:
    """Small products are summed in another order where a member begins between two borders."""
    configs = dropping(9, model__hidden_dims=dims, train__batch_size=batch, train__epochs=1)
    everyone, _ = trained(configs, market())
    for chosen in ([0], [4, 2], [8, 1, 3, 5, 7]):
        members, _ = trained([configs[k] for k in chosen], market())
        for k, member in members.items():
            assert torch.equal(best(member), best(everyone[chosen[k]]))


def test_rows_predicted_at_once_do_not_depend_on_the_cohorts_size(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The last bits of a matrix product depend on its number of rows."""
    monkeypatch.setattr(base, "ROWS", 304)
    blocks: list[list[int]] = []
    for configs in (dropping(1), dropping(16)):
        training = Training(starts(configs), narrow())
        predict = training.executor.predict
        sizes: list[int] = []

        def counting(x: torch.Tensor, predict: Any = predict, sizes: Any = sizes) -> torch.Tensor:
            sizes.append(len(x))
            return predict(x)

        training.executor.predict = counting  # type: ignore[method-assign]
        training.advance()
        blocks.append(sizes)
    assert blocks[0] == blocks[1]
    assert blocks[0][0] == 304


def test_result_does_not_depend_on_who_the_neighbours_are() -> None:
    configs = dropping(6)
    alone, reports = trained([configs[4]], narrow())
    for others in ([0, 4], [4, 1, 2], [5, 3, 4, 0, 1]):
        members, both = trained([configs[k] for k in others], narrow())
        place = others.index(4)
        assert torch.equal(best(members[place]), best(alone[0]))
        assert told(both, place) == told(reports, 0)
