"""tcn against dilated nn.Conv1d with the same weights, and which rows it sees."""

import pytest
import torch
from torch import Tensor, nn

from trainable.models import InputShape, build_model, count_parameters
from trainable.models.tcn import TcnConfig


def dilated(model: nn.Module, x: Tensor, layers: int, kernel: int) -> Tensor:
    """The usual form: every row's output of each layer, of which the last one goes to the head."""
    parts = model.state_dict()

    def convolved(x: Tensor, name: str, dilation: int) -> Tensor:
        weight, bias = parts[f"{name}.linear.weight"], parts[f"{name}.linear.bias"]
        weight = weight.unflatten(1, (kernel, -1)).transpose(1, 2)
        padded = nn.functional.pad(x, ((kernel - 1) * dilation, 0))
        return nn.functional.conv1d(padded, weight, bias, dilation=dilation)

    x = x.transpose(1, 2)
    for i in range(layers):
        block = f"blocks.{i}"
        new = convolved(convolved(x, f"{block}.first", 2**i).relu(), f"{block}.second", 2**i)
        if f"{block}.shortcut.weight" in parts:
            weight, bias = parts[f"{block}.shortcut.weight"], parts[f"{block}.shortcut.bias"]
            x = nn.functional.conv1d(x, weight.unsqueeze(-1), bias)
        x = (new.relu() + x).relu()
    return nn.functional.linear(x[:, :, -1], parts["head.weight"], parts["head.bias"]).squeeze(-1)


@pytest.mark.parametrize("window", [1, 2, 7, 20])
@pytest.mark.parametrize(("layers", "kernel"), [(1, 1), (2, 2), (3, 3)])
def test_answers_are_those_of_dilated_convolutions(window: int, layers: int, kernel: int) -> None:
    config = TcnConfig(hidden=4, layers=layers, kernel=kernel)
    model = build_model(config, InputShape(window, 3), 0).double().eval()
    x = torch.randn(5, window, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    expected = dilated(model, x, layers, kernel)
    torch.testing.assert_close(model(x), expected, rtol=1e-12, atol=1e-12)


def test_rows_within_reach_are_seen_and_no_others() -> None:
    config = TcnConfig(hidden=8, layers=2, kernel=3)
    assert config.reach == 13
    model = build_model(config, InputShape(16, 3), 0).eval()
    x = torch.randn(64, 16, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    model(x).sum().backward()
    assert x.grad is not None
    seen = x.grad.abs().sum((0, 2)) > 0
    assert seen.tolist() == [False] * 3 + [True] * 13


def test_the_default_has_about_five_thousand_parameters() -> None:
    assert count_parameters(TcnConfig(), InputShape(20, 10)) == 4609
