"""Why a module cannot train as one program with others: said in plain words, before it trains."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from tests.fixtures.modules import CONVOLUTIONS, TRANSFORMER, Body, registered, windowed
from tests.fixtures.trainings import config
from trainable.executors import EXECUTORS, why_not_fused
from trainable.hyperparameter import entry_name, hyperparameter
from trainable.models import InputShape

SHAPE = InputShape(3, 2)


def body(hidden: Callable[[Body, Tensor], Tensor]) -> Callable[[InputShape], nn.Module]:
    """Body with another hidden layer."""

    class Changed(Body):
        def hidden(self, x: Tensor) -> Tensor:
            return hidden(self, super().hidden(x))

    return Changed


def with_layer(layer: Callable[[], nn.Module]) -> Callable[[InputShape], nn.Module]:
    class Longer(Body):
        def __init__(self, shape: InputShape) -> None:
            super().__init__(shape)
            self.layer = layer()

        def hidden(self, x: Tensor) -> Tensor:
            return self.layer(super().hidden(x))

    return Longer


class Recurrent(Body):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.gru = nn.GRU(shape.features, 4, batch_first=True)

    def hidden(self, x: Tensor) -> Tensor:
        return self.gru(x)[0][:, -1]


class Frozen(Body):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.head.weight.requires_grad_(False)


class Counted(Body):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.count = nn.Parameter(torch.arange(4), requires_grad=False)


class Doubled(Body):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.factor = nn.Parameter(torch.ones(4).double())


class Unused(Body):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.spare = nn.Linear(4, 4)


class Drawn(Body):
    """A projection of its seed, which is no parameter."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.projection = torch.randn(4, 4)

    def hidden(self, x: Tensor) -> Tensor:
        return super().hidden(x) @ self.projection


class Running(Body):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.register_buffer("mean", torch.zeros(4))

    def hidden(self, x: Tensor) -> Tensor:
        x = super().hidden(x)
        self.mean = 0.9 * self.mean + 0.1 * x.detach().mean(0)
        return x - self.mean


class Remembering(Body):
    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.steps = 0

    def hidden(self, x: Tensor) -> Tensor:
        self.steps += 1
        return super().hidden(x) * self.steps


class Gathering(Body):
    """A running mean that is no buffer, in a layer; only as it trains."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.layer = Shifted()
        self.gru = nn.GRU(4, 4)  # for which it would train alone anyway

    def hidden(self, x: Tensor) -> Tensor:
        return self.layer(super().hidden(x))


class Shifted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.means = {"x": torch.zeros(4)}

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            self.means["x"] = 0.9 * self.means["x"] + 0.1 * x.detach().mean(0)
        return x - self.means["x"]


class Previous(Body):
    """The batch before this one is used."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.previous = torch.zeros(())

    def hidden(self, x: Tensor) -> Tensor:
        x = super().hidden(x)
        before, self.previous = self.previous, x.detach().sum()
        return x + before


class Cached(Body):
    """A mask made at the first batch, and the latest activations for whoever wants to look."""

    def __init__(self, shape: InputShape) -> None:
        super().__init__(shape)
        self.mask: Tensor | None = None
        self.latest = torch.zeros(())

    def hidden(self, x: Tensor) -> Tensor:
        if self.mask is None:
            self.mask = torch.ones(4)
        x = super().hidden(x) * self.mask
        self.latest = x.detach()
        return x


class Columns(Body):
    """Two answers to a row that has one."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x).unsqueeze(-1).expand(-1, 2)


class WeightDrop(Body):
    def hidden(self, x: Tensor) -> Tensor:
        return functional.linear(x.flatten(1), self.dropout(self.inputs.weight))


class Checkpointed(Body):
    def hidden(self, x: Tensor) -> Tensor:
        return checkpoint(super().hidden, x, use_reentrant=False)


def jump(self: Body, x: Tensor) -> Tensor:
    return x if x.sum() > 0 else -x


def read(self: Body, x: Tensor) -> Tensor:
    return x * x.sum().item()


CASES: dict[str, tuple[Callable[[InputShape], nn.Module], str]] = {
    "gru": (Recurrent, r"nn.GRU \(gru\) has no form for many members"),
    "batch norm": (with_layer(lambda: nn.BatchNorm1d(4)), r"BatchNorm1d \(layer\) keeps statistic"),
    "other dropout": (with_layer(lambda: nn.AlphaDropout(0.1)), r"AlphaDropout \(layer\) draws"),
    "F.dropout": (
        body(lambda _, x: functional.dropout(x, 0.1)),
        "draws random numbers in another way",
    ),
    "noise": (body(lambda _, x: x + torch.randn_like(x)), "draws random numbers in another way"),
    "frozen": (Frozen, "head.weight is not trained"),
    "whole numbers": (Counted, "count is int64"),
    "float64": (Doubled, "factor is float64"),
    "no gradient": (Unused, "spare.weight gets no gradient"),
    "no parameters": (lambda shape: nn.Flatten(), "no parameters"),
    "drawn": (Drawn, "another seed changes more than its parameters"),
    "running": (Running, "its buffer mean changes in training"),
    "remembering": (Remembering, "^self.steps changes with each batch and is no buffer"),
    "gathering": (Gathering, "^self.layer.means changes with each batch"),
    "previous": (Previous, "remembers earlier batches"),
    "condition": (body(jump), "another course for other values"),
    "item": (body(read), "item"),
    "rows by value": (body(lambda _, x: x[x > 0].mean() + x), "selects rows by their values"),
    "numpy": (body(lambda _, x: x + float(x.detach().numpy().mean())), "leaves torch"),
    "shape": (Columns, r"answers \(2, 2\) to 2 rows, not \(2,\)"),
    "breaks": (body(lambda _, x: x @ torch.ones(5, 4)), "its forward fails: mat1 and mat2"),
    "weights dropped": (WeightDrop, "the dropout dropout drops something else than rows"),
    "checkpoint": (Checkpointed, r"computes parts of its forward again \(checkpoint\)"),
    "slow": (body(lambda _, x: x + torch.histc(x.detach())[:1]), "histc has no form for many"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_cannot_be_fused_is_said_in_words(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, words = CASES[case]
    registered(monkeypatch, lambda c, shape: build(shape))
    own = config(model__name="own")
    why = why_not_fused(own, SHAPE)
    assert why is not None
    assert re.search(words, why), why
    with pytest.raises(ValueError, match="own cannot be fused"):
        EXECUTORS["vmapped"]([own], SHAPE, torch.device("cpu"), torch.float32)


@pytest.mark.parametrize("name", [CONVOLUTIONS, TRANSFORMER])
def test_what_can_be_fused(name: str) -> None:
    assert why_not_fused(windowed(name), SHAPE) is None
    assert why_not_fused(config(), SHAPE) is None


def test_what_is_made_once_or_only_kept_to_look_at_can_be_fused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered(monkeypatch, lambda c, shape: Cached(shape))
    assert why_not_fused(config(model__name="own"), SHAPE) is None


def test_a_layer_that_is_only_there_with_dropout_does_not_matter_if_names_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Conditional(Body):
        def __init__(self, shape: InputShape, dropout: float) -> None:
            super().__init__(shape)
            self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()

    def shifting(config: Any, shape: InputShape) -> nn.Module:
        layers = [nn.Flatten(), nn.Linear(6, 4), nn.Dropout(config.dropout), nn.Linear(4, 1)]
        return nn.Sequential(*(layers if config.dropout else layers[:2] + layers[3:]), Last())

    class Last(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.squeeze(-1)

    registered(monkeypatch, lambda c, shape: Conditional(shape, c.dropout))
    assert why_not_fused(config(model__name="own"), SHAPE) is None
    registered(monkeypatch, shifting)
    why = why_not_fused(config(model__name="own"), SHAPE)
    assert why == "model/dropout changes the names or sizes of its parameters"


def test_members_may_differ_in_shares_of_dropout_only(monkeypatch: pytest.MonkeyPatch) -> None:
    @dataclass(frozen=True)
    class Sloped:
        name: str = entry_name("own")
        dropout: float = hyperparameter(0.0, "share", low=0, high=0.9, per_member=True)
        slope: float = hyperparameter(0.1, "of the activation", low=0, per_member=True)

    class Activated(Body):
        def __init__(self, shape: InputShape, slope: float) -> None:
            super().__init__(shape)
            self.slope = slope

        def hidden(self, x: Tensor) -> Tensor:
            return functional.leaky_relu(super().hidden(x), self.slope)

    registered(monkeypatch, lambda c, shape: Activated(shape, c.slope), config=Sloped)
    why = why_not_fused(config(model__name="own"), SHAPE)
    assert why == "members differ in model/slope, which is no share of dropout"
