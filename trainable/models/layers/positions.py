"""Position encodings: which row of the window is which."""

import math

import torch
from torch import Tensor, nn

LEARNED_STD = 0.02


def sinusoids(window: int, width: int) -> Tensor:
    """Returns the encodings [window, width] of Vaswani et al. (2017).

    Even columns are sines, odd ones cosines, of wavelengths 2π … 10000·2π in rows.
    """
    rates = torch.exp(torch.arange(0, width, 2) * (-math.log(10_000.0) / width))
    angles = torch.arange(window).unsqueeze(1) * rates
    return torch.stack([angles.sin(), angles.cos()], -1).flatten(1)[:, :width]


class Positions(nn.Module):
    """Adds an encoding to each row of a window.

    Args:
        window: rows.
        width: values of a row.
        learned: a parameter, from N(0, 0.02²); else sinusoids, which have none.
    """

    def __init__(self, window: int, width: int, learned: bool) -> None:
        super().__init__()
        if learned:
            self.encoding = nn.Parameter(LEARNED_STD * torch.randn(window, width))
        else:
            self.register_buffer("encoding", sinusoids(window, width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Maps x [B, window, width] to the same."""
        return x + self.encoding
