"""tabm: networks that share weights, each its own in training, their mean afterwards."""

import torch

from trainable.models import InputShape, build_model
from trainable.models.tabm import TabmConfig

K = 4
SHAPE = InputShape(2, 3)
CONFIG = TabmConfig(networks=K, hidden_dims="16-8", dropout=0.0)


def row() -> torch.Tensor:
    return torch.randn(1, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_a_prediction_is_the_mean_of_the_networks_that_answer_in_training() -> None:
    model = build_model(CONFIG, SHAPE, 0).double()
    answers = model.train()(row().expand(2 * K, 2, 3))
    assert len(answers.detach().unique()) == K
    torch.testing.assert_close(answers[:K], answers[K:])
    torch.testing.assert_close(model.eval()(row()), answers[:K].mean(0, keepdim=True))
    torch.testing.assert_close(model.train()(row()), answers[:K].mean(0, keepdim=True))


def test_each_network_is_a_perceptron_with_scaled_shared_weights() -> None:
    model = build_model(CONFIG, SHAPE, 0).double()
    parts = model.state_dict()
    for k, answer in enumerate(model.train()(row().expand(K, 2, 3))):
        x = row().flatten()
        for i in range(2):
            own = {n: parts[f"hidden.{i}.{n}"][k] for n in ("input_scale", "output_scale", "bias")}
            weight = parts[f"hidden.{i}.linear.weight"]
            x = (own["output_scale"] * (weight @ (own["input_scale"] * x)) + own["bias"]).relu()
        expected = parts["head.weight"][k] @ x + parts["head.bias"][k]
        torch.testing.assert_close(answer.reshape(1), expected)


def test_networks_differ_by_random_signs_at_first() -> None:
    parts = build_model(TabmConfig(networks=16), InputShape(2, 20), 0).state_dict()
    signs = parts["hidden.0.input_scale"]
    assert signs.abs().eq(1).all()
    assert 0.4 < signs.eq(1).float().mean() < 0.6
    assert parts["hidden.1.input_scale"].eq(1).all()


def test_a_row_teaches_its_network_alone() -> None:
    model = build_model(CONFIG, SHAPE, 0).double().train()
    draw = torch.Generator().manual_seed(1)
    x = torch.randn(64, 2, 3, generator=draw, dtype=torch.float64)
    model(x)[1::K].sum().backward()
    for name, p in model.named_parameters():
        assert p.grad is not None
        if name.endswith(("scale", "bias", "head.weight")):
            others = [k for k in range(K) if k != 1]
            assert not p.grad[others].any()
            assert p.grad[1].any()
