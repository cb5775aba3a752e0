"""Every loss of the table, on batches of whole days: slope, mask, members, symbols, descent."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.fixtures.losses import Batch, batch
from trainable.losses import LOSSES

PHASES = """{"0": {"huber": 0.3, "ic@5": 0.2, "sharpe@1": 0.1, "variance": 2.0, "quantile": 0.5,
    "cross_entropy": 0.7, "rank_ic@1": 0.4}}"""
# Settings and horizons of each entry, so that every part of its formula is at work.
CASES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    **{name: ({}, {}) for name in LOSSES},
    "variance": ({"variance_floor": 1.0}, {}),
    "cross_entropy": ({"smoothing": 0.1}, {}),
    "sharpe": ({}, {"horizons": (3,)}),
    "weighted": (
        {"phases": PHASES, "horizons": "1-5", "variance_floor": 1.0},
        {"horizons": (1, 5), "traded": 1},
    ),
}
each_loss = pytest.mark.parametrize("name", LOSSES)


def of(name: str, **shape: Any) -> Batch:
    settings, horizons = CASES[name]
    made = batch(name, settings, **horizons, **shape)
    if name in ("variance", "weighted"):
        made.prediction *= 0.3  # so that there is something to punish
    return made


# Its delta follows the batch, as if it were no function of the predictions; fixed in evaluation.
FOLLOWING = "adaptive_huber"


def test_every_loss_has_its_case() -> None:
    assert CASES.keys() == LOSSES.keys()


@each_loss
def test_slope_is_that_of_finite_differences(name: str) -> None:
    b = of(name, members=2)
    made = b.result(training=name != FOLLOWING).slope
    assert made.shape == b.prediction.shape
    assert made.count_nonzero() > made.numel() / 3
    step, flat = 1e-6, b.prediction.flatten()
    for i in range(0, len(flat), 1 + len(flat) // 40):
        up, down = flat.clone(), flat.clone()
        up[i] += step
        down[i] -= step
        high, low = (
            b.result(prediction=p.view_as(b.prediction), training=name != FOLLOWING).loss.sum()
            for p in (up, down)
        )
        assert float(made.flatten()[i]) == pytest.approx(
            float(high - low) / (2 * step), rel=1e-5, abs=1e-7
        )


@each_loss
@pytest.mark.parametrize("rubbish", [torch.nan, torch.inf, -1e300])
def test_absent_rows_change_nothing(name: str, rubbish: float) -> None:
    b = of(name)
    mask = b.targets.mask
    assert mask is not None
    there = mask if mask.dim() == 2 else mask[..., 0]
    rows = there if b.prediction.dim() == 2 else there.unsqueeze(-1)
    first = b.result()
    assert b.targets.rows is not None
    other = b.result(
        prediction=b.prediction.masked_fill(~rows, rubbish),
        y=b.targets.y.masked_fill(~mask, rubbish),
        returns=b.targets.rows.returns.masked_fill(~there, rubbish),
    )
    assert torch.isfinite(first.loss).all()
    assert torch.equal(first.loss, other.loss)
    assert torch.equal(first.slope, other.slope)
    assert (first.slope.masked_select(~rows) == 0).all()
    assert first.slope.masked_select(rows).any()


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_member_is_the_same_bit_for_bit_whoever_its_neighbours_are(
    name: str, dtype: torch.dtype
) -> None:
    for symbols in (3, 5, 7):
        b = of(name, members=19, symbols=symbols, dtype=dtype)
        together = b.result()
        for k in (0, 1, 7, 17, 18):
            pair = [k, (k + 5) % 19]  # a lone one has a copy of itself beside it
            two = b.members(pair).result()
            assert torch.equal(two.loss, together.loss[pair])
            assert torch.equal(two.slope, together.slope[pair])
            assert {n: part.tolist() for n, part in two.parts.items()} == {
                n: part[pair].tolist() for n, part in together.parts.items()
            }


@each_loss
def test_members_equal_one_by_one_without_their_dimension(name: str) -> None:
    b = of(name, members=4)
    together = b.result()
    for k in range(4):
        alone = b.member(k).result()
        assert alone.loss.shape == ()
        torch.testing.assert_close(alone.loss, together.loss[k], rtol=1e-13, atol=1e-15)
        torch.testing.assert_close(alone.slope, together.slope[k], rtol=1e-9, atol=1e-13)


def ordered(values: Tensor, symbols: int, order: Tensor) -> Tensor:
    """Returns values [K, B, …] with the symbols of each day in another order."""
    days = values.unflatten(1, (-1, symbols))
    return days[:, :, order].flatten(1, 2)


@each_loss
def test_the_order_of_symbols_changes_nothing(name: str) -> None:
    b = of(name, symbols=6)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    y, mask, rows = b.targets
    assert mask is not None
    assert rows is not None
    moved = b.result(
        prediction=ordered(b.prediction, 6, order),
        y=ordered(y, 6, order),
        mask=ordered(mask, 6, order),
        returns=ordered(rows.returns, 6, order),
    )
    first = b.result()
    torch.testing.assert_close(moved.loss, first.loss)
    torch.testing.assert_close(moved.slope, ordered(first.slope, 6, order))


@each_loss
def test_a_batch_with_nobody_present_moves_nothing(name: str) -> None:
    b = of(name)
    mask = b.targets.mask
    assert mask is not None
    result = b.result(mask=torch.zeros_like(mask))
    assert torch.isfinite(result.loss).all()
    assert (result.slope == 0).all()


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_prediction_has_a_finite_loss_and_slope(name: str, dtype: torch.dtype) -> None:
    for constant in (0.0, 0.1, -3.7):
        b = of(name, dtype=dtype)
        result = b.result(prediction=torch.full_like(b.prediction, constant))
        assert torch.isfinite(result.loss).all()
        assert torch.isfinite(result.slope).all()


@each_loss
def test_descent_along_the_slope_lowers_the_loss(name: str) -> None:
    b = of(name, days=6, symbols=8)
    start = b.result(training=name != FOLLOWING)
    p = b.prediction.clone()
    for _ in range(60):
        slope = b.result(prediction=p, training=name != FOLLOWING).slope
        p -= 0.1 * slope / slope.square().mean().sqrt().clamp(min=1e-12)
    end = b.result(prediction=p, training=name != FOLLOWING)
    assert (end.loss < start.loss - 0.05 * start.loss.abs()).all()


@each_loss
def test_no_tensor_of_inference_mode_is_in_the_way(name: str) -> None:
    """The executor of cohorts trains in inference mode."""
    outside = of(name).result()
    with torch.inference_mode():
        inside = of(name).result()
        assert torch.equal(inside.loss, outside.loss)
        assert torch.equal(inside.slope, outside.slope)


@each_loss
def test_an_evaluation_has_the_loss_of_training_and_needs_no_slope(name: str) -> None:
    b = of(name, members=2)
    if name != FOLLOWING:  # asked for a slope it is that of training
        assert torch.equal(b.result(training=False).loss, b.result(training=True).loss)
