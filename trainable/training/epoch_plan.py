"""The steps of one epoch of all members: their batches, learning rates, losses and norms."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainable.cli.errors import look_up
from trainable.data.dataset.windows import Windows
from trainable.schedules import SCHEDULES
from trainable.training.batch_sampler import BatchSampler
from trainable.training.member import Member

GATHERED = 8  # steps whose batches are gathered at once, at most
CELLS = 2**16  # values gathered at once, at most, unless one step has more


class MemberSteps(NamedTuple):
    """One member's part of `EpochPlan`, without its dimension K."""

    rows: Tensor
    lr: np.ndarray
    losses: Tensor
    norms: Tensor


@dataclass
class EpochPlan:
    """S steps of K members.

    Attributes:
        rows: [S, K, B], rows of each batch.
        lr: [S, K], learning rates.
        losses: [S, K], training losses; NaN where the batch failed or is still to come.
        norms: [S, K], L2 norms of the gradients before clipping; NaN likewise.
    """

    rows: Tensor
    lr: np.ndarray
    losses: Tensor
    norms: Tensor
    _gathered: dict[int, tuple[Tensor, Tensor]] = field(default_factory=dict, init=False)

    def batch(
        self, i: int, windows: Windows, prepare: Callable[[Tensor], Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Returns inputs [K, B, …] and targets [K, B] of step i.

        Small batches of a few steps are gathered at once, since each gathering costs some calls.

        Args:
            i: from 0.
            windows: to gather them from.
            prepare: makes inputs [S, K, B, W, F] what the executor takes.
        """
        if i not in self._gathered:
            cells = self.rows[i].numel() * windows.shape.size
            rows = self.rows[i : i + max(1, min(GATHERED, CELLS // cells))]
            inputs, targets = prepare(windows.at(rows)), windows.targets(rows)
            pairs = zip(inputs.unbind(), targets.unbind(), strict=True)
            self._gathered = dict(enumerate(pairs, start=i))
        return self._gathered[i]

    def compact(self, keep: Sequence[int]) -> None:
        """Keeps only these members, in this order."""
        self.rows, self.lr = self.rows[:, keep], self.lr[:, keep]
        self.losses, self.norms = self.losses[:, keep], self.norms[:, keep]
        self._gathered = {}

    def results(self, k: int, done: int) -> tuple[Tensor, Tensor]:
        """Returns a copy of member k's losses and norms of the first `done` steps."""
        return self.losses[:done, k].clone(), self.norms[:done, k].clone()

    def set_results(self, k: int, losses: Tensor, norms: Tensor) -> None:
        """Sets what `results` returned."""
        for all_steps, first in ((self.losses, losses), (self.norms, norms)):
            all_steps[: len(first), k] = first.to(all_steps.device)

    def of(self, k: int) -> MemberSteps:
        """Returns member k's part."""
        return MemberSteps(self.rows[:, k], self.lr[:, k], self.losses[:, k], self.norms[:, k])


def plan_epoch(
    members: Sequence[Member], sampler: BatchSampler, batches: int, device: torch.device
) -> EpochPlan:
    """Returns the members' next epoch, of so many batches."""
    drawn = [sampler.rows(m.config.train.seed, m.epoch * batches, batches) for m in members]
    shape = (batches, len(members))
    return EpochPlan(
        rows=torch.stack(drawn, dim=1),
        lr=np.stack([learning_rates(member, batches) for member in members], axis=1),
        losses=torch.full(shape, torch.nan, device=device),
        norms=torch.full(shape, torch.nan, device=device),
    )


def learning_rates(member: Member, batches: int) -> np.ndarray:
    """Returns the learning rates [S] of the member's next epoch."""
    config = member.config
    schedule = look_up(SCHEDULES, config.schedule.name, "schedule")
    step = member.epoch * batches + np.arange(1, batches + 1)
    share = schedule.share(config.schedule, step, config.train.epochs * batches)
    return config.optimizer.lr * member.plateau.scale * share


def dead_zone(members: Sequence[Member], windows: Windows) -> Tensor | None:
    """Returns the size [K, 1] up to which a target is left out of the loss; None: of no member.

    A member without a dead zone has −1, so that its targets of exactly 0 count.
    """
    zones = [member.config.loss.dead_zone / windows.target_scale for member in members]
    if not any(zones):
        return None
    spread = [zone if zone > 0 else -1.0 for zone in zones]
    return torch.tensor(spread, device=windows.y.device, dtype=windows.y.dtype).unsqueeze(1)
