"""Suggests the centre of a space: the middle of every range, the first of every choice.

It is the configuration that one would train without a search: what a search earns is measured
against it, since about one tuning in ten ends worse than its default (Schneider et al. 2025).
"""

import math
from typing import Any

from optuna import Study
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial


class Centre(BaseSampler):
    """Suggests the middle of each parameter's own distribution, whatever the study holds."""

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns nothing: each parameter has a middle of its own."""
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the middle of a parameter's distribution."""
        return middle(param_distribution)


def middle(distribution: BaseDistribution) -> Any:
    """Returns the value in the middle of a distribution, always one that it can yield.

    The arithmetic middle of a range, the geometric one of a log range; the lower of the two nearest
    values where a range has steps and none in its middle. Of choices the first: whoever writes a
    space writes the usual one first.
    """
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[0]
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high, step = distribution.low, distribution.high, distribution.step
    if distribution.log:
        found = math.sqrt(low) * math.sqrt(high)  # of the product, a large range would overflow
        return min(max(round(found) if isinstance(low, int) else found, low), high)
    if isinstance(low, int) and isinstance(high, int):
        step = int(step or 1)
        return low + step * ((high - low) // step // 2)
    if step is not None:
        return min(low + step * (round((high - low) / step) // 2), high)
    return min(max(low / 2 + high / 2, low), high)
