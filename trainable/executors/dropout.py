"""Dropout of K members at once, each with random numbers of its own."""

from collections.abc import Sequence
from itertools import accumulate, groupby
from typing import NamedTuple

import torch
from torch import Tensor

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


class Share(NamedTuple):
    """What a member drops in some layers that follow each other.

    Attributes:
        first: value of a row with which they begin, counted over all layers.
        end: value with which they end.
        threshold: the least number that is kept.
        factor: of what is kept.
    """

    first: int
    end: int
    threshold: Tensor
    factor: Tensor


class Dropout:
    """Draws what each member drops, for a few steps at once.

    The factors of these steps stand in a ring, so that members whose epochs begin at other steps
    draw at other steps, each as if it were alone.

    Args:
        widths: of the layers that drop activations.
        device: where the factors are made.
        dtype: of the factors.
        least: members that the factors are for; those of a lone member are repeated.

    Attributes:
        generators: of the members, each seeded by the member's own seed.
        ahead: steps of its epoch that each member has behind it where a plan begins.
    """

    def __init__(
        self, widths: Sequence[int], device: torch.device, dtype: torch.dtype, least: int = 1
    ) -> None:
        self.least = least
        self.widths, self.device, self.dtype = list(widths), device, dtype
        self.generators: list[torch.Generator] = []
        self.ahead: list[int] = []
        self.shares: list[list[Share]] = []  # of each member, those above 0
        self.block = torch.empty(0)
        self.views: list[list[Tensor]] = []
        self.place = 0  # of the next step in the ring

    def add(self, seed: int, shares: Sequence[float]) -> None:
        """Adds a member behind those there; only before a plan's first step.

        Args:
            seed: of the member.
            shares: dropped in each layer.
        """
        self.generators.append(generator_of(seed, self.device))
        self.ahead.append(0)
        ends = list(accumulate(self.widths))
        levels = [round(share * LEVELS) for share in shares]
        found = []
        for level, group in groupby(range(len(levels)), levels.__getitem__):
            layers = list(group)
            if level:
                # As tensors: of a number torch would make one at each step.
                threshold = torch.tensor(level - LEVELS // 2, dtype=torch.int16)
                factor = torch.tensor(1 / (1 - level / LEVELS), dtype=self.dtype)
                first, end = ends[layers[0]] - self.widths[layers[0]], ends[layers[-1]]
                found.append(Share(first, end, threshold.to(self.device), factor.to(self.device)))
        self.shares.append(found)
        self.views = []

    def compact(self, rows: list[int]) -> None:
        """Keeps only these members, in this order."""
        self.generators = [self.generators[k] for k in rows]
        self.ahead = [self.ahead[k] for k in rows]
        self.shares = [self.shares[k] for k in rows]
        if self.views:
            batch = self.views[0][0].shape[1]
            self._lay_out(self.block[:, rows], batch)

    def factors(self, i: int, batch: int) -> list[Tensor] | None:
        """Returns the factors of step i, [K, B, width] a layer; None when no member drops anything.

        Steps are asked for one after another. A later one overwrites them.
        """
        if not any(self.shares):
            return None
        size = batch * sum(self.widths)
        steps = drawn_at_once(size)
        due = [k for k, ahead in enumerate(self.ahead) if (ahead + i) % steps == 0]
        if not self.views or self.views[0][0].shape[1] != batch:
            shape = (steps, len(self.generators), size)
            self._lay_out(torch.ones(shape, device=self.device, dtype=self.dtype), batch)
            due = list(range(len(self.generators)))
        if len(due) == len(self.generators):
            self.place = 0
        if due:
            self._draw(due)
        place, self.place = self.place, (self.place + 1) % steps
        return self.views[place]

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

    def _draw(self, members: Sequence[int]) -> None:
        """Draws the next steps' factors of some members, 0 or 1 / (1 − share).

        Each activation takes sixteen bits, drawn as 64-bit numbers: otherwise a generator for
        every member would cost as much as the matrix products.
        """
        steps, _, size = self.block.shape
        batch = size // sum(self.widths)
        drawn = torch.empty(-(-steps * size // 4), dtype=torch.int64, device=self.device)
        numbers = drawn.view(torch.int16)[: steps * size].view(steps, size)
        to_the_end = steps - self.place  # of the ring; the steps after that stand at its beginning
        ring = [(slice(self.place, None), slice(0, to_the_end))]
        if self.place:
            ring.append((slice(0, self.place), slice(to_the_end, None)))
        for k in members:
            shares = self.shares[k]
            if shares:
                drawn.random_(-(2**63), None, generator=self.generators[k])
            for begin, end, threshold, factor in shares:
                part = slice(batch * begin, batch * end)
                for places, rows in ring:
                    factors = self.block[places, k, part]
                    torch.ge(numbers[rows, part], threshold, out=factors)
                    factors.mul_(factor)
