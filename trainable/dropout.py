"""Dropout of K members at once, each with random numbers of its own."""

from collections.abc import Sequence

import torch
from torch import Tensor

from trainable.config import TrialConfig

BLOCK = 16  # steps whose dropout is drawn at once
LEVELS = 2**16  # a dropout share is rounded to this many levels


class Dropout:
    """Draws what each member drops; a lone member's draws fill as many rows as there are.

    Attributes:
        draws: the members' generators, each seeded by the member's own seed.
    """

    def __init__(self, width: int, device: torch.device, dtype: torch.dtype) -> None:
        self.width, self.device, self.dtype = width, device, dtype
        self.draws: list[torch.Generator] = []
        self.masks = torch.empty(0)
        self.members([])

    def admit(self, configs: Sequence[TrialConfig]) -> None:
        """Takes further members in, behind those there; `members` must follow."""
        self.draws += [
            torch.Generator(device=self.device).manual_seed(config.train.seed) for config in configs
        ]
        self.masks = torch.empty(0)

    def compact(self, rows: list[int]) -> None:
        """Goes on with these members only, in this order; `members` must follow."""
        self.draws = [self.draws[k] for k in rows]
        self.masks = self.masks[rows] if len(self.masks) else self.masks

    def members(self, configs: Sequence[TrialConfig]) -> None:
        """Takes the shares to drop, one of every row."""
        shares = [round(config.model.dropout * LEVELS) / LEVELS for config in configs]
        share = torch.tensor(shares, device=self.device, dtype=self.dtype).view(-1, 1, 1)
        self.drops = [value > 0 for value in shares]
        self.threshold = (share * LEVELS - LEVELS // 2).to(torch.int16)
        self.rescale = 1 / (1 - share)

    def factors(self, i: int, batch: int) -> Tensor | None:
        """Returns the factors [K, B, Σ widths] of step i; None when nobody drops anything.

        Sixteen bits an activation, drawn for several steps at once as 64-bit numbers: an own
        generator for every member would otherwise cost as much as the matrix products.
        """
        if not any(self.drops):
            return None
        if i % BLOCK == 0 or len(self.masks) == 0:
            self.masks = torch.stack(
                [
                    self._block(draw if drops else None, batch)
                    for draw, drops in zip(self.draws, self.drops, strict=False)
                ]
            )
        draw = self.masks[:, i % BLOCK]
        shape = (len(self.threshold), *draw.shape[1:])
        keep = torch.empty(shape, device=self.device, dtype=self.dtype)
        return torch.ge(draw, self.threshold, out=keep).mul_(self.rescale)

    def _block(self, draw: torch.Generator | None, batch: int) -> Tensor:
        """Draws one member's numbers [BLOCK, B, Σ widths]; any will do where nothing is dropped."""
        size = BLOCK * batch * self.width
        numbers = torch.zeros(-(-size // 4), dtype=torch.int64, device=self.device)
        if draw is not None:
            numbers.random_(-(2**63), None, generator=draw)
        return numbers.view(torch.int16)[:size].view(BLOCK, batch, self.width)
