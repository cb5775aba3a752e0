"""The same rate from the first step on."""

from dataclasses import dataclass

import numpy as np

from trainable.hyperparameter import entry_name


@dataclass(frozen=True)
class ConstantConfig:
    """A constant rate has no parameter of its own."""

    name: str = entry_name("constant", per_member=True)

    @property
    def warmup_steps(self) -> int:
        """There is no warm-up."""
        return 0


def constant(config: ConstantConfig, step: np.ndarray, total: int) -> np.ndarray:
    """Returns ones."""
    return np.ones(len(step))
