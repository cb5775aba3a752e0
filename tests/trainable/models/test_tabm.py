"""tabm: networks that share weights, their losses, and their mean."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.fixtures.trainings import config
from trainable.executors import EXECUTORS
from trainable.losses.base import RowFacts, Targets
from trainable.models import InputShape, build_model
from trainable.models.tabm import Tabm, TabmConfig

K = 4
SHAPE = InputShape(2, 3)
CONFIG = TabmConfig(networks=K, hidden_dims="16-8", dropout=0.0)


def inputs() -> Tensor:
    return torch.randn(5, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def moved() -> Tabm:
    """A float64 model away from its initial weights."""
    torch.manual_seed(0)
    model = Tabm(CONFIG, SHAPE).double()
    for p in model.parameters():
        p.data += 0.3 * torch.randn_like(p)
    return model


def test_a_prediction_is_the_mean_of_the_networks() -> None:
    model = moved()
    answers = model.each(inputs())
    assert answers.shape == (K, 5, 1)
    assert (answers.std(0) > 1e-3).all()
    torch.testing.assert_close(model.eval()(inputs()), answers.mean(0).squeeze(-1))
    torch.testing.assert_close(model.train()(inputs()), answers.squeeze(-1))


def test_each_network_is_a_perceptron_with_scaled_shared_weights() -> None:
    model = moved()
    parts = model.state_dict()
    for k, answers in enumerate(model.each(inputs())):
        x = inputs().flatten(1)
        for i in range(2):
            own = {n: parts[f"hidden.{i}.{n}"][k] for n in ("input_scale", "output_scale", "bias")}
            products = (own["input_scale"] * x) @ parts[f"hidden.{i}.linear.weight"].t()
            x = (own["output_scale"] * products + own["bias"]).relu()
        expected = x @ parts["head.weight"][k].t() + parts["head.bias"][k]
        torch.testing.assert_close(answers, expected)


def test_networks_differ_by_random_signs_at_first() -> None:
    parts = Tabm(TabmConfig(networks=16), InputShape(2, 20)).state_dict()
    signs = parts["hidden.0.input_scale"]
    assert signs.abs().eq(1).all()
    assert 0.4 < signs.eq(1).float().mean() < 0.6
    assert parts["hidden.1.input_scale"].eq(1).all()


ROWS = 12
SOME: dict[str, Any] = {"model__name": "tabm", "model__networks": K, "model__hidden_dims": "6"}
WEIGHTED = {"loss__name": "weighted", "loss__phases": '{"0": {"mse": 2.0, "ic": 0.3}}'}


@pytest.mark.parametrize("executor", ["solo", "vmapped", "serial"])
@pytest.mark.parametrize(
    "loss",
    [{"loss__name": "mse", "train__accumulate": 2}, {"loss__name": "adaptive_huber"}, WEIGHTED],
    ids=["parts", "following", "weighted"],
)
def test_the_training_loss_is_the_mean_of_the_networks_losses(
    executor: str, loss: dict[str, Any]
) -> None:
    """(Gorishniy et al. 2024.) Against autograd on each network's loss, for two members."""
    count = 1 if executor == "solo" else 2
    sgd = {"optimizer__name": "sgd", "optimizer__weight_decay": 0.0, "optimizer__clip": 1e6}
    configs = [config(**SOME, **loss, **sgd, train__seed=k) for k in range(count)]
    made = EXECUTORS[executor](configs, SHAPE, torch.device("cpu"), torch.float64)
    draw = torch.Generator().manual_seed(3)
    x = torch.randn(count, ROWS, 2, 3, generator=draw, dtype=torch.float64)
    y = torch.randn(count, ROWS, generator=draw, dtype=torch.float64)
    mask = torch.rand(count, ROWS, generator=draw) < 0.8
    facts = RowFacts(torch.ones(1, dtype=torch.float64), y, 4, 0.0)
    made.plan(np.full((1, count), 0.1))
    result = made.step(0, made.prepare(x), Targets(y, mask, facts))
    for k in range(count):
        model = build_model(configs[k].model, SHAPE, configs[k].train.seed).double().train()
        losses = [own_loss(p, y[k], mask[k], loss) for p in model(x[k])]
        mean = torch.stack(losses).mean()
        mean.backward()
        slopes = [p.grad for p in model.parameters() if p.grad is not None]
        norm = torch.stack([slope.square().sum() for slope in slopes]).sum().sqrt()
        assert float(result.loss[k]) == pytest.approx(float(mean.detach()), rel=1e-9)
        assert float(result.norm[k]) == pytest.approx(float(norm), rel=1e-9)
        assert norm > 0


def own_loss(p: Tensor, y: Tensor, mask: Tensor, loss: dict[str, Any]) -> Tensor:
    """A network's loss, written again."""
    size = (p - y)[mask]
    if loss["loss__name"] == "mse":
        return size.square().mean()
    if loss["loss__name"] == "adaptive_huber":
        delta = max(1.0, 2 * float(size.detach().abs().median()))
        return torch.nn.functional.huber_loss(p[mask], y[mask], delta=delta)
    days = [day for day in range(ROWS // 4) if mask[4 * day : 4 * day + 4].sum() >= 3]
    cells = [slice(4 * day, 4 * day + 4) for day in days]
    ics = [torch.corrcoef(torch.stack([p[c][mask[c]], y[c][mask[c]]]))[0, 1] for c in cells]
    return 2.0 * size.square().mean() + 0.3 * (1 - torch.stack(ics).mean())
