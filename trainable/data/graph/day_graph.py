"""The graph of each bar of a dataset, made once, and what a model sees of some of its bars."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from trainable.data.dataset.dataset import Dataset, defined
from trainable.data.graph.correlation import correlations, past_returns
from trainable.data.graph.neighbours import choose
from trainable.models.base import Days, GraphSettings

VALUES = 2**21  # correlations that are worked on at once


@dataclass(frozen=True)
class DayGraph:
    """Who is shown at each bar, and with whom he is connected.

    Attributes:
        rows: [T, N] int64, the dataset's row that is shown; −1: none.
        neighbours: [T, N, k] int16 or int32, symbols; itself where there are fewer. That each is
            connected with itself is not stored.
        correlation: [T, N, k] float16, of these.
        group: [N] int64; −1: unknown.
    """

    rows: Tensor
    neighbours: Tensor
    correlation: Tensor
    group: Tensor

    def showing(self, rows: np.ndarray) -> "DayGraph":
        """Returns the graph in which these rows [T, N] are shown."""
        return replace(self, rows=torch.from_numpy(rows).to(self.rows.device))

    def days(self, bars: Tensor, dtype: torch.dtype) -> Days:
        """Returns what a model sees of bars [..., D]; its first connection is that with itself."""
        present = self.rows[bars] >= 0
        several = self.neighbours[bars].long()
        own = torch.arange(present.shape[-1], device=bars.device).unsqueeze(-1)
        alone = own.expand(*several.shape[:-1], 1)
        neighbours = torch.cat([alone, several], -1)
        theirs = present.gather(-1, neighbours.flatten(-2)).view(neighbours.shape)
        connected = theirs & present.unsqueeze(-1)
        connected[..., 1:] &= several != own
        correlation = self.correlation[bars].to(dtype)
        correlation = torch.cat([torch.ones_like(alone, dtype=dtype), correlation], -1)
        groups = self.group[neighbours]
        same = (groups == self.group.unsqueeze(-1)) & (groups >= 0)
        edges = torch.stack([correlation, same.to(dtype)], -1)
        return Days(present, neighbours, edges, connected)


def day_graph(
    dataset: Dataset, settings: GraphSettings, device: torch.device | str = "cpu"
) -> DayGraph:
    """Returns the graph of all bars of a dataset, in which every row is shown.

    At bar t returns up to its close count, and nothing later.

    Args:
        dataset: of the search, or one to predict on.
        settings: of the graph.
        device: where its tensors are.
    """
    bars, symbols = dataset.tradable.shape
    returns = _returns(dataset, device)
    small = torch.int16 if symbols < 2**15 else torch.int32
    size = _at_once(dataset, settings)
    parts = []
    for first in range(0, bars, size):
        found = correlations(returns, first, min(first + size, bars), settings.window)
        neighbours, strengths = choose(found, settings)
        parts.append((neighbours.to(small), strengths.half()))
    width = max(part.shape[-1] for part, _ in parts)
    own = torch.arange(symbols, dtype=small, device=device).view(-1, 1)
    neighbours = own.expand(bars, symbols, width).contiguous()
    strengths = torch.zeros(bars, symbols, width, dtype=torch.half, device=device)
    for first, (who, how) in zip(range(0, bars, size), parts, strict=True):
        neighbours[first : first + size, :, : who.shape[-1]] = who
        strengths[first : first + size, :, : how.shape[-1]] = how
    group = dataset.symbol_group
    known = np.full(symbols, -1) if group is None else group
    return DayGraph(
        torch.from_numpy(shown_rows(dataset)).to(device),
        neighbours,
        strengths,
        torch.from_numpy(known.astype(np.int64)).to(device),
    )


def seconds_to_make(dataset: Dataset, settings: GraphSettings) -> float:
    """Returns the seconds that a graph would take on this processor, after its last bars."""
    bars = len(dataset.timestamps)
    first = max(bars - _at_once(dataset, settings), 0)
    returns = _returns(dataset, "cpu")
    begun = time.perf_counter()
    choose(correlations(returns, first, bars, settings.window), settings)
    return (time.perf_counter() - begun) * bars / (bars - first)


def _returns(dataset: Dataset, device: torch.device | str) -> Tensor:
    # A CUDA device may be set to products of ten bits, which are too few; it has fast exact ones.
    exact = torch.float64 if torch.device(device).type == "cuda" else torch.float32
    return torch.from_numpy(past_returns(dataset)).to(device, exact)


def _at_once(dataset: Dataset, settings: GraphSettings) -> int:
    """Returns how many bars are worked on at once."""
    symbols = len(dataset.symbols)
    return max(1, VALUES // max(symbols * symbols, symbols * settings.window))


def shown_rows(dataset: Dataset, window: int = 1, names: Sequence[str] = ()) -> np.ndarray:
    """Returns the grid [T, N] int64 of rows that a model over whole days sees; −1 for none.

    A symbol is shown at a bar where the model's own features and window are there, whatever the
    other trials of a search need, and whatever becomes of it later: a label that is missing because
    the symbol is about to end would tell the future.

    Args:
        dataset: that the rows are of.
        window: rows of an input.
        names: features of an input.
    """
    rows = np.flatnonzero(dataset.age >= window)
    columns = np.array([dataset.feature_names.index(name) for name in names], dtype=np.int64)
    rows = rows[defined(dataset.features, rows, columns)]
    grid = np.full(dataset.tradable.shape, -1, np.int64)
    grid[dataset.time[rows], dataset.symbol[rows]] = rows
    return grid
