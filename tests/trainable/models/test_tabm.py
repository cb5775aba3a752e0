"""tabm: networks that share weights, and their mean."""

import torch
from torch import Tensor

from trainable.models import InputShape
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
    for training in (True, False):
        made = model.train(training)(inputs())
        torch.testing.assert_close(made, answers.mean(0).squeeze(-1))


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
