"""The table of orders of batches: which training rows each optimizer step sees.

An order depends on the member's seed and the number of the step alone, so that it is the same for
all executors and after a resume.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

from trainable.data.dataset.windows import Windows


class BatchSampler(Protocol):
    """An endless order of batches."""

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
        mixed = (seed * 1_000_003 + turn) % 2**63
        generator = torch.Generator().manual_seed(mixed)
        order = torch.randperm(len(self.pool), generator=generator)
        return self.pool[order.to(self.pool.device)]


def sample_rows(windows: Windows, batch: int) -> RowSampler:
    """Returns the order of single training rows."""
    return RowSampler(windows.train_rows, batch)


BATCH_SAMPLERS: dict[str, Callable[[Windows, int], BatchSampler]] = {"rows": sample_rows}
