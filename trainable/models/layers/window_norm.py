"""Adaptive normalisation of a window: by its own statistics as far as it is learned to help."""

import torch
from torch import Tensor, nn

LEAST = 1e-5  # added to variances of scaled features


class WindowNorm(nn.Module):
    """a·x + (1 − a)·(x − mean) ÷ deviation, each feature with statistics of its whole window.

    The share a of each feature is a sigmoid of a weight that begins at 0. All rows of a window are
    known at the present one, and no other window's are used.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.zeros(features))

    def forward(self, x: Tensor) -> Tensor:
        """Maps windows [B, W, F] to the same."""
        away = x - x.mean(1, keepdim=True)
        spread = (away.square().mean(1, keepdim=True) + LEAST).sqrt()
        return torch.lerp(away / spread, x, self.share.sigmoid())
