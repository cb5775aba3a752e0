"""Which symbols are connected: those of strong correlations, both ways."""

import numpy as np
import torch
from torch import Tensor

from trainable.models.base import GraphSettings


def choose(correlation: Tensor, settings: GraphSettings) -> tuple[Tensor, Tensor]:
    """Returns the neighbours [C, N, k] int64 of each symbol and their correlations.

    A symbol chooses those of the strongest |correlation| at or above the threshold, at most
    `neighbours`; where these are fewer than half of that, the strongest others, too. Two symbols
    are connected where one has chosen the other. Who is chosen by very many keeps twice
    `neighbours`, the strongest; the others lose the connection, too. So it is the same from both
    ends. Where a symbol has fewer than k, itself stands in the place, with correlation 0.

    Args:
        correlation: [C, N, N]; NaN: unknown, never connected.
        settings: threshold and number of neighbours.
    """
    symbols = correlation.shape[-1]
    itself = torch.eye(symbols, dtype=torch.bool, device=correlation.device)
    strength = correlation.abs().nan_to_num_(-1).masked_fill_(itself, -1)
    fewest = -(-settings.neighbours // 2)
    anyway, limit = _ranked(strength, [fewest, settings.neighbours])
    limit = torch.maximum(limit, anyway.clamp(0, settings.threshold))
    chosen = strength >= limit
    chosen |= chosen.transpose(1, 2).clone()
    most = 2 * settings.neighbours
    if int(chosen.sum(-1).max()) > most:
        (limit,) = _ranked(strength.masked_fill(~chosen, -1), [most])
        strongest = strength >= limit
        chosen &= strongest & strongest.transpose(1, 2)
    return _listed(chosen, correlation)


def _ranked(strength: Tensor, ranks: list[int]) -> list[Tensor]:
    """Returns the values [C, N, 1] of these ranks, the strongest is 1; −1 where there are fewer."""
    symbols = strength.shape[-1]
    ranks = [min(rank, symbols) for rank in ranks]
    if strength.is_cuda:
        values = strength.topk(max(ranks)).values
        return [values[..., rank - 1 : rank] for rank in ranks]
    at = [symbols - rank for rank in ranks]
    values = torch.from_numpy(np.partition(strength.numpy(), at, axis=-1))
    return [values[..., i : i + 1] for i in at]


def _listed(chosen: Tensor, correlation: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the chosen [C, N, N] as lists [C, N, k] of symbols, and their correlations."""
    symbols = chosen.shape[-1]
    count = chosen.sum(-1).flatten()
    width = int(count.max())
    row, who = chosen.flatten(0, 1).nonzero(as_tuple=True)
    begins = count.cumsum(0) - count
    place = torch.arange(len(row), device=row.device) - begins[row]
    own = torch.arange(symbols, device=row.device).repeat(len(chosen))
    listed = own.unsqueeze(-1).repeat(1, width)
    listed[row, place] = who
    strengths = correlation.new_zeros(listed.shape)
    strengths[row, place] = correlation.flatten(0, 1)[row, who]
    return listed.unflatten(0, (-1, symbols)), strengths.unflatten(0, (-1, symbols))
