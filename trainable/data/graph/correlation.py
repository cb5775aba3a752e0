"""Correlations of the symbols' past returns at each bar, exponentially weighted."""

import numpy as np
import torch
from torch import Tensor

from trainable.data.dataset.dataset import Dataset

SHRINKAGE = 0.1  # towards 0: correlations of few returns are too large
ROUNDING = 1e-5  # a spread up to this share of the values is nothing but their rounding


def past_returns(dataset: Dataset) -> np.ndarray:
    """Returns [T, N] float64, the return from each symbol's own bar before t to t.

    It is known at the close of bar t. NaN where the symbol has no bar at t, or none before it.
    """
    given = dataset.known_returns
    known = dataset.forward_returns if given is None else given
    earned = known[dataset.time, dataset.symbol]
    # The row so many own bars earlier earned the return that ends here.
    back = 1 + dataset.lag
    rows = max(len(earned) - back, 0)
    same = dataset.symbol[:rows] == dataset.symbol[back:]
    own = np.full(len(earned), np.nan)
    own[back:][same] = earned[:rows][same]
    grid = np.full(dataset.tradable.shape, np.nan)
    grid[dataset.time, dataset.symbol] = own
    return grid


def correlations(returns: Tensor, first: int, last: int, window: int) -> Tensor:
    """Returns the correlations [C, N, N] at the bars first … last − 1, shrunk towards 0.

    A pair is compared on the bars that both have a return at, weighted by 0.5^(age ÷ half the
    window); NaN where these are fewer than two thirds of the window, or one return never moves.

    Args:
        returns: [T, N], that end at each bar; NaN where undefined.
        first: bar.
        last: bar.
        window: bars, up to and with the present one.
    """
    begin = max(first + 1 - window, 0)
    part = returns[begin:last]
    missing = window - 1 - (first - begin)
    nothing = part.new_full((missing, part.shape[1]), torch.nan)
    x = torch.cat([nothing, part]).unfold(0, window, 1)  # [C, N, W], the oldest return first
    age = torch.arange(window - 1, -1, -1, device=x.device, dtype=x.dtype)
    weight = 0.5 ** (age / (window / 2))
    known = torch.isfinite(x)
    here = known.to(x.dtype)
    x = x.masked_fill(~known, 0)
    # Centred and scaled by itself first: so the sums below lose no digits.
    own = (here * weight).sum(-1, keepdim=True).clamp(min=1e-12)
    size = x.abs().amax(-1, keepdim=True)
    x = (x - (x * weight).sum(-1, keepdim=True) / own) * here
    spread = ((x * x * weight).sum(-1, keepdim=True) / own).sqrt()
    still = spread <= ROUNDING * size
    x = x / spread.masked_fill(still, 1)
    found = torch.empty(len(x), x.shape[1], x.shape[1], device=x.device, dtype=x.dtype)
    whole = known.flatten(1).all(1)
    found[whole] = _complete(x[whole], weight)
    found[~whole] = _pairwise(x[~whole], here[~whole], weight)
    found.masked_fill_(still | still.transpose(1, 2), torch.nan)
    return found.mul_(1 - SHRINKAGE)


def _complete(x: Tensor, weight: Tensor) -> Tensor:
    """Returns the correlations where no return is missing: x is centred and scaled."""
    return (x * weight) @ x.transpose(1, 2) / weight.sum()


def _pairwise(x: Tensor, here: Tensor, weight: Tensor) -> Tensor:
    """Returns the correlations of each pair on the bars that both have."""
    weighted = x * weight
    turned = here.transpose(1, 2)
    total = (here * weight) @ turned
    safe = total.clamp(min=1e-12)
    mean = weighted @ turned / safe  # of i, on the bars that j has, too
    square = (weighted * x) @ turned / safe - mean.square()
    both = weighted @ x.transpose(1, 2) / safe - mean * mean.transpose(1, 2)
    spread = square * square.transpose(1, 2)
    enough = here @ turned >= least_common(x.shape[-1])
    found = both / spread.clamp(min=ROUNDING).sqrt()
    return found.masked_fill(~enough | (spread <= ROUNDING), torch.nan).clamp(-1, 1)


def least_common(window: int) -> int:
    """Returns how many bars of the window two symbols must have in common."""
    return max(2, window * 2 // 3)
