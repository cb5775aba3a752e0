"""The pinball loss of several quantiles."""

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_pinball_loss

from tests.fixtures.losses import batch, rows_of
from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.losses import LOSSES
from trainable.losses.quantile import QuantileConfig, levels_of
from trainable.validation import validate

LOSS = LOSSES["quantile"]


def test_value_is_the_mean_of_sklearns_over_the_quantiles() -> None:
    b = batch("quantile", {"quantiles": "0.05-0.5-0.6-0.9"}, members=2)
    mask = b.targets.mask
    assert mask is not None
    for k, loss in enumerate(b.result().loss):
        rows = mask[k]
        each = [
            mean_pinball_loss(b.targets.y[k][rows], b.prediction[k, :, i][rows], alpha=level)
            for i, level in enumerate((0.05, 0.5, 0.6, 0.9))
        ]
        assert float(loss) == pytest.approx(np.mean(each), rel=1e-12)


def test_descent_finds_the_quantiles() -> None:
    y = torch.linspace(-1, 1, 1001, dtype=torch.float64)[None]
    loss, targets, columns = rows_of("quantile", y)
    p = torch.zeros(3, dtype=torch.float64)
    for _ in range(400):
        slope = loss.of_batch(p.expand(1001, 3), targets, columns, True).slope.sum(0)
        p = p - 0.5 * slope
    torch.testing.assert_close(p, torch.tensor([-0.8, 0.0, 0.8]).double(), rtol=0, atol=0.01)


def test_one_quantile_is_half_the_absolute_error_of_one_output() -> None:
    b = batch("quantile", {"quantiles": "0.5"}, absent=0.0)
    assert b.prediction.shape == b.targets.y.shape
    result = b.result()
    error = b.prediction - b.targets.y
    torch.testing.assert_close(result.loss, error.abs().mean(-1) / 2)
    torch.testing.assert_close(result.slope, error.sign() / 2 / error.shape[-1])
    assert LOSS.heads(QuantileConfig(quantiles="0.5")) == (("quantile", 1),)


def test_the_median_is_traded() -> None:
    p = torch.arange(6.0).view(2, 3)
    assert LOSS.signal(QuantileConfig(quantiles="0.2-0.4-0.5"), p, 1).tolist() == [2.0, 5.0]
    assert LOSS.signal(QuantileConfig(quantiles="0.5"), p, 1) is p


@pytest.mark.parametrize(
    "text", ["", "0.5-", "a-0.5", "0.1-0.9", "0.5-0.1", "0.5-0.5", "0-0.5", "0.5-1", "nan-0.5"]
)
def test_texts_that_are_no_quantiles_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"increasing numbers .* 0\.5 among them.*0\.1-0\.5-0\.9"):
        levels_of(text)
    config = from_params({"loss/name": "quantile", "loss/quantiles": text})
    with pytest.raises(UserError, match="loss/quantiles="):
        validate(config)
    assert levels_of("0.1-0.5-0.9") == (0.1, 0.5, 0.9)
