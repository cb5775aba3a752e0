"""The networks of the features of a graph network, and the factors that drop their values."""

import pytest
import torch
from torch import Tensor
from torch.nn.functional import elu, glu, layer_norm

from trainable.models.layers.feature_networks import FeatureNetworks, kept
from trainable.models.layers.selection import VariableSelection

FEATURES, INNER, ROWS = 3, 2, 7


def given(share: float) -> list[Tensor | None]:
    """What the networks take, in float64."""
    torch.manual_seed(3)
    sizes = [
        (FEATURES, ROWS), (FEATURES, ROWS), (FEATURES, 1, 2 * INNER), (FEATURES, 1, 2 * INNER),
        (FEATURES, INNER, INNER), (FEATURES, 1, INNER), (FEATURES, INNER, 2 * INNER),
        (FEATURES, 1, 2 * INNER),
    ]  # fmt: skip
    values: list[Tensor | None] = [
        torch.randn(size, dtype=torch.float64).requires_grad_() for size in sizes
    ]
    like = torch.empty(0, dtype=torch.float64)
    return [*values, kept((FEATURES, INNER, ROWS), share, like) if share else None]


def written_out(values: list[Tensor | None]) -> Tensor:
    """The same by autograd, one feature after another."""
    factor = values[-1]
    found = []
    for i in range(FEATURES):
        x, weight, first, first_bias, hidden, hidden_bias, gate, gate_bias = (
            each[i] for each in values[:-1] if each is not None
        )
        new, passed = (x.unsqueeze(-1) @ first + first_bias).chunk(2, -1)
        h = elu(new) @ hidden + hidden_bias
        h = h if factor is None else h * factor[i].T
        out = layer_norm(passed + glu(h @ gate + gate_bias, -1), (INNER,))
        found.append((out * weight.unsqueeze(-1)).T)
    return torch.stack(found)


@pytest.mark.parametrize("share", [0, 0.4])
def test_answers_and_gradients_are_those_of_autograd(share: float) -> None:
    values = given(share)
    expected, found = written_out(values), FeatureNetworks.apply(*values)
    torch.testing.assert_close(found, expected)
    leaves = [each for each in values[:-1] if each is not None]
    slope = torch.randn_like(expected)
    wanted = torch.autograd.grad(expected, leaves, slope, retain_graph=True)
    for _ in range(2):  # a second backward finds what it needs unchanged
        got = torch.autograd.grad(found, leaves, slope, retain_graph=True)
        for each, other in zip(got, wanted, strict=True):
            torch.testing.assert_close(each, other)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_the_share_is_dropped_and_the_mean_kept(share: float) -> None:
    torch.manual_seed(0)
    factors = kept((30, 40, 33), share, torch.empty(0))
    size = factors.numel()
    dropped = float((factors == 0).double().mean())
    assert abs(dropped - share) < 5 * (share * (1 - share) / size) ** 0.5
    (left,) = factors[factors > 0].unique().tolist()
    assert left == pytest.approx(1 / (1 - share), rel=1e-4)


def test_draws_are_those_of_the_default_generator() -> None:
    torch.manual_seed(5)
    first = kept((9, 9), 0.5, torch.empty(0))
    torch.manual_seed(5)
    assert torch.equal(kept((9, 9), 0.5, torch.empty(0)), first)
    assert not torch.equal(kept((9, 9), 0.5, torch.empty(0)), first)


def test_products_in_bfloat16_leave_the_networks_in_float32() -> None:
    torch.manual_seed(0)
    layer = VariableSelection(FEATURES, INNER, 4, 0.2, 0.01)
    x = torch.randn(2, 5, FEATURES)
    with torch.autocast("cpu", torch.bfloat16):
        found = layer(x, torch.ones(2, dtype=torch.bool))
    found.float().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
        assert parameter.grad.dtype == torch.float32, name
