"""The steps of one epoch of all members: their batches, learning rates, losses and norms."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from trainable.cli.errors import look_up
from trainable.executors.base import StepResult
from trainable.losses.base import Targets
from trainable.schedules import SCHEDULES
from trainable.training.batch_sampler import BatchSampler
from trainable.training.batches import Batch, BatchSource, Prepare
from trainable.training.member import Member

GATHERED = 8  # steps whose batches are gathered at once, at most
PART = "part."  # before the name of a part of the loss
CELLS = 2**16  # values gathered at once, at most, unless one step has more


class MemberSteps(NamedTuple):
    """One member's part of `EpochPlan`, without its dimension K."""

    rows: Tensor
    lr: np.ndarray
    losses: Tensor
    norms: Tensor
    parts: dict[str, Tensor]


@dataclass
class EpochPlan:
    """S steps of K members.

    Attributes:
        rows: [S, K, B], rows of each batch.
        lr: [S, K], learning rates.
        losses: [S, K], training losses; NaN where the batch failed or is still to come.
        norms: [S, K], L2 norms of the gradients before clipping; NaN likewise.
        parts: [S, K] by name, the parts of a weighted loss; NaN likewise.
    """

    rows: Tensor
    lr: np.ndarray
    losses: Tensor
    norms: Tensor
    parts: dict[str, Tensor] = field(default_factory=dict)
    _gathered: dict[int, Batch] = field(default_factory=dict, init=False)

    def batch(self, i: int, source: BatchSource, prepare: Prepare) -> Batch:
        """Returns inputs [K, B, …] and targets [K, B] of step i.

        Small batches of a few steps are gathered at once, since each gathering costs some calls.

        Args:
            i: from 0.
            source: to gather them from.
            prepare: makes inputs [S, K, B, W, F] what the executor takes.
        """
        if not source.simple:
            return source.gather(self.rows[i], prepare)
        if i not in self._gathered:
            cells = self.rows[i].numel() * source.windows.shape.size
            rows = self.rows[i : i + max(1, min(GATHERED, CELLS // cells))]
            inputs, targets, _ = source.gather(rows, prepare)
            pairs = zip(inputs.unbind(), targets.y.unbind(), strict=True)
            self._gathered = {j: Batch(x, Targets(y)) for j, (x, y) in enumerate(pairs, start=i)}
        return self._gathered[i]

    def record(self, i: int, result: StepResult) -> None:
        """Keeps the losses, norms and parts of the loss of step i."""
        self.losses[i].copy_(result.loss)
        self.norms[i].copy_(result.norm)
        for name, part in result.parts.items():
            if name not in self.parts:
                self.parts[name] = torch.full_like(self.losses, torch.nan)
            self.parts[name][i].copy_(part)

    def compact(self, keep: Sequence[int]) -> None:
        """Keeps only these members, in this order."""
        self.rows, self.lr = self.rows[:, keep], self.lr[:, keep]
        self.losses, self.norms = self.losses[:, keep], self.norms[:, keep]
        self.parts = {name: part[:, keep] for name, part in self.parts.items()}
        self._gathered = {}

    def results(self, k: int, done: int) -> dict[str, Tensor]:
        """Returns a copy of member k's losses, norms and parts of the first `done` steps."""
        return {name: steps[:done, k].clone() for name, steps in self._results().items()}

    def set_results(self, k: int, results: Mapping[str, Tensor]) -> None:
        """Sets what `results` returned."""
        for name in results:
            if name.startswith(PART):
                part = name.removeprefix(PART)
                self.parts.setdefault(part, torch.full_like(self.losses, torch.nan))
        for name, all_steps in self._results().items():
            if name in results:
                all_steps[: len(results[name]), k] = results[name].to(all_steps.device)

    def of(self, k: int) -> MemberSteps:
        """Returns member k's part."""
        parts = {name: part[:, k] for name, part in self.parts.items()}
        return MemberSteps(
            self.rows[:, k], self.lr[:, k], self.losses[:, k], self.norms[:, k], parts
        )

    def _results(self) -> dict[str, Tensor]:
        parts = {f"{PART}{name}": part for name, part in self.parts.items()}
        return {"losses": self.losses, "norms": self.norms, **parts}


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


def dead_zone(members: Sequence[Member], source: BatchSource) -> Tensor | None:
    """Returns the size [K, 1, …] up to which a target is left out of the loss; None: of no member.

    A member without a dead zone has −1, so that its targets of exactly 0 count.
    """
    y = source.y
    zones = [member.config.loss.dead_zone for member in members]
    if not any(zones):
        return None
    spread = [[zone / one if zone > 0 else -1.0 for one in source.scale] for zone in zones]
    sizes = torch.tensor(spread, device=y.device, dtype=y.dtype)
    return sizes if y.dim() == 1 else sizes.unsqueeze(1)


def outside(zone: Tensor, targets: Targets) -> Targets:
    """Returns the targets without those within the members' dead zones."""
    counts = targets.y.abs() > zone
    return targets._replace(mask=counts if targets.mask is None else counts & targets.mask)
