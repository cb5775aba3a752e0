"""Attention of each symbol to those that it is connected with."""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from trainable.models.base import EDGE_FEATURES, Days
from trainable.models.layers.heads import initialised


class GraphAttention(nn.Module):
    """A GATv2 layer over lists of neighbours (Brody, Alon, Yahav 2022, eq. 7).

    score(i, j) = a · LeakyReLU(W₁h_i + W₂h_j + W₃e_ij) for each head; the new value of i is the sum
    of W₂h_j weighted by a softmax over its connections. Its mean over all heads' parts is not
    taken: they stand side by side. Added to h after ELU and dropout, then LayerNorm.

    A symbol without a connection gets nothing added. Connections are dropped in training, that of a
    symbol with itself never.

    Args:
        width: values of a symbol, a multiple of `heads`.
        heads: of the attention.
        dropout: share of new values dropped.
        edge_dropout: share of connections dropped.
    """

    def __init__(self, width: int, heads: int, dropout: float, edge_dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.target = initialised(nn.Linear(width, width))
        self.source = initialised(nn.Linear(width, width))
        self.edge = nn.Linear(EDGE_FEATURES, width, bias=False)
        nn.init.xavier_uniform_(self.edge.weight)
        self.score = nn.Parameter(nn.init.xavier_uniform_(torch.empty(heads, width // heads)))
        self.edge_dropout = nn.Dropout(edge_dropout)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Tensor, days: Days) -> Tensor:
        """Maps h [D, N, width] to the same; of `days` the neighbours, edges and connections."""
        alone, others = days.connected.split([1, days.connected.shape[-1] - 1], -1)
        kept = self.edge_dropout(others.to(h.dtype)) > 0
        connected = torch.cat([alone, kept], -1).unsqueeze(-1)  # [D, N, k, 1]
        first = torch.arange(len(h), device=h.device).mul(h.shape[1]).view(-1, 1, 1)
        theirs = self.source(h).flatten(0, 1)[days.neighbours + first]  # [D, N, k, width]
        sums = leaky_relu(self.target(h).unsqueeze(2) + theirs + self.edge(days.edges), 0.2)
        scores = (sums.unflatten(-1, (self.heads, -1)) * self.score).sum(-1)
        scores = scores.masked_fill(~connected, torch.finfo(scores.dtype).min)
        shares = scores.softmax(2).masked_fill(~connected, 0).unsqueeze(-1)
        new = (shares * theirs.unflatten(-1, (self.heads, -1))).sum(2).flatten(2)
        return self.norm(h + self.dropout(nn.functional.elu(new)))
