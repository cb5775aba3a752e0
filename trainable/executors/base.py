"""What training asks of an executor, which takes the optimizer steps of K members.

`batched.py`, `sequential.py` and `solo.py` hold them; `vmapped/` is a model of the first.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.data.dataset.windows import Windows
from trainable.losses.base import Targets
from trainable.models.base import Days
from trainable.models.batched.layers import ALIGNED
from trainable.optimizers.layout import is_head

ROWS = 256  # predicted at once, so that the activations of many members fit into the caches
BARS = 2**11  # of the windows predicted at once, for the same reason
LAUNCHED = 2**16  # values of one member's inputs at once on a GPU, where each call is dear


@dataclass(frozen=True)
class StepResult:
    """One optimizer step of K members.

    Attributes:
        loss: [K].
        norm: [K], L2 norm of the gradient before clipping.
        failed: members whose loss or gradient was not finite; their weights must be restored.
        parts: [K] by name, the parts of a weighted loss.
    """

    loss: Tensor
    norm: Tensor
    failed: list[int]
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Predicts(Protocol):
    """K members of one shape that predict."""

    def predict(self, x: Tensor, days: Days | None = None) -> Tensor:
        """Maps x [m, W, F] to predictions [K, m], or [K, m, O], without dropout.

        Args:
            x: inputs; of a model over whole days those of D days × N symbols.
            days: of these days, each [D, N, …]; only for models that ask for it.
        """
        ...


class Executor(Predicts, Protocol):
    """K members that take optimizer steps together; k counts from 0 in the present order."""

    def plan(self, lr: np.ndarray, done: int = 0, epochs: Sequence[int] = ()) -> None:
        """Sets the learning rates [S, K] of an epoch's S steps, the first `done` already taken.

        Args:
            lr: by step and member.
            done: steps already taken.
            epochs: that each member has ended, by which the weights of a loss may change; none:
                0 each.
        """
        ...

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., K, B, W, F] as `step` takes them; all that needs no weight."""
        ...

    def step(self, i: int, x: Tensor, targets: Targets, days: Days | None = None) -> StepResult:
        """Takes step i of the plan.

        Args:
            i: from 0.
            x: prepared inputs [K, B, …].
            targets: of the same rows, each [K, B, …].
            days: of a batch of whole days, each [K, D, N, …]; only for models that ask for it.
        """
        ...

    def finite(self) -> list[str | None]:
        """Returns for each member the first parameter that is not finite, or None."""
        ...

    def snapshot(self) -> None:
        """Copies all weights and optimizer states, for `restore`."""
        ...

    def restore(self, members: Sequence[int]) -> None:
        """Sets these members back to the latest `snapshot`."""
        ...

    def perturb_head(self, member: int, size: float) -> None:
        """Adds noise to the member's head, `size` standard deviations of each of its tensors.

        Drawn by the member's generator; only between two plans.
        """
        ...

    def bad_gradient(self, member: int) -> str:
        """Names the first component whose latest gradient is not finite."""
        ...

    def component_norms(self) -> list[dict[str, float]]:
        """Returns the L2 norms of each member's latest gradient by component, before clipping."""
        ...

    def weights(self, member: int) -> dict[str, Tensor]:
        """Returns a copy of a member's parameters by name."""
        ...

    def state(self, member: int) -> dict[str, Tensor]:
        """Returns all that `load` needs for a member to continue exactly."""
        ...

    def load(self, member: int, state: dict[str, Tensor]) -> None:
        """Sets a member to what `state` returned."""
        ...

    def add(self, configs: Sequence[TrialConfig]) -> None:
        """Adds members behind those there; only between two plans."""
        ...

    def compact(self, keep: Sequence[int]) -> None:
        """Keeps only these members, in this order."""
        ...


def perturb(parts: Mapping[str, Tensor], size: float, generator: torch.Generator) -> None:
    """Adds noise to the tensors of heads among the named ones, in place.

    Args:
        parts: a member's parameters by name.
        size: of the noise, in standard deviations of each tensor; of one number, in its size.
        generator: of the member.
    """
    for name, part in parts.items():
        if is_head(name):
            noise = torch.empty_like(part).normal_(generator=generator)
            spread = part.std() if part.numel() > 1 else part.abs()
            part.add_(noise * (size * spread))


def component(name: str) -> str:
    """Returns the component of a parameter: `hidden.0.linear.weight` → `hidden.0`."""
    parts = name.split(".")
    return ".".join(parts[:2]) if len(parts) > 2 and parts[1].isdigit() else parts[0]


def norms(parts: Mapping[str, Tensor]) -> list[dict[str, float]]:
    """Returns the L2 norm of each component of K members, by name.

    Args:
        parts: tensors [K, …] by the names of parameters.
    """
    squares: dict[str, Tensor] = {}
    for name, part in parts.items():
        size = part.flatten(1).square().sum(1)
        key = component(name)
        squares[key] = squares[key] + size if key in squares else size
    found = {name: square.sqrt().tolist() for name, square in squares.items()}
    return [dict(zip(found, each, strict=True)) for each in zip(*found.values(), strict=True)]


def cause(executor: Executor, k: int, result: StepResult) -> tuple[str, str]:
    """Returns what was not finite in member k's failed step: the tensor and its value."""
    loss = float(result.loss[k])
    if math.isfinite(loss):
        return f"gradient {executor.bad_gradient(k)}", str(float(result.norm[k]))
    return "loss", str(loss)


def snapshot_if_finite(executor: Executor) -> dict[int, tuple[str, str]]:
    """Restores the members whose weights are not finite, then takes a snapshot of all.

    All at once, so that no member's snapshot depends on a neighbour.

    Returns:
        For each restored member, what was not finite: the tensor and its value.
    """
    found = enumerate(executor.finite())
    broken = {k: (f"weights {name}", "not finite") for k, name in found if name}
    if broken:
        executor.restore(list(broken))
    executor.snapshot()
    return broken


def rows_at_once(windows: Windows) -> int:
    """Returns how many rows an evaluation predicts at once; the same for every cohort size."""
    if windows.x.is_cuda:
        return max(ROWS, LAUNCHED // windows.shape.size)
    return max(ALIGNED, min(ROWS, BARS // windows.window) // ALIGNED * ALIGNED)
