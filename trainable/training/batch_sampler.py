"""The order of batches: an endless stream of shuffled passes, the same for all executors."""

import torch
from torch import Tensor


class BatchSampler:
    """Shuffled passes over the training rows; what is left of a pass below a batch is dropped.

    Args:
        rows: [n] row indices to draw from.
        batch: rows of one batch.
    """

    def __init__(self, rows: Tensor, batch: int) -> None:
        self.pool, self.batch = rows, batch
        self.length = len(rows) // batch

    def rows(self, seed: int, start: int, steps: int) -> Tensor:
        """Returns the rows [steps, batch] of optimizer steps start … start + steps − 1."""
        parts, step, end = [], start, start + steps
        while step < end:
            turn, first = divmod(step, self.length)
            last = min(self.length, first + end - step)
            parts.append(self._pass(seed, turn)[first * self.batch : last * self.batch])
            step += last - first
        return torch.cat(parts).view(steps, self.batch)

    def _pass(self, seed: int, turn: int) -> Tensor:
        mixed = (seed * 1_000_003 + turn) % 2**63
        draw = torch.Generator().manual_seed(mixed)
        order = torch.randperm(len(self.pool), generator=draw)
        return self.pool[order.to(self.pool.device)]
