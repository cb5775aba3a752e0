"""Dropout of K members at once, each with random numbers of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.executors.rng import generator_of

STEPS = 8  # drawn at once, at most; a power of two
NUMBERS = 2**16  # drawn at once for one member, at most, unless a single step has more
LEVELS = 2**16  # a dropout share is rounded to this many levels


def drawn_at_once(size: int) -> int:
    """Returns how many steps of `size` numbers are drawn at once: 1, 2, 4 or 8.

    So every eighth step begins with a draw, and a member can be saved there.
    """
    fits = max(1, min(STEPS, NUMBERS // size))
    return 1 << (fits.bit_length() - 1)


class Dropout:
    """Draws what each member drops.

    Args:
        widths: of the layers that drop activations.
        device: where the factors are made.
        dtype: of the factors.
        least: members that the factors are for; those of a lone member are repeated.

    Attributes:
        generators: of the members, each seeded by the member's own seed.
    """

    def __init__(
        self, widths: Sequence[int], device: torch.device, dtype: torch.dtype, least: int = 1
    ) -> None:
        self.least = least
        self.widths, self.device, self.dtype = list(widths), device, dtype
        self.generators: list[torch.Generator] = []
        self.shares: list[float] = []
        self.constants: list[tuple[Tensor, Tensor]] = []  # the least number kept, its factor
        self.block = torch.empty(0)
        self.views: list[list[Tensor]] = []

    def add(self, configs: Sequence[TrialConfig]) -> None:
        """Adds members behind those there; only before a plan's first step."""
        for config in configs:
            self.generators.append(generator_of(config.train.seed, self.device))
            share = round(config.model.dropout * LEVELS) / LEVELS
            self.shares.append(share)
            # As tensors: of a number torch would make one at each step.
            threshold = torch.tensor(int(share * LEVELS) - LEVELS // 2, dtype=torch.int16)
            factor = torch.tensor(1 / (1 - share), dtype=self.dtype)
            self.constants.append((threshold.to(self.device), factor.to(self.device)))
        self.views = []

    def compact(self, rows: list[int]) -> None:
        """Keeps only these members, in this order."""
        self.generators = [self.generators[k] for k in rows]
        self.shares = [self.shares[k] for k in rows]
        self.constants = [self.constants[k] for k in rows]
        if self.views:
            batch = self.views[0][0].shape[1]
            self._lay_out(self.block[:, rows], batch)

    def factors(self, i: int, batch: int) -> list[Tensor] | None:
        """Returns the factors of step i, [K, B, width] a layer; None when no member drops anything.

        A later step overwrites them.
        """
        if not any(self.shares):
            return None
        size = batch * sum(self.widths)
        steps = drawn_at_once(size)
        if i % steps == 0 or not self.views:
            if not self.views or self.views[0][0].shape[1] != batch:
                shape = (steps, len(self.generators), size)
                self._lay_out(torch.ones(shape, device=self.device, dtype=self.dtype), batch)
            self._draw()
        return self.views[i % steps]

    def _lay_out(self, block: Tensor, batch: int) -> None:
        """Stores the factors of some steps [steps, K, B·Σ widths] and makes views by layer."""
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
        """Draws the next steps' factors, 0 or 1 / (1 − share).

        Each activation takes sixteen bits, drawn as 64-bit numbers: otherwise a generator for
        every member would cost as much as the matrix products.
        """
        steps, _, size = self.block.shape
        drawn = torch.empty(-(-steps * size // 4), dtype=torch.int64, device=self.device)
        numbers = drawn.view(torch.int16)[: steps * size].view(steps, size)
        for k, (share, generator) in enumerate(zip(self.shares, self.generators, strict=True)):
            if share:
                drawn.random_(-(2**63), None, generator=generator)
                factors = self.block[:, k]
                threshold, factor = self.constants[k]
                torch.ge(numbers, threshold, out=factors)
                factors.mul_(factor)
