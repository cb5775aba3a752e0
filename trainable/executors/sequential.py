"""The executor of large networks on a CPU: a cohort whose members take each step one by one.

Their matrix products fill a core anyway; what counts is that one network's weights stay in its
cache during a step.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.executors.base import StepResult
from trainable.executors.batched import CohortEngine


class SerialEngine:
    """K members of one shape, each its own cohort of one."""

    def __init__(
        self, configs: Sequence[TrialConfig], inputs: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        self._like = inputs, device, dtype
        self.members: list[CohortEngine] = []
        self.admit(configs)

    def plan(self, lr: np.ndarray, done: int = 0) -> None:
        """Takes the learning rates [S, K] of a plan's steps, of which `done` are taken already."""
        for k, member in enumerate(self.members):
            member.plan(lr[:, [k]], done)

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., K, B, W, F] as `step` takes them."""
        return self.members[0].prepare(x)

    def step(self, i: int, x: Tensor, y: Tensor, keep: Tensor | None) -> StepResult:
        """Step i of the plan on prepared x [K, B, D], y [K, B], keep [K, B]."""
        results = []
        for k, member in enumerate(self.members):
            mine = slice(k, k + 1)
            kept = None if keep is None else keep[mine]
            results.append(member.step(i, x[mine], y[mine], kept))
        return StepResult(
            torch.cat([result.loss for result in results]),
            torch.cat([result.norm for result in results]),
            [k for k, result in enumerate(results) if result.failed],
        )

    def finite(self) -> list[str | None]:
        """Returns for each member the first parameter that is not finite, or None."""
        return [member.finite()[0] for member in self.members]

    def keep(self) -> None:
        """Remembers the present weights and optimizer states as good."""
        for member in self.members:
            member.keep()

    def roll_back(self, members: Sequence[int]) -> None:
        """Returns these members to the state of the latest `keep`."""
        for k in members:
            self.members[k].roll_back([0])

    def bad_gradient(self, member: int) -> str:
        """Names the first component whose latest gradient is not finite."""
        return self.members[member].bad_gradient(0)

    def component_norms(self) -> list[dict[str, float]]:
        """Returns the L2 norms of each member's latest gradient by component, before clipping."""
        return [member.component_norms()[0] for member in self.members]

    def predict(self, x: Tensor) -> Tensor:
        """Maps x [m, W, F] to predictions [K, m], without dropout."""
        return torch.cat([member.predict(x) for member in self.members])

    def weights(self, member: int) -> dict[str, Tensor]:
        """Returns a copy of a member's parameters by name."""
        return self.members[member].weights(0)

    def state(self, member: int) -> dict[str, Tensor]:
        """Returns all that `load` needs to go on as if nothing had happened."""
        return self.members[member].state(0)

    def load(self, member: int, state: dict[str, Tensor]) -> None:
        """Takes back what `state` returned."""
        self.members[member].load(0, state)

    def compact(self, keep: Sequence[int]) -> None:
        """Goes on with these members only, in this order."""
        self.members = [self.members[k] for k in keep]

    def admit(self, configs: Sequence[TrialConfig]) -> None:
        """Takes further members in, behind those there; only between two plans."""
        inputs, device, dtype = self._like
        for config in configs:
            self.members.append(CohortEngine([config], inputs, device, dtype, padded=False))
