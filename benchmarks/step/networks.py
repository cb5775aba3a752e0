"""Networks over windows without a form written by hand: what `vmapped` is measured on."""

import re
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainable.hyperparameter import entry_name, hyperparameter
from trainable.models import MODELS, InputShape, Model, ModelConfig
from trainable.models.base import one_output

TYPED = re.compile(r"(convolutions|transformer)(\d+)x(\d+)w(\d+)")
HEAD_SIZE = 8  # at least, of attention


class Size(NamedTuple):
    """Width and number of layers, and rows of a window."""

    width: int
    layers: int
    window: int


def window_of(network: str) -> int | None:
    """Returns the window of a network, which is an entry of `MODELS` from then on.

    Args:
        network: kind, width, layers and window, as `convolutions20x3w20`; None: it is none.
    """
    found = TYPED.fullmatch(network)
    if found is None:
        return None
    MODELS.setdefault(network, entry_of(network))
    return int(found[4])


@cache
def entry_of(network: str) -> Model:
    """Returns the entry of a network, as typed for `window_of`."""
    found = TYPED.fullmatch(network)
    assert found is not None
    kind, *numbers = found.groups()
    size = Size(*map(int, numbers))
    return Model(_config_class(network), lambda c, shape: KINDS[kind](c, shape, size))


def _config_class(entry: str) -> type[ModelConfig]:
    @dataclass(frozen=True)
    class Config:
        """A network's dropout; its sizes stand in its name."""

        name: str = entry_name(entry)
        dropout: float = hyperparameter(
            0.3,
            "share of activations dropped after each hidden layer",
            low=0,
            high=0.9,
            per_member=True,
        )

        def __str__(self) -> str:
            return self.name

    return Config


class Convolutions(nn.Module):
    """Causal convolutions of three taps, each twice as dilated as the one before."""

    def __init__(self, config: ModelConfig, shape: InputShape, size: Size) -> None:
        super().__init__()
        channels = [shape.features, *[size.width] * size.layers]
        self.convolutions = nn.ModuleList(
            nn.Conv1d(before, after, 3, dilation=2**i)
            for i, (before, after) in enumerate(pairwise(channels))
        )
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(size.width, shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B] or [B, O]."""
        x = x.transpose(1, 2)
        for i, convolution in enumerate(self.convolutions):
            x = self.dropout(convolution(functional.pad(x, (2 * 2**i, 0))).relu())
        return one_output(self.head(x[..., -1]))


class Block(nn.Module):
    """A pre-norm encoder layer: attention and a feed-forward part, dropout after each."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.heads = max(1, min(8, width // HEAD_SIZE))
        self.before, self.between = nn.LayerNorm(width), nn.LayerNorm(width)
        # Attention does not depend on a bias of the keys: its gradient would be rounding alone.
        self.projections = nn.Linear(width, 3 * width, bias=False)
        self.out = nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.dropouts = nn.ModuleList(nn.Dropout(dropout) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        """Maps [B, W, h] to the same shape."""
        batch, window, _ = x.shape
        parts = self.projections(self.before(x)).view(batch, window, 3, self.heads, -1)
        q, k, v = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
        after, middle, end = self.dropouts
        x = x + after(self.out(seen))
        return x + end(self.down(middle(functional.gelu(self.up(self.between(x))))))


class Transformer(nn.Module):
    """Linear → positions → encoder layers → LayerNorm → the last row → Linear."""

    def __init__(self, config: ModelConfig, shape: InputShape, size: Size) -> None:
        super().__init__()
        self.inputs = nn.Linear(shape.features, size.width)
        self.positions = nn.Parameter(0.02 * torch.randn(size.window, size.width))
        self.blocks = nn.ModuleList(Block(size.width, config.dropout) for _ in range(size.layers))
        self.norm = nn.LayerNorm(size.width)
        self.head = nn.Linear(size.width, shape.outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to predictions [B] or [B, O]."""
        x = self.inputs(x) + self.positions
        for block in self.blocks:
            x = block(x)
        return one_output(self.head(self.norm(x[:, -1])))


KINDS = {"convolutions": Convolutions, "transformer": Transformer}
