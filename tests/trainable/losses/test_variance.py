"""The variance penalty."""

import pytest
import torch

from tests.fixtures.losses import batch
from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.losses import LOSSES
from trainable.losses.base import Targets
from trainable.validation import validate

SUM = '{"0": {"huber": 1, "variance": 5}}'


@pytest.mark.parametrize("name", ["variance", "weighted"])
def test_system_c3_the_floor_of_the_variance_penalty_is_read(name: str) -> None:
    """Its setting was read by no code."""
    phases = {"phases": SUM} if name == "weighted" else {}
    results = []
    for floor in (0.0, 0.5, 1.0):
        b = batch(name, {**phases, "variance_floor": floor})
        results.append(b.result(prediction=0.1 * b.prediction))
    assert (results[0].loss < results[1].loss).all()
    assert (results[1].loss < results[2].loss).all()
    assert not torch.equal(results[1].slope, results[2].slope)


def test_value_is_the_squared_lack_of_spread_of_each_day() -> None:
    b = batch("variance", {"variance_floor": 0.8}, absent=0.0, days=2, symbols=6)
    p, y = (t.view(3, 2, 6) for t in (0.2 * b.prediction, b.targets.y))
    lack = (0.8 * y.std(-1, correction=0) - p.std(-1, correction=0)).clamp(min=0)
    found = b.result(prediction=0.2 * b.prediction).loss
    torch.testing.assert_close(found, lack.square().mean(-1), rtol=1e-9, atol=0)


def test_single_rows_are_one_batch() -> None:
    b = batch("variance", {"variance_floor": 0.8}, absent=0.0)
    p, y = 0.2 * b.prediction, b.targets.y
    lack = (0.8 * y.std(-1, correction=0) - p.std(-1, correction=0)).clamp(min=0)
    for mask in (None, torch.ones_like(y, dtype=torch.bool)):
        found = b.loss.of_batch(p, Targets(y, mask), b.columns, True).loss
        torch.testing.assert_close(found, lack.square(), rtol=1e-9, atol=0)


def test_descent_raises_the_spread_up_to_the_floor() -> None:
    b = batch("variance", {"variance_floor": 0.5}, absent=0.0, symbols=1)
    p = 0.01 * b.prediction
    for _ in range(200):
        p = p - b.result(prediction=p).slope
    spread = b.targets.y.std(-1, correction=0) / 2
    torch.testing.assert_close(p.std(-1, correction=0), spread, rtol=1e-3, atol=0)


def test_alone_it_is_refused() -> None:
    with pytest.raises(UserError, match=r"loss/name=variance alone .* part of a sum; .* works"):
        validate(from_params({"loss/name": "variance"}))
    validate(from_params({"loss/name": "weighted", "loss/phases": SUM}))
    assert "variance" in LOSSES
