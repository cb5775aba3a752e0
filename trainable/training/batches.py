"""What a batch of rows holds for a configuration: inputs, targets, and what its loss asks besides.

Single rows are the usual case. A loss or a model over whole days gets D consecutive days as a grid,
symbol by symbol within a day, in which rows of −1 stand for absent symbols. A model over whole days
is also shown the symbols of these days that have a window but no row to learn from.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig, batch_order
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.labels import horizon_targets, z_by_day
from trainable.data.dataset.windows import Windows
from trainable.data.graph.day_graph import DayGraph, day_graph, shown_rows
from trainable.losses import LOSSES
from trainable.losses.base import RowFacts, Targets
from trainable.models import MODELS
from trainable.models.base import Days, GraphSettings

MAX_GRAPHS = 3  # that are kept besides those in use

Prepare = Callable[[Tensor], Tensor]


class Batch(NamedTuple):
    """Rows as an executor takes them; see `Executor.step`."""

    x: Tensor
    targets: Targets
    days: Days | None = None


class BatchSource:
    """Gathers batches of a dataset's rows.

    Args:
        dataset: of the search.
        windows: of the dataset, with the configuration's `data` settings.
        config: of any member: what its loss and its model need is part of their shape.

    Attributes:
        loss: of the configuration.
        graph: of each bar, for a model over whole days; else None.
        whole_days: rows come as grids of whole days.
        simple: a batch is inputs and targets alone.
        y: [R] or [R, H] targets; 0 where undefined.
        known: bool in the same shape, where they are defined.
        symbols: N of the grids.
        scale: [H] float64, decimal return of a target of 1.
    """

    def __init__(self, dataset: Dataset, windows: Windows, config: TrialConfig) -> None:
        loss, model = LOSSES[config.loss.name], MODELS[config.model.name]
        self.windows, self.loss = windows, loss
        self.graph: DayGraph | None = None
        if model.batches == "days":
            self.graph = _graph_of(dataset, windows, model.graph(config.model))
        self.whole_days = batch_order(config) == "days"
        self.symbols = len(dataset.symbols)
        self.cost = dataset.cost_bps * 1e-4
        self.horizons = loss.horizons(config.loss) or (dataset.horizon,)
        self.traded = self.horizons.index(dataset.horizon)
        self.y, self.known = windows.y, windows.known
        self.scale = np.array([windows.target_scale])
        if self.horizons != (dataset.horizon,):
            by_day = config.data.target == "z_by_day"
            self.y, self.known, self.scale = _of_horizons(dataset, windows, self.horizons, by_day)
        whole = bool(self.known[windows.train_rows].all())  # a bar may have no z-score
        self.simple = whole and not (self.whole_days or loss.needs_facts(config.loss))
        self.returns: Tensor | None = None
        if not self.simple:
            earned = dataset.forward_returns[dataset.time, dataset.symbol]
            self.returns = torch.from_numpy(np.nan_to_num(earned)).to(self.y)
        self.scales = torch.from_numpy(self.scale).to(self.y)
        self.sessions: Tensor | None = None
        if self.whole_days:
            self.time = torch.from_numpy(dataset.time).to(self.y.device)
            if dataset.overnight == "flat":
                self.sessions = torch.from_numpy(_sessions_held(dataset)).to(self.y.device)

    def gather(self, rows: Tensor, prepare: Prepare) -> Batch:
        """Returns the batch of `rows` [..., B]; −1: an absent symbol.

        Args:
            rows: of the dataset.
            prepare: makes inputs [..., B, W, F] what the executor takes.
        """
        if self.simple:
            return Batch(prepare(self.windows.at(rows)), Targets(self.windows.targets(rows)))
        present = rows >= 0
        targets = self.targets(rows.clamp(min=0), present)
        days, seen = None, rows
        if self.graph is not None:
            bars = self.bars(rows, present)
            seen, days = self.graph.rows[bars].flatten(-2), self.graph.days(bars, self.y.dtype)
        x = self.windows.at(seen.clamp(min=self.windows.window - 1))
        if self.whole_days:
            x = x * (seen >= 0)[..., None, None]
        return Batch(prepare(x), targets, days)

    def targets(self, rows: Tensor, present: Tensor) -> Targets:
        """Returns the targets of rows [..., B] that are present."""
        flat = rows.flatten()
        y = self.y.index_select(0, flat).view(*rows.shape, *self.y.shape[1:])
        known = self.known.index_select(0, flat).view(y.shape)
        shown = present if y.dim() == present.dim() else present.unsqueeze(-1)
        if self.returns is None:
            return Targets(y, known & shown)
        returns = self.returns.index_select(0, flat).view(rows.shape) * present
        symbols = self.symbols if self.whole_days else 0
        horizons, traded = self.horizons, self.traded
        session = None if self.sessions is None else self.sessions[self.bars(rows, present)]
        facts = RowFacts(
            self.scales, returns, symbols, self.cost, horizons, traded, present, session
        )
        return Targets(y, known & shown, facts)

    def bars(self, rows: Tensor, present: Tensor) -> Tensor:
        """Returns the bar of each day of a grid of rows [..., D·N]; one is present on each day."""
        bars = self.time[rows.clamp(min=0)].masked_fill(~present, 0)
        return bars.unflatten(-1, (-1, self.symbols)).amax(-1).long()


def day_grid(dataset: Dataset, rows: np.ndarray) -> np.ndarray:
    """Returns which of `rows` [m] stands where on a grid [D, N] of their bars; −1 for none.

    Args:
        dataset: of the rows.
        rows: of the dataset, at most one a bar and symbol.
    """
    bars, day = np.unique(dataset.time[rows], return_inverse=True)
    grid = np.full((len(bars), len(dataset.symbols)), -1, np.int64)
    grid[day, dataset.symbol[rows]] = np.arange(len(rows))
    return grid


def _sessions_held(dataset: Dataset) -> np.ndarray:
    """Returns [T] int64, the session in which a decision of each bar is held; −1: a flat night."""
    ends = dataset.session_ends
    held = np.where(ends, -1, np.cumsum(ends))  # of a position entered at each bar
    return held[np.minimum(np.arange(len(ends)) + dataset.lag, len(ends) - 1)]


def _of_horizons(
    dataset: Dataset, windows: Windows, horizons: tuple[int, ...], by_day: bool
) -> tuple[Tensor, Tensor, np.ndarray]:
    """Returns targets [R, H], where they are known, and their scale [H]; made once a dataset."""
    key = (horizons, by_day)
    if key not in windows.cache:
        found = horizon_targets(dataset, horizons)
        scale = np.nanstd(found[dataset.train_rows], axis=0)
        scaled = found / scale
        if by_day:
            scaled = np.stack([z_by_day(dataset, each) for each in found.T], axis=1)
        known = np.isfinite(scaled)
        y = torch.from_numpy(np.where(known, scaled, 0.0)).to(windows.y)
        windows.cache[key] = y, torch.from_numpy(known).to(y.device), scale
    return windows.cache[key]


def _graph_of(dataset: Dataset, windows: Windows, settings: GraphSettings) -> DayGraph:
    """Returns the graph of each bar of the dataset; its connections are made once a dataset."""
    if settings not in windows.graphs:
        while len(windows.graphs) >= MAX_GRAPHS:
            del windows.graphs[next(iter(windows.graphs))]
        windows.graphs[settings] = day_graph(dataset, settings, windows.x.device)
    return windows.graphs[settings].showing(shown_rows(dataset, windows.window, windows.names))
