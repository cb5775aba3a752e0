"""Suggests the centre of a space: the middle of every range, the first of every choice.

It is the configuration that one would train without a search: what a search earns is measured
against it, since about one tuning in ten ends worse than its default (Schneider et al. 2025).
"""

import math
from typing import Any

from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.samplers import BaseSampler

from search.sampler.one_by_one import OneByOne


def middles() -> BaseSampler:
    """Returns a sampler of the middle of each parameter, whatever its study holds."""
    return OneByOne(lambda study, trial, name, distribution: middle(distribution))


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
