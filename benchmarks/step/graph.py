"""The network `graph` as one usually writes it: what `benchmarks.step` holds ours against.

A small module for each feature, torch's LSTM and multi-head attention over all rows, attention of
each symbol to every other under a mask, and the correlations of a day's past returns computed when
the DataLoader asks for the day. With the same weights it answers the same.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import elu, glu, layer_norm, leaky_relu
from torch.utils.data import Dataset as Items

from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows
from trainable.data.graph.correlation import correlations, past_returns
from trainable.data.graph.day_graph import shown_rows
from trainable.data.graph.neighbours import choose
from trainable.models.graph import GraphConfig, graph_settings
from trainable.models.layers.gated import GatedResidual
from trainable.models.layers.heads import perceptron_head
from trainable.models.layers.positions import sinusoids

Day = tuple[Tensor, ...]  # inputs [N, W, F], mask [N, N], edges [N, N, 2], targets [N]


class DayItems(Items[Day]):
    """The training days of a panel without gaps, each made when it is asked for."""

    def __init__(self, config: GraphConfig, dataset: Dataset, windows: Windows) -> None:
        self.windows, self.settings = windows, graph_settings(config)
        self.returns = torch.from_numpy(past_returns(dataset))
        self.rows = torch.from_numpy(shown_rows(dataset))
        self.bars = torch.from_numpy(dataset.time)[windows.train_rows].unique().tolist()

    def __len__(self) -> int:
        return len(self.bars)

    def __getitem__(self, index: int) -> Day:
        """Returns a day: its windows, who is connected with whom, how, and the targets."""
        bar = self.bars[index]
        found = correlations(self.returns, bar, bar + 1, self.settings.window)
        neighbours, strengths = choose(found, self.settings)
        own = torch.eye(len(found[0]), dtype=torch.bool)
        mask = own.scatter(1, neighbours[0], True)
        strength = own.double().scatter(1, neighbours[0], strengths[0]).masked_fill(own, 1)
        edges = torch.stack([strength, torch.zeros_like(strength)], -1).float()  # no groups
        rows = self.rows[bar]
        return self.windows.at(rows), mask, edges, self.windows.targets(rows)


class FeatureNetwork(nn.Module):
    """The gated residual network of one feature, [B, W, 1] → [B, W, inner]."""

    def __init__(self, inner: int, dropout: float) -> None:
        super().__init__()
        self.first, self.passed = nn.Linear(1, inner), nn.Linear(1, inner)
        self.hidden, self.gate = nn.Linear(inner, inner), nn.Linear(inner, 2 * inner)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Returns what the feature says."""
        new = self.dropout(self.hidden(elu(self.first(x))))
        new = self.passed(x) + glu(self.gate(new), -1)
        return layer_norm(new, new.shape[-1:])


class GraphAttention(nn.Module):
    """A GATv2 layer over all pairs of symbols, those that are not connected masked."""

    def __init__(self, width: int, heads: int, dropout: float, edge_dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.target, self.source = nn.Linear(width, width), nn.Linear(width, width)
        self.edge = nn.Linear(2, width, bias=False)
        self.score = nn.Parameter(torch.randn(heads, width // heads) * (width // heads) ** -0.5)
        self.edge_dropout, self.dropout = nn.Dropout(edge_dropout), nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Tensor, mask: Tensor, edges: Tensor) -> Tensor:
        """Maps h [D, N, width] to the same."""
        others = self.edge_dropout((mask & ~torch.eye(len(mask[0]), dtype=torch.bool)).to(h.dtype))
        mask = (others > 0) | (mask & torch.eye(len(mask[0]), dtype=torch.bool))
        theirs = self.source(h).unsqueeze(1)
        sums = leaky_relu(self.target(h).unsqueeze(2) + theirs + self.edge(edges), 0.2)
        scores = (sums.unflatten(-1, (self.heads, -1)) * self.score).sum(-1)
        scores = scores.masked_fill(~mask.unsqueeze(-1), torch.finfo(h.dtype).min)
        mixed = torch.einsum(
            "dijh,djhc->dihc", scores.softmax(2), theirs[:, 0].unflatten(-1, (self.heads, -1))
        )
        return self.norm(h + self.dropout(elu(mixed.flatten(2))))


class UsualGraph(nn.Module):
    """Window normalisation → variable selection → LSTM, attention or both → GATv2 → fusion."""

    def __init__(self, config: GraphConfig, features: int, window: int) -> None:
        super().__init__()
        width, drop = config.hidden, config.dropout
        inner = max(4, width // 4)
        self.share = nn.Parameter(torch.zeros(features))
        self.networks = nn.ModuleList(FeatureNetwork(inner, drop) for _ in range(features))
        self.weight = nn.Sequential(
            nn.Linear(features, width), nn.ELU(), nn.Dropout(drop), nn.Linear(width, features)
        )
        self.outputs = nn.Linear(features * inner, width)
        self.lstm = nn.LSTM(width, width, batch_first=True)
        self.attention = nn.MultiheadAttention(width, config.attention_heads, batch_first=True)
        self.encoder = config.encoder
        self.positions = nn.Buffer(sinusoids(window, width))
        parts = 2 if config.encoder == "both" else 1
        self.encoded = GatedResidual(parts * width, width, drop)
        self.graph = nn.ModuleList(
            GraphAttention(width, heads, drop, config.edge_dropout)
            for heads in config.heads_of_layers
        )
        self.fusion = GatedResidual(width, width, drop)
        self.head = perceptron_head(width, 1, drop)
        self.l1 = config.selection_l1

    def forward(self, x: Tensor, mask: Tensor, edges: Tensor) -> tuple[Tensor, Tensor]:
        """Maps days [D, N, W, F] to predictions [D, N] and the cost of the selection."""
        days = x.shape[:2]
        x = x.flatten(0, 1)
        centred = x - x.mean(1, keepdim=True)
        scaled = centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt()
        x = torch.lerp(scaled, x, self.share.sigmoid())
        weights = self.weight(x).sigmoid()
        each = [network(x[..., i : i + 1]) for i, network in enumerate(self.networks)]
        rows = self.outputs((torch.stack(each, -2) * weights.unsqueeze(-1)).flatten(-2))
        found = []
        if self.encoder != "attention":
            found.append(self.lstm(rows)[0][:, -1])
        if self.encoder != "lstm":
            at = rows + self.positions
            found.append(self.attention(at, at, at, need_weights=False)[0][:, -1])
        h = mixed = self.encoded(torch.cat(found, -1), rows[:, -1]).unflatten(0, days)
        for layer in self.graph:
            mixed = layer(mixed, mask, edges)
        return self.head(self.fusion(mixed, h)).squeeze(-1), self.l1 * weights.mean()
