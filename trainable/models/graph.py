"""A network over whole days: each symbol's window, then the symbols that it is connected with."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn

from trainable.hyperparameter import check_divisible, entry_name, hyperparameter
from trainable.models.base import Days, GraphSettings, InputShape, one_output
from trainable.models.fields import dropout_field, hidden_field
from trainable.models.layers.attention import SelfAttention
from trainable.models.layers.gated import GatedResidual
from trainable.models.layers.graph_attention import GraphAttention
from trainable.models.layers.heads import perceptron_head
from trainable.models.layers.positions import Positions
from trainable.models.layers.recurrent import Lstm
from trainable.models.layers.selection import VariableSelection
from trainable.models.layers.window_norm import WindowNorm

ENCODERS = ("lstm", "attention", "both")
INNER = 4  # a feature's own network is a quarter as wide as the layers, and at least so wide


@dataclass(frozen=True)
class GraphConfig:
    """The network's size and regularisation, and how symbols are connected."""

    name: str = entry_name("graph")
    hidden: int = hidden_field(64)
    encoder: str = hyperparameter("both", "what reads the window", choices=ENCODERS)
    attention_heads: int = hyperparameter(4, "heads of the attention; they divide hidden", low=1)
    graph_layers: int = hyperparameter(2, "graph attentions, one on the other", low=0)
    graph_heads: int = hyperparameter(
        4,
        "heads of the first graph attention, half as many of each next; they divide hidden",
        low=1,
    )
    graph_window: int = hyperparameter(
        60, "bars of past returns that connections are made of; their half-life is half", low=4
    )
    graph_neighbours: int = hyperparameter(
        20, "symbols that each one chooses to connect with, at most; half as many at least", low=1
    )
    graph_threshold: float = hyperparameter(
        0.3, "|correlation| from which more than half of the neighbours are chosen", low=0, high=1
    )
    selection_l1: float = hyperparameter(
        0.01,
        "cost of the mean weight of the features in their selection",
        low=0,
        per_member=True,
    )
    edge_dropout: float = hyperparameter(
        0.1, "share of connections dropped in training", low=0, high=0.9, per_member=True
    )
    dropout: float = dropout_field(0.2, "share of values dropped in each part of the network")

    def __str__(self) -> str:
        return f"{self.name} {self.hidden}x{self.graph_layers}"

    def check(self) -> None:
        """Raises `UserError` unless the heads divide the width."""
        check_divisible("model/hidden", self.hidden, "model/attention_heads", self.attention_heads)
        check_divisible("model/hidden", self.hidden, "model/graph_heads", self.graph_heads)

    @property
    def heads_of_layers(self) -> tuple[int, ...]:
        """Heads of each graph attention, the largest divisors of `hidden` up to the halves."""
        halves = [max(1, self.graph_heads >> layer) for layer in range(self.graph_layers)]
        return tuple(next(n for n in range(h, 0, -1) if self.hidden % n == 0) for h in halves)


def idle(config: GraphConfig) -> frozenset[str]:
    """Returns the fields without effect: of attentions that are not there."""
    found = set() if config.encoder != "lstm" else {"attention_heads"}
    if config.graph_layers == 0:
        found |= {"edge_dropout"} | {f.name for f in fields(config) if f.name.startswith("graph_")}
    return frozenset(found - {"graph_layers"})


def graph_settings(config: GraphConfig) -> GraphSettings:
    """Returns how the symbols are connected."""
    return GraphSettings(config.graph_window, config.graph_neighbours, config.graph_threshold)


class Graph(nn.Module):
    """Window normalisation → variable selection → encoder → graph attention → fusion → heads.

    The encoder is an LSTM, a self-attention of the present row over the window, or both side by
    side; its last step is added to the present row's values by a gated residual. The graph
    attentions work on the present step of all symbols of a day; what they found is added by another
    gated residual. Each head is a perceptron called `head_NAME`. Nothing is padded: a window is
    whole, and absent symbols are no neighbour's.
    """

    def __init__(self, config: GraphConfig, shape: InputShape) -> None:
        super().__init__()
        hidden, dropout = config.hidden, config.dropout
        inner = max(INNER, hidden // INNER)  # LayerNorm leaves nothing of one value
        self.window_norm = WindowNorm(shape.features)
        self.selection = VariableSelection(
            shape.features, inner, hidden, dropout, config.selection_l1
        )
        self.lstm = self.attention = None
        if config.encoder != "attention":
            self.lstm = Lstm(hidden, hidden)
        if config.encoder != "lstm":
            self.positions = Positions(shape.window, hidden, learned=False)
            self.attention = SelfAttention(hidden, config.attention_heads)
        parts = 2 if config.encoder == "both" else 1
        self.encoded = GatedResidual(parts * hidden, hidden, dropout)
        self.graph = nn.ModuleList(
            GraphAttention(hidden, heads, dropout, config.edge_dropout)
            for heads in config.heads_of_layers
        )
        self.fusion = GatedResidual(hidden, hidden, dropout)
        self.heads = [f"head_{name}" for name, _ in shape.heads]
        for name, (_, size) in zip(self.heads, shape.heads, strict=True):
            self.add_module(name, perceptron_head(hidden, size, dropout))

    def forward(self, x: Tensor, days: Days) -> Tensor:
        """Maps windows [D·N, W, F] to predictions [D·N], or [D·N, O] of several outputs.

        Args:
            x: windows of all symbols of D days, whatever numbers of absent ones.
            days: who is present and with whom each is connected.
        """
        h = self.encode(x, days.present.flatten()).unflatten(0, days.present.shape)
        mixed = h
        for layer in self.graph:
            mixed = layer(mixed, days)
        fused = self.fusion(mixed, h).flatten(0, 1)
        return one_output(torch.cat([self.get_submodule(name)(fused) for name in self.heads], -1))

    def encode(self, x: Tensor, present: Tensor) -> Tensor:
        """Returns what the windows [B, W, F] say by themselves, [B, hidden]."""
        rows = self.selection(self.window_norm(x), present)
        found = []
        if self.lstm is not None:
            found.append(self.lstm(rows)[-1])
        if self.attention is not None:
            found.append(self.attention(self.positions(rows), last=True)[:, 0])
        return self.encoded(torch.cat(found, -1), rows[:, -1])
