"""The perceptron: size, initial weights, and the batched form of a model against autograd."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainable.cli.errors import UserError
from trainable.config import from_params
from trainable.models import MODELS, InputShape, build_model, count_parameters
from trainable.models.mlp import MlpConfig

SYSTEM_A = [
    ("512-256-128-64", 180_117),
    ("128-64-32", 12_245),
    ("64-32-16", 3_573),
    ("32-16", 1_013),
]
BATCHED: dict[str, Any] = {name: model.batched for name, model in MODELS.items() if model.batched}
FORMS = [
    (name, norm, dims) for name in BATCHED for norm in (True, False) for dims in ("5", "7-4-3")
]
K, B, INPUTS = 3, 6, 8
SHAPE = InputShape(1, INPUTS)


def config_of(name: str, **values: Any) -> Any:
    """A model's configuration."""
    return MODELS[name].config(**values)


def stack(name: str, config: Any) -> tuple[list[nn.Module], dict[str, Tensor]]:
    """K float64 models away from their initial weights, and the same as batched parts."""
    models = [build_model(config, SHAPE, seed).double() for seed in range(K)]
    draw = torch.Generator().manual_seed(9)
    for model in models:
        for p in model.parameters():
            p.data += 0.3 * torch.randn(p.shape, generator=draw, dtype=torch.float64)
    flat = torch.stack([torch.cat([p.detach().flatten() for p in m.parameters()]) for m in models])
    return models, BATCHED[name](config, SHAPE).views(flat)


@pytest.mark.parametrize(("dims", "count"), SYSTEM_A)
def test_system_a_parameter_counts(dims: str, count: int) -> None:
    config = MlpConfig(hidden_dims=dims)
    assert sum(p.numel() for p in build_model(config, InputShape(1, 10), 0).parameters()) == count
    assert BATCHED["mlp"](config, InputShape(2, 5)).size == count
    assert count_parameters(config, InputShape(2, 5)) == count


def test_parameters_are_counted_per_member() -> None:
    one, other = (MlpConfig(hidden_dims="8-4", dropout=dropout) for dropout in (0.0, 0.3))
    count = 3 * 2 + (3 + 1 + 2) * 8 + (8 + 1 + 2) * 4 + 5
    assert (
        count_parameters(one, InputShape(1, 3))
        == count_parameters(other, InputShape(1, 3))
        == count
    )


@pytest.mark.parametrize("name", BATCHED)
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize(("inputs", "batched"), [(11, True), (12, False)])
def test_parameters_are_counted_without_a_draw(
    name: str, norm: bool, inputs: int, batched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not batched:
        monkeypatch.setitem(MODELS, name, replace(MODELS[name], batched=None))
    shape = InputShape(inputs, 1)
    config, before = config_of(name, hidden_dims="7-4", norm=norm), torch.random.get_rng_state()
    built = build_model(config, shape, 0)
    assert count_parameters(config, shape) == sum(p.numel() for p in built.parameters())
    assert torch.equal(torch.random.get_rng_state(), before)


def test_system_b2_a_last_batch_of_one_keeps_its_dimension() -> None:
    assert build_model(MlpConfig(), InputShape(1, 4), 0)(torch.zeros(1, 1, 4)).shape == (1,)


def test_system_a2_output_is_raw_and_of_both_signs() -> None:
    model = build_model(MlpConfig(hidden_dims="16", dropout=0.0), InputShape(1, 4), 0)
    y = model(torch.randn(200, 1, 4, generator=torch.Generator().manual_seed(0)))
    assert (y < 0).any()
    assert (y > 0).any()
    assert not any(isinstance(m, nn.Sigmoid) for m in model.modules())


def test_mlp_begins_with_xavier_at_half_gain_and_zero_biases() -> None:
    for layer in build_model(MlpConfig(hidden_dims="256-128"), InputShape(1, 10), 0).modules():
        if isinstance(layer, nn.Linear):
            bound = 0.5 * math.sqrt(6 / sum(layer.weight.shape))
            assert 0.8 * bound < layer.weight.abs().max() <= bound
            assert layer.weight.detach().std() == pytest.approx(bound / math.sqrt(3), rel=0.15)
            assert (layer.bias == 0).all()
        if isinstance(layer, nn.LayerNorm):
            assert (layer.weight == 1).all()
            assert (layer.bias == 0).all()


class Misspelt:
    """A configuration that no table knows."""

    name, dropout = "mpl", 0.0


def test_several_heads_are_answered_side_by_side() -> None:
    shape = InputShape(1, 4, heads=(("return", 2), ("action", 3)))
    assert shape.outputs == 5
    assert build_model(MlpConfig(), shape, 0)(torch.zeros(6, 1, 4)).shape == (6, 5)


def test_the_batched_form_has_one_output() -> None:
    shape = InputShape(1, 4, heads=(("return", 2),))
    with pytest.raises(ValueError, match="the batched mlp has one output, not 2"):
        BATCHED["mlp"](MlpConfig(), shape)


def test_unknown_model_is_the_persons_error() -> None:
    with pytest.raises(UserError, match="did you mean 'mlp'"):
        from_params({"model/name": "mpl"})
    with pytest.raises(UserError, match="did you mean 'mlp'"):
        build_model(Misspelt(), SHAPE, 0)


@pytest.mark.parametrize(("name", "norm", "dims"), FORMS)
def test_batched_parts_are_the_modules_parameters(name: str, norm: bool, dims: str) -> None:
    config = config_of(name, norm=norm, hidden_dims=dims)
    batched, model = BATCHED[name](config, SHAPE), build_model(config, SHAPE, 0)
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters()}
    assert list(batched.shapes.items()) == list(shapes.items())
    assert list(shapes) == list(model.state_dict())
    assert batched.size == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize(("name", "norm", "dims"), FORMS)
def test_batched_forward_and_backward_are_autograds(name: str, norm: bool, dims: str) -> None:
    config = config_of(name, norm=norm, hidden_dims=dims, dropout=0.0)
    models, parts = stack(name, config)
    batched = BATCHED[name](config, SHAPE)
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(K, B, 1, INPUTS, generator=draw, dtype=torch.float64)
    slope = torch.randn(K, B, generator=draw, dtype=torch.float64)
    expected = torch.stack([model(x[k]) for k, model in enumerate(models)])
    (expected * slope).sum().backward()

    layers = batched.layers(parts)
    made = batched.forward(layers, batched.prepare(x.flatten(2)), tape=True)
    torch.testing.assert_close(made, expected.detach(), rtol=1e-12, atol=1e-12)
    flat = torch.full((K, batched.size), torch.nan, dtype=torch.float64)
    batched.backward(layers, flat, slope)
    grads = [torch.cat([_grad(p).flatten() for p in m.parameters()]) for m in models]
    torch.testing.assert_close(flat, torch.stack(grads), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("name", "norm", "dims"), FORMS)
def test_batched_backward_with_dropout_is_autograds(name: str, norm: bool, dims: str) -> None:
    config = config_of(name, norm=norm, hidden_dims=dims)
    _, parts = stack(name, config)
    batched = BATCHED[name](config, SHAPE)
    draw = torch.Generator().manual_seed(2)
    x = torch.randn(K, B, INPUTS, generator=draw, dtype=torch.float64)
    slope = torch.randn(K, B, generator=draw, dtype=torch.float64)
    kept = [torch.rand(K, B, width, generator=draw) > 0.4 for width in batched.widths]
    keep = [rows.double() / 0.6 for rows in kept]
    leaves = {n: p.clone().requires_grad_() for n, p in parts.items()}
    x = batched.prepare(x)
    (batched.forward(batched.layers(leaves), x, keep) * slope).sum().backward()

    layers = batched.layers(parts)
    batched.forward(layers, x, keep, tape=True)
    flat = torch.empty(K, batched.size, dtype=torch.float64)
    batched.backward(layers, flat, slope)
    expected = torch.cat([_grad(leaf).flatten(1) for leaf in leaves.values()], dim=1)
    torch.testing.assert_close(flat, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", BATCHED)
def test_a_nan_in_one_member_never_touches_another(name: str) -> None:
    config = config_of(name, hidden_dims="7-4")
    _, parts = stack(name, config)
    batched = BATCHED[name](config, SHAPE)
    x = torch.randn(K, B, INPUTS, generator=torch.Generator().manual_seed(3)).double()
    results = []
    for _ in range(2):
        y = batched.forward(batched.layers(parts), batched.prepare(x), tape=True)
        flat = torch.empty(K, batched.size, dtype=torch.float64)
        batched.backward(batched.layers(parts), flat, y)
        results.append((y, flat))
        for part in parts.values():
            part[1] = torch.nan
    (y, g), (y_nan, g_nan) = results
    assert y_nan[1].isnan().all()
    assert torch.equal(y[[0, 2]], y_nan[[0, 2]])
    assert torch.equal(g[[0, 2]], g_nan[[0, 2]])


def _grad(tensor: Tensor) -> Tensor:
    assert tensor.grad is not None
    return tensor.grad


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize(
    ("inputs", "dims", "said"),
    [
        (1, "4", r"LayerNorm leaves nothing of 1 input; fix\.model/norm=false works"),
        (9, "8-1", r"model/hidden_dims=8-1: .* nothing of a layer of 1 value; wider ones work"),
    ],
)
def test_what_normalisation_leaves_nothing_of_is_refused(
    inputs: int, dims: str, said: str, outputs: int
) -> None:
    """By hand and as a module, which are asked for their sizes before anything starts."""
    shape = InputShape(1, inputs, (("return", outputs),))
    with pytest.raises(UserError, match=said):
        count_parameters(MlpConfig(hidden_dims=dims), shape)
    assert count_parameters(MlpConfig(hidden_dims=dims, norm=False), shape)
