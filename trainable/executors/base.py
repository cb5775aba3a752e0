"""What the course of training asks of an executor: `cohort.py`, `serial.py`, `solo.py` answer."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from torch import Tensor

from trainable.config import TrialConfig


@dataclass(frozen=True)
class StepResult:
    """One optimizer step of K members.

    Attributes:
        loss: [K].
        norm: [K], L2 norm of the gradient before clipping.
        failed: members whose loss or gradient was not finite; their weights must be rolled back.
    """

    loss: Tensor
    norm: Tensor
    failed: list[int]


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


def cause(engine: "Executor", k: int, result: StepResult) -> tuple[str, str]:
    """Returns what was not finite in member k's failed step: the tensor and its value."""
    loss = float(result.loss[k])
    if math.isfinite(loss):
        return f"gradient {engine.bad_gradient(k)}", str(float(result.norm[k]))
    return "loss", str(loss)


def keep_good(engine: "Executor") -> dict[int, tuple[str, str]]:
    """Remembers the weights as good, after rolling back those that are not: these it returns.

    Everyone's are remembered, so that nobody's last good weights depend on a neighbour.
    """
    found = enumerate(engine.finite())
    broken = {k: (f"weights {name}", "not finite") for k, name in found if name}
    if broken:
        engine.roll_back(list(broken))
    engine.keep()
    return broken


class Executor(Protocol):
    """K members that take optimizer steps together; k counts from 0 in the present order."""

    def plan(self, lr: np.ndarray, done: int = 0) -> None:
        """Takes the learning rates [S, K] of a plan's steps, of which `done` are taken already."""
        ...

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., K, B, W, F] as `step` takes them: what no weight has a part in."""
        ...

    def step(self, i: int, x: Tensor, y: Tensor, keep: Tensor | None) -> StepResult:
        """Step i of the plan on prepared x [K, B, …], y [K, B], keep [K, B] (rows in the loss)."""
        ...

    def finite(self) -> list[str | None]:
        """Returns for each member the first parameter that is not finite, or None."""
        ...

    def keep(self) -> None:
        """Remembers the present weights and optimizer states as good."""
        ...

    def roll_back(self, members: Sequence[int]) -> None:
        """Returns these members to the state of the latest `keep`."""
        ...

    def bad_gradient(self, member: int) -> str:
        """Names the first component whose latest gradient is not finite."""
        ...

    def component_norms(self) -> list[dict[str, float]]:
        """Returns the L2 norms of each member's latest gradient by component, before clipping."""
        ...

    def predict(self, x: Tensor) -> Tensor:
        """Maps x [m, W, F] to predictions [K, m], without dropout."""
        ...

    def weights(self, member: int) -> dict[str, Tensor]:
        """Returns a copy of a member's parameters by name."""
        ...

    def state(self, member: int) -> dict[str, Tensor]:
        """Returns all that `load` needs to go on as if nothing had happened."""
        ...

    def load(self, member: int, state: dict[str, Tensor]) -> None:
        """Takes back what `state` returned."""
        ...

    def admit(self, configs: Sequence[TrialConfig]) -> None:
        """Takes further members in, behind those there; only between two plans."""
        ...

    def compact(self, keep: Sequence[int]) -> None:
        """Goes on with these members only, in this order."""
        ...
