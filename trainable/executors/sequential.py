"""The executor of large networks on a CPU: its members take each step one after another.

The matrix products of one network fill a core already, and its weights stay in the core's cache
during a step.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.executors.base import StepResult
from trainable.executors.batched import BatchedExecutor
from trainable.losses.base import Targets
from trainable.models import InputShape
from trainable.models.base import Days


class SequentialExecutor:
    """K members of one shape, each with an executor of its own."""

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        shape: InputShape,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._like = shape, device, dtype
        self.members: list[BatchedExecutor] = []
        self.add(configs)

    def plan(self, lr: np.ndarray, done: int = 0, epochs: Sequence[int] = ()) -> None:
        """Sets the learning rates [S, K] of an epoch's S steps, the first `done` already taken."""
        for k, member in enumerate(self.members):
            member.plan(lr[:, [k]], done, epochs[k : k + 1])

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., K, B, W, F] as `step` takes them."""
        # Where training changes the inputs of some, all of them prepare their own.
        return x if self._raw() else self.members[0].prepare(x)

    def step(self, i: int, x: Tensor, targets: Targets, days: Days | None = None) -> StepResult:
        """Takes step i of the plan on prepared x [K, B, D] and targets [K, B]."""
        raw, results = self._raw(), []
        for k, member in enumerate(self.members):
            mine = member.prepare(x[k : k + 1]) if raw else x[k : k + 1]
            results.append(member.step(i, mine, targets.members(k)))
        names = results[0].parts
        return StepResult(
            torch.cat([result.loss for result in results]),
            torch.cat([result.norm for result in results]),
            [k for k, result in enumerate(results) if result.failed],
            {name: torch.cat([result.parts[name] for result in results]) for name in names},
        )

    def _raw(self) -> bool:
        """Says whether `step` is given inputs as they are."""
        return any(member.augments for member in self.members)

    def finite(self) -> list[str | None]:
        """Returns for each member the first parameter that is not finite, or None."""
        return [member.finite()[0] for member in self.members]

    def snapshot(self) -> None:
        """Copies all weights and optimizer states, for `restore`."""
        for member in self.members:
            member.snapshot()

    def restore(self, members: Sequence[int]) -> None:
        """Sets these members back to the latest `snapshot`."""
        for k in members:
            self.members[k].restore([0])

    def perturb_head(self, member: int, size: float) -> None:
        """Adds noise to the member's head."""
        self.members[member].perturb_head(0, size)

    def bad_gradient(self, member: int) -> str:
        """Names the first component whose latest gradient is not finite."""
        return self.members[member].bad_gradient(0)

    def component_norms(self) -> list[dict[str, float]]:
        """Returns the L2 norms of each member's latest gradient by component, before clipping."""
        return [member.component_norms()[0] for member in self.members]

    def predict(self, x: Tensor, days: Days | None = None) -> Tensor:
        """Maps x [m, W, F] to predictions [K, m], without dropout."""
        return torch.cat([member.predict(x) for member in self.members])

    def weights(self, member: int) -> dict[str, Tensor]:
        """Returns a copy of a member's parameters by name."""
        return self.members[member].weights(0)

    def state(self, member: int) -> dict[str, Tensor]:
        """Returns all that `load` needs for a member to continue exactly."""
        return self.members[member].state(0)

    def load(self, member: int, state: dict[str, Tensor]) -> None:
        """Sets a member to what `state` returned."""
        self.members[member].load(0, state)

    def compact(self, keep: Sequence[int]) -> None:
        """Keeps only these members, in this order."""
        self.members = [self.members[k] for k in keep]

    def add(self, configs: Sequence[TrialConfig]) -> None:
        """Adds members behind those there; only between two plans."""
        shape, device, dtype = self._like
        for config in configs:
            self.members.append(BatchedExecutor([config], shape, device, dtype, padded=False))
