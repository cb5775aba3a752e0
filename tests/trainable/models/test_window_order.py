"""A planted signal in the order of the window: sequence models learn it, a row model cannot."""

from typing import Any

import pytest
import torch
from torch import Tensor

from trainable.config import from_params
from trainable.models import InputShape, build_model

WINDOW, ROWS = 4, 512
SEQUENCE: dict[str, dict[str, Any]] = {
    "gru": {"hidden": 8},
    "lstm": {"hidden": 8},
    "tcn": {"hidden": 8, "layers": 2},
    "transformer": {"hidden": 16, "layers": 1, "attention_heads": 2},
}


def market(seed: int) -> tuple[Tensor, Tensor]:
    """Windows [R, W, 1], and a target of which neither the last row nor the window's mean tells."""
    x = torch.randn(ROWS, WINDOW, 1, generator=torch.Generator().manual_seed(seed))
    return x, (x[:, -3, 0] - x[:, -2, 0]) / 2**0.5


def explained(name: str, window: int, **values: Any) -> float:
    """The share of new targets' variance that a model explains after 120 steps."""
    params = {f"model/{field}": value for field, value in values.items()}
    config = from_params({"model/name": name, "model/dropout": 0.0, **params}).model
    model = build_model(config, InputShape(window, 1), 0)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    x, y = market(0)
    for _ in range(120):
        optimizer.zero_grad()
        (model(x[:, -window:]) - y).square().mean().backward()
        optimizer.step()
    x, y = market(1)
    with torch.no_grad():
        return 1 - float((model.eval()(x[:, -window:]) - y).square().mean() / y.square().mean())


@pytest.mark.parametrize("name", SEQUENCE)
def test_a_sequence_model_learns_the_order(name: str) -> None:
    assert explained(name, WINDOW, **SEQUENCE[name]) > 0.7


def test_a_row_model_cannot() -> None:
    assert explained("mlp", 1, hidden_dims="16-8", norm=False) < 0.05
