"""The cross-entropy of sell, hold and buy."""

import math

import pytest
import torch
from torch.nn import functional

from tests.fixtures.losses import batch, rows_of
from trainable.losses import LOSSES
from trainable.losses.cross_entropy import BUY, HOLD, SELL, CrossEntropyConfig

LOSS = LOSSES["cross_entropy"]
NO_ACTION = torch.zeros(3, dtype=torch.float64)


def labels_by_loss(y: torch.Tensor, scale: float, threshold: float) -> list[int]:
    """Returns the class of each row, as the loss has it: the one whose logit has a slope below 0.

    Args:
        y: [B], targets ÷ scale.
        scale: decimal.
        threshold: decimal.
    """
    loss, targets, columns = rows_of("cross_entropy", y[None], scale=scale, threshold=threshold)
    slope = loss.of_batch(NO_ACTION.expand(len(y), 3), targets, columns, True).slope
    return slope.argmin(-1).tolist()


def test_system_b5_labels_are_made_of_raw_returns_not_of_scaled_ones() -> None:
    """A scaled return of 0.3 is a raw one of 0.3 %: no reason to buy at a threshold of 0.5 %."""
    y = torch.tensor([0.3, 0.6, -0.3, -0.6, 0.0], dtype=torch.float64)
    assert labels_by_loss(y, 0.01, 0.005) == [HOLD, BUY, HOLD, SELL, HOLD]
    assert labels_by_loss(y, 0.1, 0.005) == [BUY, BUY, SELL, SELL, HOLD]
    assert labels_by_loss(y, 0.01, 0.0) == [BUY, BUY, SELL, SELL, HOLD]


def test_system_b9_a_cross_entropy_worse_than_uniform_has_a_skill_below_0() -> None:
    """1.186 was called good; predicting nothing reaches ln 3 = 1.099."""
    y = torch.linspace(-2, 2, 41, dtype=torch.float64)[None]
    loss, targets, columns = rows_of("cross_entropy", y)
    zero = loss.of_batch(NO_ACTION.expand(41, 3), targets, columns, False).loss
    assert float(zero) == pytest.approx(math.log(3), rel=1e-12)

    def lost(sureness: float) -> float:
        logits = sureness * torch.tensor([1.0, -1.0, 0.0], dtype=torch.float64).expand(41, 3)
        return float(loss.of_batch(logits, targets, columns, False).loss)

    low, high = 0.0, 3.0
    for _ in range(60):  # always as sure of one action as costs 1.186
        middle = (low + high) / 2
        low, high = (middle, high) if lost(middle) < 1.186 else (low, middle)
    assert lost(low) == pytest.approx(1.186)
    assert 1 - lost(low) / float(zero) == pytest.approx(-0.0796, abs=1e-3)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_value_and_slope_are_torchs(smoothing: float) -> None:
    b = batch("cross_entropy", {"smoothing": smoothing}, absent=0.0)
    raw = b.targets.y * 0.01
    label = 1 + (raw > 0.005).long() - (raw < -0.005).long()
    leaf = b.prediction.clone().requires_grad_()
    wanted = torch.stack(
        [
            functional.cross_entropy(p, each, label_smoothing=smoothing)
            for p, each in zip(leaf, label, strict=True)
        ]
    )
    wanted.sum().backward()
    result = b.result()
    torch.testing.assert_close(result.loss, wanted.detach(), rtol=1e-12, atol=0)
    torch.testing.assert_close(result.slope, leaf.grad, rtol=1e-12, atol=1e-15)


def test_each_member_has_its_own_threshold_and_smoothing() -> None:
    b = batch("cross_entropy", members=2)
    configs = [CrossEntropyConfig(threshold=0.001), CrossEntropyConfig(smoothing=0.3)]
    b.columns = LOSS.columns_of(configs, torch.device("cpu"), torch.float64)
    together = b.result().loss
    for k, config in enumerate(configs):
        alone = b.member(k)
        columns = LOSS.columns_of([config], torch.device("cpu"), torch.float64)
        alone.columns = {name: column[0] for name, column in columns.items()}
        assert float(alone.result().loss) == pytest.approx(float(together[k]), rel=1e-14)
    assert together[0] != batch("cross_entropy", members=2).result().loss[0]


def test_large_logits_do_not_overflow() -> None:
    loss, targets, columns = rows_of("cross_entropy", torch.ones(1, 2))
    logits = torch.tensor([[1e30, 0.0, -1e30], [-1e30, 0.0, 1e30]])
    result = loss.of_batch(logits, targets, columns, True)
    assert torch.isfinite(result.loss)
    assert result.slope.tolist() == [[0.5, 0.0, -0.5], [0.0, 0.0, 0.0]]


def test_what_is_traded_is_the_chance_of_buying_less_that_of_selling() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.0, math.log(2)], [50.0, 0.0, 0.0]])
    signal = LOSS.signal(CrossEntropyConfig(), logits, 1)
    torch.testing.assert_close(signal, torch.tensor([0.0, 0.25, -1.0]))


def test_logits_of_another_shape_are_an_error() -> None:
    b = batch("cross_entropy")
    for wrong in (b.prediction[..., :2], b.prediction[..., 0]):
        with pytest.raises(ValueError, match="× 3"):
            b.result(prediction=wrong)
