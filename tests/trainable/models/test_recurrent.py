"""gru and lstm against torch's own, with the same weights."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trainable.config import from_params
from trainable.models import InputShape, build_model

HIDDEN, LAYERS = 3, 2


def both(name: str, window: int) -> tuple[nn.Module, Any, nn.Linear]:
    """Our network, torch's layers with its weights, and a head with its weights; float64."""
    config = from_params(
        {"model/name": name, "model/hidden": HIDDEN, "model/layers": LAYERS, "model/dropout": 0.0}
    )
    ours = build_model(config.model, InputShape(window, 4), 0).double()
    draw = torch.Generator().manual_seed(3)
    for p in ours.parameters():  # biases are 0 at first
        p.data += 0.5 * torch.randn(p.shape, generator=draw, dtype=torch.float64)
    theirs = {"gru": nn.GRU, "lstm": nn.LSTM}[name](4, HIDDEN, LAYERS, batch_first=True).double()
    state = ours.state_dict()
    for i in range(LAYERS):
        weights = [(f"weight_ih_l{i}", "inputs.weight"), (f"weight_hh_l{i}", "recurrent.weight")]
        biases = [(f"bias_ih_l{i}", "inputs.bias"), (f"bias_hh_l{i}", "recurrent.bias")]
        for parameter, ours_name in weights + biases:
            own = state.get(f"layers.{i}.{ours_name}")
            if own is None:  # one bias instead of two
                own = torch.zeros(4 * HIDDEN)
            getattr(theirs, parameter).data.copy_(reordered(name, own))
    head = nn.Linear(HIDDEN, 1).double()
    head.load_state_dict({"weight": state["head.weight"], "bias": state["head.bias"]})
    return ours, theirs, head


def reordered(name: str, gates: Tensor) -> Tensor:
    """Gates in torch's order: an LSTM's are input, forget, candidate, output there."""
    if name == "gru":
        return gates
    i, f, o, g = gates.split(HIDDEN)
    return torch.cat([i, f, g, o])


@pytest.mark.parametrize("name", ["gru", "lstm"])
@pytest.mark.parametrize("window", [1, 6])
def test_answers_and_gradients_are_those_of_torch(name: str, window: int) -> None:
    ours, theirs, head = both(name, window)
    x = torch.randn(5, window, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    answers = ours(x)
    expected = head(theirs(x)[0][:, -1]).squeeze(-1)
    torch.testing.assert_close(answers, expected, rtol=1e-12, atol=1e-12)
    answers.sin().sum().backward()
    expected.sin().sum().backward()
    named = dict(ours.named_parameters())
    for i in range(LAYERS):
        for part, parameter in (("inputs", "ih"), ("recurrent", "hh")):
            by_ours = named[f"layers.{i}.{part}.weight"].grad
            by_theirs = getattr(theirs, f"weight_{parameter}_l{i}").grad
            assert by_ours is not None
            torch.testing.assert_close(reordered(name, by_ours), by_theirs, rtol=1e-10, atol=1e-12)
        by_ours = named[f"layers.{i}.inputs.bias"].grad
        assert by_ours is not None
        by_theirs = getattr(theirs, f"bias_ih_l{i}").grad
        torch.testing.assert_close(reordered(name, by_ours), by_theirs, rtol=1e-10, atol=1e-12)


def test_the_forget_gate_begins_open() -> None:
    config = from_params({"model/name": "lstm", "model/hidden": HIDDEN}).model
    bias = build_model(config, InputShape(2, 4), 0).state_dict()["layers.0.inputs.bias"]
    assert bias.tolist() == [0] * HIDDEN + [1] * HIDDEN + [0] * 2 * HIDDEN
