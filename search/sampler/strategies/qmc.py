"""`qmc`: points of a scrambled Sobol' sequence, which cover a space more evenly than random ones.

Optuna's sampler counts its points in an attribute of its study. Here a trial's point is that of its
index, so the count is never lost.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from search.sampler.history import History
from search.sampler.one_by_one import OneByOne
from search.sampler.parzen import Dimension
from search.sampler.seeds import derive_seed
from search.sampler.strategies.base import Ask, Proposal

if TYPE_CHECKING:
    from scipy.stats.qmc import Sobol

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
        from scipy.stats.qmc import Sobol  # takes half a second

        seed = derive_seed(ask.search_seed, 2, ask.attempt)
        if seed not in self._sequences:
            self._sequences[seed] = Sobol(DIMENSIONS, scramble=True, rng=seed)
        sequence = self._sequences[seed].reset()
        if ask.index:
            sequence.fast_forward(ask.index)
        return Proposal(coordinates(sequence.random(1)[0], ask.seed))


def coordinates(point: np.ndarray, seed: int) -> BaseSampler:
    """Returns a sampler of the coordinates of a point, one a parameter, and then random values.

    Args:
        point: [D] coordinates, 0 … 1.
        seed: of the random values.
    """
    left, random = point.tolist(), RandomSampler(seed)

    def value_of(study: Study, trial: FrozenTrial, name: str, space: BaseDistribution) -> Any:
        if not left:
            return random.sample_independent(study, trial, name, space)
        return value_at(left.pop(0), space)

    return OneByOne(value_of)


def value_at(coordinate: float, space: BaseDistribution) -> Any:
    """Returns the value of a distribution at a coordinate 0 … 1; each choice has an equal part."""
    dimension = Dimension(space)
    if dimension.choices:
        internal = float(min(int(coordinate * dimension.choices), dimension.choices - 1))
    else:
        internal = float(dimension.unscale(np.array(coordinate)))
    return space.to_external_repr(internal)
