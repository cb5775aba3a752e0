"""What every model of the table does, whatever it is."""

from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from trainable.config import from_params
from trainable.models import MODELS, InputShape, build_model, count_parameters
from trainable.validation import validate

TINY: dict[str, dict[str, Any]] = {
    "mlp": {"hidden_dims": "8-4"},
    "tabm": {"hidden_dims": "8-4", "networks": 3},
    "ensemble": {"hidden_dims": "8-4"},
    "gru": {"hidden": 4, "layers": 2},
    "lstm": {"hidden": 4, "layers": 2},
    "tcn": {"hidden": 4, "layers": 2},
    "transformer": {"hidden": 8, "layers": 2, "attention_heads": 2},
    "graph": {"hidden": 8, "attention_heads": 2, "graph_heads": 2},
}
HEADS = (("return", 2), ("action", 3))
GROUPS = ("price", "volume", "volatility")
SHAPE = InputShape(4, 3, groups=GROUPS)
MANY = InputShape(4, 3, HEADS, GROUPS)
K, B = 3, 8

OF_ROWS = [name for name, model in MODELS.items() if model.batches == "rows"]

every = pytest.mark.parametrize("name", MODELS)
each = pytest.mark.parametrize("name", OF_ROWS)  # those over whole days: test_graph.py
each_shape = pytest.mark.parametrize("shape", [SHAPE, MANY], ids=["one", "several"])


def answered(name: str, model: nn.Module, x: Tensor) -> Tensor:
    """One answer a row, also of a model in training whose networks answer one each."""
    y = model(x)
    return y.mean(0) if model.training and MODELS[name].separate_losses else y


def config_of(name: str, **values: Any) -> Any:
    """A small model's configuration."""
    own = {**TINY.get(name, {}), **values}
    return from_params({"model/name": name, **{f"model/{k}": v for k, v in own.items()}}).model


def inputs(shape: InputShape = SHAPE, rows: int = B, seed: int = 0, scale: float = 1.0) -> Tensor:
    draw = torch.Generator().manual_seed(seed)
    return scale * torch.randn(rows, shape.window, shape.features, generator=draw)


@every
def test_the_default_configuration_is_valid(name: str) -> None:
    validate(from_params({"model/name": name}))
    assert name in str(config_of(name))


@each
@pytest.mark.parametrize("rows", [1, 5])
def test_a_window_becomes_one_raw_number(name: str, rows: int) -> None:
    model = build_model(config_of(name), SHAPE, 0).eval()
    x = inputs(rows=rows, scale=50)
    y = model(x)
    assert y.shape == (rows,)
    assert y.isfinite().all()
    torch.testing.assert_close(y[:1], model(x[:1]))


@each
@pytest.mark.parametrize("rows", [1, 5])
def test_several_heads_are_answered_side_by_side(name: str, rows: int) -> None:
    for mode in (True, False):
        model = build_model(config_of(name), MANY, 0).train(mode)
        assert answered(name, model, inputs(MANY, rows)).shape == (rows, 5)


@each
def test_system_b2_a_last_batch_of_one_keeps_its_dimension(name: str) -> None:
    shape = InputShape(1, 3)
    for mode in (True, False):
        model = build_model(config_of(name), shape, 0).train(mode)
        assert answered(name, model, inputs(shape, rows=1)).shape == (1,)
        assert answered(name, model, inputs(shape, rows=2)).shape == (2,)


@each
@each_shape
@pytest.mark.parametrize("dropout", [0.0, 0.9])
def test_every_parameter_gets_a_finite_gradient(
    name: str, shape: InputShape, dropout: float
) -> None:
    torch.manual_seed(0)
    model = build_model(config_of(name, dropout=dropout), shape, 0).train()
    answers = model(inputs(shape, rows=64))
    (answers - 1).square().mean().backward()
    for parameter, p in model.named_parameters():
        assert p.grad is not None, parameter
        assert p.grad.isfinite().all(), parameter
        assert dropout or p.grad.any(), parameter


@each
@each_shape
def test_it_trains_under_autocast(name: str, shape: InputShape) -> None:
    model = build_model(config_of(name), shape, 0).train()
    with torch.autocast("cpu", torch.bfloat16):
        answers = model(inputs(shape, rows=64))
    answers.backward(torch.ones_like(answers))
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@every
def test_heads_are_called_so(name: str) -> None:
    for shape in (SHAPE, MANY):
        names = dict(build_model(config_of(name), shape, 0).named_parameters())
        assert any(parameter.startswith("head") for parameter in names)


@each
def test_a_saved_model_predicts_the_same(name: str) -> None:
    model, other = (build_model(config_of(name), MANY, seed).eval() for seed in (0, 1))
    x = inputs(MANY)
    assert not torch.equal(model(x), other(x))
    other.load_state_dict(load(save(dict(model.state_dict()))))
    assert torch.equal(model(x), other(x))


@every
def test_all_that_is_learned_is_a_parameter(name: str) -> None:
    model = build_model(config_of(name), SHAPE, 0)
    assert list(model.state_dict()) == [parameter for parameter, _ in model.named_parameters()]


@every
def test_initial_weights_are_those_of_the_seed_alone(name: str) -> None:
    config = config_of(name)
    torch.manual_seed(1)
    a = build_model(config, SHAPE, 7)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.rand(1) == drawn, "building a model must not draw from the global generator"
    b, c = build_model(config, SHAPE, 7), build_model(config, SHAPE, 8)
    pairs = list(zip(a.parameters(), b.parameters(), c.parameters(), strict=True))
    assert all(torch.equal(p, q) for p, q, _ in pairs)
    assert any(not torch.equal(p, r) for p, _, r in pairs)


@every
@each_shape
def test_parameters_are_counted_without_a_draw(name: str, shape: InputShape) -> None:
    config, before = config_of(name), torch.random.get_rng_state()
    built = build_model(config, shape, 0)
    assert count_parameters(config, shape) == sum(p.numel() for p in built.parameters())
    assert torch.equal(torch.random.get_rng_state(), before)


@each
def test_predictions_begin_near_zero_and_of_both_signs(name: str) -> None:
    model = build_model(config_of(name), SHAPE, 0).eval()
    y = model(inputs(rows=200))
    assert y.abs().mean() < 2
    assert y.std() > 1e-3
    assert (y - y.mean() > 0).any()
    assert not any(isinstance(m, nn.Sigmoid | nn.BatchNorm1d) for m in model.modules())


@each
def test_the_loss_falls_on_a_toy(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(config_of(name, dropout=0.0), SHAPE, 0).train()
    x = inputs(rows=128)
    y = x[:, -1].sum(1) / 3**0.5
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(40):
        loss = (model(x) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]


@each
@pytest.mark.parametrize("training", [True, False])
def test_no_row_of_a_batch_influences_another(name: str, training: bool) -> None:
    model = build_model(config_of(name, dropout=0.0), MANY, 0).train(training)
    x = inputs(MANY)
    before = answered(name, model, x)
    x[3] = 100 * torch.randn(x.shape[1:], generator=torch.Generator().manual_seed(5))
    after = answered(name, model, x)
    others = [row for row in range(B) if row != 3]
    torch.testing.assert_close(after[others], before[others])
    assert not torch.allclose(after[3], before[3])


@each
def test_dropout_is_for_training_only(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(config_of(name, dropout=0.5), SHAPE, 0)
    without = build_model(config_of(name, dropout=0.0), SHAPE, 0)
    x = inputs(rows=64)
    torch.testing.assert_close(model.eval()(x), without.eval()(x))
    assert not torch.allclose(model.train()(x), without.train()(x))
    drops = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    assert drops
    assert all(m.p == 0.5 for m in drops)


@each
@each_shape
@pytest.mark.parametrize("training", [True, False])
def test_members_trained_as_one_program_are_those_trained_alone(
    name: str, shape: InputShape, training: bool
) -> None:
    models = [
        build_model(config_of(name, dropout=0.0), shape, seed).double().train(training)
        for seed in range(K)
    ]
    x = torch.stack([inputs(shape, rows=B, seed=k) for k in range(K)]).double()

    def loss(parameters: dict[str, Tensor], x: Tensor) -> Tensor:
        return functional_call(models[0], parameters, (x,)).sin().mean()

    own = [{n: p.detach() for n, p in model.named_parameters()} for model in models]
    together = {n: torch.stack([parameters[n] for parameters in own]) for n in own[0]}
    with sdpa_kernel(SDPBackend.MATH):  # as the executor has it
        answers = vmap(lambda p, x: functional_call(models[0], p, (x,)))(together, x)
        gradients = vmap(grad(loss))(together, x)
    for k, model in enumerate(models):
        expected = model(x[k])
        torch.testing.assert_close(answers[k], expected, rtol=1e-9, atol=1e-9)
        expected.sin().mean().backward()
        for parameter, p in model.named_parameters():
            assert p.grad is not None
            torch.testing.assert_close(gradients[parameter][k], p.grad, rtol=1e-9, atol=1e-9)
