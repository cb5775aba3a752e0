"""Parts of a batch whose gradients are summed up: less memory for the same optimizer step."""

from collections.abc import Iterator
from operator import itemgetter

import torch
from torch import Tensor

from trainable.losses.base import Targets


def split(targets: Targets, count: int) -> Iterator[tuple[slice, Targets, Tensor]]:
    """Yields the rows of each part of a batch, their targets, and each member's share of it.

    A mean over the rows that count is the sum of the parts' means times their shares.

    Args:
        targets: of the batch, each [K, B, …].
        count: of the parts, all of one size.

    Yields:
        Rows, targets of these rows, and shares [K].
    """
    y, mask, facts = targets
    size = y.shape[1] // count
    total = None if mask is None else mask.flatten(1).sum(1).clamp(min=1)
    for j in range(count):
        rows = slice(j * size, (j + 1) * size)
        part = Targets(
            y[:, rows],
            None if mask is None else mask[:, rows],
            None if facts is None else facts.each(itemgetter((slice(None), rows))),
        )
        if total is None or part.mask is None:
            share = torch.full((len(y),), 1 / count, device=y.device, dtype=y.dtype)
        else:
            share = part.mask.flatten(1).sum(1).to(y.dtype) / total.to(y.dtype)
        yield rows, part, share
