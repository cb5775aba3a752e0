"""Every loss of single rows: its slope against autograd, its rows, and refused shapes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tests.fixtures.losses import ELEMENTWISE
from trainable.losses import LOSSES, Loss
from trainable.losses.base import Targets
from trainable.losses.huber import HuberConfig, follow_batch
from trainable.losses.squared import MseConfig

K, B = 4, 9
each_loss = pytest.mark.parametrize("name", ELEMENTWISE)


def mean_loss_and_slope(
    loss: Loss, p: Tensor, y: Tensor, mask: Tensor | None, delta: Tensor, training: bool = False
) -> tuple[Tensor, Tensor]:
    return loss.of_batch(p, Targets(y, mask), {"delta": delta}, training)[:2]


def mean_loss(loss: Loss, p: Tensor, y: Tensor, mask: Tensor | None, delta: Tensor) -> Tensor:
    return mean_loss_and_slope(loss, p, y, mask, delta)[0]


def adapted(residual: Tensor, mask: Tensor | None, smallest: Tensor) -> Tensor:
    return follow_batch(residual, torch.zeros_like(residual), mask, {"delta": smallest})["delta"]


def batch(seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Predictions and targets [K, B], rows kept, and delta [K, 1]; float64."""
    draw = torch.Generator().manual_seed(seed)
    p, y = (2 * torch.randn(K, B, generator=draw, dtype=torch.float64) for _ in range(2))
    keep = torch.rand(K, B, generator=draw) < 0.6
    delta = 0.2 + torch.rand(K, 1, generator=draw, dtype=torch.float64)
    return p, y, keep, delta


@each_loss
@pytest.mark.parametrize("masked", [False, True])
def test_slope_is_autograds(name: str, masked: bool) -> None:
    p, y, keep, delta = batch()
    rows = keep if masked else None
    leaf = p.clone().requires_grad_()
    mean_loss(LOSSES[name], leaf, y, rows, delta).sum().backward()
    assert leaf.grad is not None
    _, made = mean_loss_and_slope(LOSSES[name], p, y, rows, delta)
    torch.testing.assert_close(made, leaf.grad, rtol=1e-12, atol=1e-14)


@each_loss
@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6))
def test_members_do_not_share_anything(name: str, seed: int) -> None:
    p, y, keep, delta = batch(seed)
    together = mean_loss(LOSSES[name], p, y, keep, delta)
    alone = [mean_loss(LOSSES[name], p[k], y[k], keep[k], delta[k]) for k in range(K)]
    assert torch.equal(together, torch.stack(alone))
    assert (together >= 0).all()


@each_loss
def test_rows_left_out_count_for_nothing(name: str) -> None:
    p, y, keep, delta = batch()
    other = torch.where(keep, y, 1e300)
    loss = LOSSES[name]
    assert torch.equal(mean_loss(loss, p, y, keep, delta), mean_loss(loss, p, other, keep, delta))
    expected = [mean_loss(loss, p[k][keep[k]], y[k][keep[k]], None, delta[k]) for k in range(K)]
    torch.testing.assert_close(mean_loss(loss, p, y, keep, delta), torch.stack(expected))


@each_loss
def test_a_batch_without_a_kept_row_moves_nothing(name: str) -> None:
    p, y, _, delta = batch()
    none = torch.zeros(K, B, dtype=torch.bool)
    for training in (True, False):
        loss, slope = mean_loss_and_slope(LOSSES[name], p, y, none, delta, training)
        assert (loss == 0).all()
        assert (slope == 0).all()


@each_loss
def test_every_row_kept_is_no_mask(name: str) -> None:
    p, y, _, delta = (t.float() for t in batch())
    everything = torch.ones(K, B, dtype=torch.bool)
    loss = LOSSES[name]
    unmasked = mean_loss_and_slope(loss, p, y, None, delta)
    masked = mean_loss_and_slope(loss, p, y, everything, delta)
    assert all(torch.equal(a, b) for a, b in zip(unmasked, masked, strict=True))


@each_loss
def test_system_a3_targets_of_another_shape_are_an_error_not_a_broadcast(name: str) -> None:
    p = torch.zeros(B)
    for target in (torch.zeros(B, 1), torch.zeros(1), torch.zeros(1, B)):
        with pytest.raises(ValueError, match="must have the same shape"):
            mean_loss(LOSSES[name], p, target, None, torch.ones(1))


def test_values_are_those_of_torch() -> None:
    p, y, _, _ = batch()
    delta = torch.full((K, 1), 0.7, dtype=torch.float64)
    oracles = {
        "mse": functional.mse_loss(p, y, reduction="none"),
        "huber": functional.huber_loss(p, y, reduction="none", delta=0.7),
        "adaptive_huber": functional.huber_loss(p, y, reduction="none", delta=0.7),
        "bce": -((y > 0) * p.sigmoid().log() + (y <= 0) * (-p).sigmoid().log()),
    }
    assert set(oracles) == set(ELEMENTWISE)
    for name, expected in oracles.items():
        torch.testing.assert_close(mean_loss(LOSSES[name], p, y, None, delta), expected.mean(1))


def test_adaptive_delta_is_twice_the_median_residual_but_at_least_the_given() -> None:
    residual = torch.tensor([[1.0, -2.0, 3.0, -40.0, 5.0], [0.1, 0.1, -0.1, 0.2, 0.3]])
    smallest = torch.tensor([[0.5], [0.5]])
    assert adapted(residual, None, smallest).tolist() == [[6.0], [0.5]]
    keep = torch.tensor([[True, True, True, False, False], [False] * 5])
    assert adapted(residual, keep, smallest).tolist() == [[4.0], [0.5]]


@each_loss
def test_delta_follows_the_batch_in_training_of_the_adaptive_loss_alone(name: str) -> None:
    p, y, keep, delta = batch()
    loss = LOSSES[name]
    trained = mean_loss_and_slope(loss, p, y, keep, delta, training=True)
    follows = follow_batch(p, y, keep, {"delta": delta})["delta"]
    used = follows if name == "adaptive_huber" else delta
    assert all(map(torch.equal, trained, mean_loss_and_slope(loss, p, y, keep, used)))
    assert not torch.equal(follows, delta)


def test_columns_are_those_of_each_member() -> None:
    configs = [HuberConfig(delta=0.5), HuberConfig(delta=2.0, dead_zone=0.1)]
    found = LOSSES["huber"].columns_of(configs, torch.device("cpu"), torch.float64)
    assert {name: column.tolist() for name, column in found.items()} == {"delta": [[0.5], [2.0]]}
    assert LOSSES["mse"].columns_of([MseConfig()], torch.device("cpu"), torch.float64) == {}


def test_bce_does_not_overflow() -> None:
    p, y = torch.tensor([[1e30, -1e30]]), torch.tensor([[1.0, -1.0]])
    assert mean_loss(LOSSES["bce"], p, y, None, torch.ones(1, 1)).tolist() == [0.0]
    _, slope = mean_loss_and_slope(LOSSES["bce"], -p, y, None, torch.ones(1, 1))
    assert slope.tolist() == [[-0.5, 0.5]]
