"""The table of orders of batches: which training rows each optimizer step sees.

An order depends on the member's seed and the number of the step alone, so that it is the same for
all executors and after a resume.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.epoch_length import days_of_batch, steps_of_pass
from trainable.data.dataset.windows import Windows
from trainable.training.batches import day_grid


class BatchSampler(Protocol):
    """An endless order of batches.

    Attributes:
        length: optimizer steps of one pass.
    """

    length: int

    def rows(self, seed: int, start: int, steps: int) -> Tensor:
        """Returns the rows [steps, B] of optimizer steps start … start + steps − 1."""
        ...


class RowSampler:
    """Shuffled passes over single rows; what is left of a pass below a batch is dropped.

    Args:
        rows: [n] row indices to draw from.
        batch: rows of one batch, B.
    """

    def __init__(self, rows: Tensor, batch: int) -> None:
        self.pool, self.batch = rows, batch
        self.length = len(rows) // batch

    def rows(self, seed: int, start: int, steps: int) -> Tensor:
        """Returns the rows [steps, B] of optimizer steps start … start + steps − 1."""
        parts, step, end = [], start, start + steps
        while step < end:
            turn, first = divmod(step, self.length)
            last = min(self.length, first + end - step)
            parts.append(self._pass(seed, turn)[first * self.batch : last * self.batch])
            step += last - first
        return torch.cat(parts).view(steps, self.batch)

    def _pass(self, seed: int, turn: int) -> Tensor:
        """Returns all rows in the order of one pass."""
        order = torch.randperm(len(self.pool), generator=_generator(seed, turn))
        return self.pool[order.to(self.pool.device)]


class DaySampler:
    """Shuffled passes over blocks of consecutive days, each block whole.

    Where the blocks begin is drawn anew for each pass, so that no day is always left out and no two
    days are always apart.

    Args:
        grid: [T, N] row indices of the T days with training rows; −1: the symbol is absent.
        days: of one batch, D.
    """

    def __init__(self, grid: Tensor, days: int) -> None:
        self.grid, self.days_per_batch = grid, days
        self.length = steps_of_pass(len(grid), days)

    def rows(self, seed: int, start: int, steps: int) -> Tensor:
        """Returns the rows [steps, D·N] of optimizer steps start … start + steps − 1."""
        parts, step, end = [], start, start + steps
        while step < end:
            turn, first = divmod(step, self.length)
            last = min(self.length, first + end - step)
            parts.append(self._pass(seed, turn)[first:last])
            step += last - first
        begins = torch.cat(parts).to(self.grid.device)
        each = begins.unsqueeze(1) + torch.arange(self.days_per_batch, device=begins.device)
        return self.grid[each].flatten(1)

    def _pass(self, seed: int, turn: int) -> Tensor:
        """Returns the first days of all blocks in the order of one pass."""
        generator = _generator(seed, turn)
        spare = len(self.grid) - self.length * self.days_per_batch
        first = int(torch.randint(spare + 1, (1,), generator=generator))
        order = torch.randperm(self.length, generator=generator)
        return first + order * self.days_per_batch


def _generator(seed: int, turn: int) -> torch.Generator:
    """Returns the generator of one pass of one member."""
    return torch.Generator().manual_seed((seed * 1_000_003 + turn) % 2**63)


def sample_rows(dataset: Dataset, windows: Windows, batch: int) -> RowSampler:
    """Returns the order of single training rows."""
    return RowSampler(windows.train_rows, batch)


def sample_days(dataset: Dataset, windows: Windows, batch: int) -> DaySampler:
    """Returns the order of whole days; a batch has as many as make up its rows."""
    position = day_grid(dataset, dataset.train_rows)
    rows = np.where(position < 0, -1, dataset.train_rows[position])
    days = days_of_batch(batch, len(dataset.symbols))
    return DaySampler(torch.from_numpy(rows).to(windows.x.device), min(days, len(rows)))


Sample = Callable[[Dataset, Windows, int], BatchSampler]
BATCH_SAMPLERS: dict[str, Sample] = {"rows": sample_rows, "days": sample_days}
