"""`qmc`: points of a scrambled Sobol' sequence, which cover a space more evenly than random ones.

Optuna's sampler counts its points in an attribute of its study. Here a trial's point is that of its
index, so the count is never lost.
"""

from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial
from scipy.stats.qmc import Sobol

from search.sampler.history import History
from search.sampler.parzen import Dimension
from search.sampler.seeds import derive_seed
from search.sampler.strategies.base import Ask, Proposal

DIMENSIONS = 64  # parameters of a trial that the sequence covers; any further ones are random


class QmcStrategy:
    """Gives trial number i the i-th point of one sequence, whatever is told or in flight.

    The n-th parameter that a trial suggests takes the n-th coordinate. Without branches a parameter
    always has the same one; after a branch of the space it may have another, and is then spread as
    evenly among the trials of its branch only.

    A point that is likely to fail is replaced by the i-th of another scrambling.
    """

    def __init__(self) -> None:
        self._sequences: dict[int, Sobol] = {}

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns a sampler that reads off the coordinates of the trial's point."""
        seed = derive_seed(ask.search_seed, 2, ask.attempt)
        if seed not in self._sequences:
            self._sequences[seed] = Sobol(DIMENSIONS, scramble=True, rng=seed)
        sequence = self._sequences[seed].reset()
        if ask.index:
            sequence.fast_forward(ask.index)
        return Proposal(PointSampler(sequence.random(1)[0], ask.seed))


class PointSampler(BaseSampler):
    """Suggests the coordinates of a point, one parameter after another, and then random values.

    Args:
        point: [D] coordinates, 0 … 1.
        seed: of the random values.
    """

    def __init__(self, point: np.ndarray, seed: int) -> None:
        self._left = point.tolist()
        self._random = RandomSampler(seed)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns nothing: parameters are known when the space suggests them."""
        return {}

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns nothing."""
        return {}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the next coordinate as a value of the distribution."""
        if not self._left:
            return self._random.sample_independent(study, trial, param_name, param_distribution)
        return value_at(self._left.pop(0), param_distribution)


def value_at(coordinate: float, space: BaseDistribution) -> Any:
    """Returns the value of a distribution at a coordinate 0 … 1; each choice has an equal part."""
    dimension = Dimension(space)
    if dimension.choices:
        internal = float(min(int(coordinate * dimension.choices), dimension.choices - 1))
    else:
        internal = float(dimension.unscale(np.array(coordinate)))
    return space.to_external_repr(internal)
