"""Dropout of K members at once, each with random numbers of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.executors.rng import draws

STEPS = 8  # whose dropout is drawn at once, at most; a power of two
NUMBERS = 2**16  # drawn at once for one member, or those of a single step
LEVELS = 2**16  # a dropout share is rounded to this many levels


def drawn_at_once(size: int) -> int:
    """Returns for how many steps of so many numbers they are drawn at once: 1, 2, 4 or 8.

    Then every eighth step begins with a draw, and a member can be saved there.
    """
    fits = max(1, min(STEPS, NUMBERS // size))
    return 1 << (fits.bit_length() - 1)


class Dropout:
    """Draws what each member drops.

    Args:
        widths: of the layers that drop activations.
        device: where the factors are made.
        dtype: of the factors.
        least: members that the factors are for; a lone one's are repeated.

    Attributes:
        draws: the members' generators, each seeded by the member's own seed.
    """

    def __init__(
        self, widths: Sequence[int], device: torch.device, dtype: torch.dtype, least: int = 1
    ) -> None:
        self.least = least
        self.widths, self.device, self.dtype = list(widths), device, dtype
        self.draws: list[torch.Generator] = []
        self.shares: list[float] = []
        self.kept: list[tuple[Tensor, Tensor]] = []  # what a kept number reaches, and its factor
        self.block = torch.empty(0)
        self.views: list[list[Tensor]] = []

    def admit(self, configs: Sequence[TrialConfig]) -> None:
        """Takes further members in, behind those there; only before a plan's first step."""
        for config in configs:
            self.draws.append(draws(config.train.seed, self.device))
            share = round(config.model.dropout * LEVELS) / LEVELS
            self.shares.append(share)
            # Tensors: torch would make them of numbers, and convert those, each time.
            threshold = torch.tensor(int(share * LEVELS) - LEVELS // 2, dtype=torch.int16)
            factor = torch.tensor(1 / (1 - share), dtype=self.dtype)
            self.kept.append((threshold.to(self.device), factor.to(self.device)))
        self.views = []

    def compact(self, rows: list[int]) -> None:
        """Goes on with these members only, in this order."""
        self.draws = [self.draws[k] for k in rows]
        self.shares = [self.shares[k] for k in rows]
        self.kept = [self.kept[k] for k in rows]
        if self.views:
            batch = self.views[0][0].shape[1]
            self._lay_out(self.block[:, rows], batch)

    def factors(self, i: int, batch: int) -> list[Tensor] | None:
        """Returns the factors of step i, [K, B, width] a layer; None when nobody drops anything.

        They are overwritten by a later step's. A lone member's are there twice.
        """
        if not any(self.shares):
            return None
        size = batch * sum(self.widths)
        steps = drawn_at_once(size)
        if i % steps == 0 or not self.views:
            if not self.views or self.views[0][0].shape[1] != batch:
                shape = (steps, len(self.draws), size)
                self._lay_out(torch.ones(shape, device=self.device, dtype=self.dtype), batch)
            self._draw()
        return self.views[i % steps]

    def _lay_out(self, block: Tensor, batch: int) -> None:
        """Takes the factors of some steps [steps, K, B·Σ widths], and a view of each layer's."""
        self.block = block
        pair = block.expand(-1, self.least, -1) if block.shape[1] == 1 else block
        parts = [batch * width for width in self.widths]
        self.views = [
            [
                part.unflatten(1, (batch, width))
                for part, width in zip(step.split(parts, dim=1), self.widths, strict=True)
            ]
            for step in pair
        ]

    def _draw(self) -> None:
        """Draws the coming steps' factors, 0 or 1 / (1 − share).

        Sixteen bits an activation, drawn as 64-bit numbers: an own generator for every member
        would otherwise cost as much as the matrix products.
        """
        steps, _, size = self.block.shape
        drawn = torch.empty(-(-steps * size // 4), dtype=torch.int64, device=self.device)
        numbers = drawn.view(torch.int16)[: steps * size].view(steps, size)
        for k, (share, draw) in enumerate(zip(self.shares, self.draws, strict=True)):
            if share:
                drawn.random_(-(2**63), None, generator=draw)
                factors = self.block[:, k]
                threshold, factor = self.kept[k]
                torch.ge(numbers, threshold, out=factors)
                factors.mul_(factor)
