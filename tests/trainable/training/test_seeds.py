"""What follows from a member's own seed: its first weights, its rows, what dropout takes away."""

import numpy as np
import pytest
import torch

from tests.fixtures.members import EXECUTORS, first_weights, reports_of, seeded, untrained
from trainable.report import Report

SEEDS = range(32)
each_executor = pytest.mark.parametrize("executor", EXECUTORS)


def first_losses(executor: str, dropout: float) -> list[float]:
    """The training loss of each seed's first step, which sees one row."""
    configs = [seeded(seed, model__dropout=dropout) for seed in SEEDS]
    return [loss_of(each[0]) for each in reports_of(executor, configs).values()]


def loss_of(report: Report) -> float:
    loss = report.values["train_loss"]
    assert loss is not None
    return loss


def errors(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Predictions of a seed's untrained network for every training row, and the targets."""
    with torch.no_grad():
        model, x, y = untrained(seeded(seed))
        return model(x).double().numpy(), y.double().numpy()


def row_of(seed: int, loss: float) -> int:
    """The training row that a first loss is of."""
    prediction, target = errors(seed)
    apart = np.abs((prediction - target) ** 2 - loss)
    assert apart.min() < 1e-5 * max(1.0, loss)
    return int(apart.argmin())


@each_executor
def test_the_first_weights_are_those_of_the_members_seed(executor: str) -> None:
    found = first_weights(executor, [seeded(seed) for seed in (0, 1, 2, 1)])
    for seed, weights in zip((0, 1, 2, 1), found, strict=True):
        model, _, _ = untrained(seeded(seed))
        state = model.state_dict()
        wanted = np.concatenate([state[name].numpy().ravel() for name in sorted(state)])
        np.testing.assert_array_equal(weights, wanted)
    assert np.array_equal(found[1], found[3])
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[1], found[2])


@each_executor
def test_the_order_of_rows_is_that_of_the_members_seed(executor: str) -> None:
    losses = first_losses(executor, 0.0)
    rows = [row_of(seed, loss) for seed, loss in zip(SEEDS, losses, strict=True)]
    assert len(set(rows)) > 0.8 * len(SEEDS)
    assert losses == first_losses(executor, 0.0)


def test_the_order_of_rows_is_the_same_for_every_executor() -> None:
    wanted = first_losses("solo", 0.0)
    for executor in ("cohort", "serial"):
        assert first_losses(executor, 0.0) == pytest.approx(wanted, rel=1e-4)


@each_executor
def test_the_next_epoch_goes_on_with_other_rows(executor: str) -> None:
    changes = {"train__epochs": 2, "optimizer__lr": 1e-7}
    found = reports_of(executor, [seeded(seed, **changes) for seed in range(8)])
    pairs = [[row_of(n, loss_of(r)) for r in reports] for n, reports in found.items()]
    assert all(first != second for first, second in pairs)


@each_executor
def test_what_dropout_takes_away_is_drawn_by_the_members_seed(executor: str) -> None:
    """The only unit is dropped, and the bias of 0 is left; or it is kept, and counts twice."""
    kept, dropped = [], []
    plain, thinned = first_losses(executor, 0.0), first_losses(executor, 0.5)
    assert thinned == first_losses(executor, 0.5)
    for seed, loss, found in zip(SEEDS, plain, thinned, strict=True):
        row = row_of(seed, loss)
        prediction, target = (values[row] for values in errors(seed))
        if abs(prediction) < 1e-3:  # the unit is silent
            continue
        if found == pytest.approx(target**2, rel=1e-3, abs=1e-7):
            dropped.append(seed)
        else:
            assert found == pytest.approx((2 * prediction - target) ** 2, rel=1e-3, abs=1e-6)
            kept.append(seed)
    assert min(len(kept), len(dropped)) >= 0.2 * len(kept + dropped)
    assert len(kept + dropped) >= 10


@each_executor
def test_twins_of_one_seed_are_alike_in_everything(executor: str) -> None:
    changes = {"model__dropout": 0.5, "train__steps_per_epoch": 9, "train__batch_size": 8}
    twin, other, same = reports_of(
        executor, [seeded(seed, model__hidden_dims="8", **changes) for seed in (3, 4, 3)]
    ).values()
    keys = ("train_loss", "val_loss", "grad_norm")
    assert [twin[0].values[key] for key in keys] == [same[0].values[key] for key in keys]
    assert all(twin[0].values[key] != other[0].values[key] for key in keys)
