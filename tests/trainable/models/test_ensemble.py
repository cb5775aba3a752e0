"""ensemble: which columns each network sees, and what its weights are fitted on."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from trainable.cli.errors import UserError
from trainable.models import InputShape, build_model
from trainable.models.ensemble import EnsembleConfig, fits_weights

GROUPS = ("price", "calendar", "volume", "price", "volatility")
SHAPE = InputShape(2, 5, groups=GROUPS)
CONFIG = EnsembleConfig(hidden_dims="8-4", dropout=0.0)
SEES = {"price": [0, 1, 3], "volume": [1, 2], "volatility": [1, 4]}


def inputs(rows: int = 100) -> Tensor:
    return torch.randn(rows, 2, 5, generator=torch.Generator().manual_seed(0))


def answers_of(model: torch.nn.Module, x: Tensor) -> Tensor:
    """The answers [B, 3] of the three networks."""
    each = [
        model.get_submodule(f"head_{group}")(model.get_submodule(group)(x)).squeeze(-1)
        for group in SEES
    ]
    return torch.stack(each, -1)


@pytest.mark.parametrize("group", SEES)
def test_a_network_sees_its_group_and_columns_of_none(group: str) -> None:
    model = build_model(CONFIG, SHAPE, 0).eval()
    x = inputs().requires_grad_()
    model.get_submodule(group)(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum((0, 1)).nonzero().flatten().tolist() == SEES[group]


def test_a_prediction_is_the_weighted_average() -> None:
    model = build_model(CONFIG, SHAPE, 0).eval()
    weights = model.get_parameter("weights")
    torch.testing.assert_close(model(inputs()), answers_of(model, inputs()).mean(-1))
    weights.data.copy_(torch.tensor([2.0, 1.0, 4.0]).log())
    expected = answers_of(model, inputs()) @ torch.tensor([2.0, 1.0, 4.0]) / 7
    torch.testing.assert_close(model(inputs()), expected)


def test_weights_and_networks_learn_from_different_rows() -> None:
    x = inputs(400)
    held = fits_weights(x)
    assert 0.12 < held.float().mean() < 0.28
    for rows, of_weights in ((held, True), (~held, False)):
        model = build_model(CONFIG, SHAPE, 0).train()
        (model(x[rows]) - 1).square().mean().backward()
        for name, p in model.named_parameters():
            assert p.grad is not None
            assert bool(p.grad.any()) == ((name == "weights") == of_weights), name


def test_a_row_stays_on_its_side() -> None:
    x, order = inputs(), torch.randperm(100, generator=torch.Generator().manual_seed(1))
    assert torch.equal(fits_weights(x)[order], fits_weights(x[order]))
    assert not fits_weights(torch.zeros(3, 2, 5)).any()
    assert not fits_weights(torch.ones(3, 2, 5)).any()


def test_the_better_network_gains_weight() -> None:
    torch.manual_seed(0)
    model = build_model(CONFIG, SHAPE, 0).train()
    x = inputs(400)
    y = x[:, -1, 2]  # of the volume
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        (model(x) - y).square().mean().backward()
        optimizer.step()
    weights = dict(zip(SEES, model.get_parameter("weights").tolist(), strict=True))
    assert weights["volume"] > max(weights["price"], weights["volatility"])


def test_features_of_one_group_alone_are_refused() -> None:
    with pytest.raises(UserError) as raised:
        build_model(CONFIG, replace(SHAPE, groups=("price",) * 5), 0)
    assert str(raised.value) == (
        "model/name=ensemble averages networks on price, volume, volatility features, and there "
        "are price features alone; fix.model/name=mlp works"
    )


def test_of_two_groups_two_networks_are_averaged() -> None:
    """Daily closes without a volume, say."""
    groups = ("price", "volatility", "extra", "price", "volatility")
    model = build_model(CONFIG, replace(SHAPE, groups=groups), 0).eval()
    each = {
        group: model.get_submodule(f"head_{group}")(model.get_submodule(group)(inputs()))
        for group in ("price", "volatility")
    }
    expected = torch.cat(list(each.values()), -1).mean(-1)
    torch.testing.assert_close(model(inputs()), expected)
    assert model.get_parameter("weights").shape == (2,)
    assert not any(name.startswith("volume") for name, _ in model.named_parameters())


def test_of_ready_features_each_network_sees_all() -> None:
    for groups in ((), ("ready",) * 5):
        model = build_model(CONFIG, replace(SHAPE, groups=groups), 0).eval()
        for group in SEES:
            x = inputs().requires_grad_()
            model.get_submodule(group)(x).square().sum().backward()
            assert x.grad is not None
            assert x.grad.abs().sum((0, 1)).bool().all()
