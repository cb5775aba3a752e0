"""`cmaes`: the covariance matrix adaptation evolution strategy, by the package `cmaes`.

Optuna's sampler keeps its state, pickled, in attributes of trials. Here the state follows from the
told trials again.
"""

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from search.sampler.history import History
from search.sampler.observations import Observation, rank
from search.sampler.parzen import Dimension
from search.sampler.strategies.base import Ask, Proposal
from search.sampler.tpe import Space, Tpe
from trainable.cli.errors import UserError

CENTRE, WIDTH = 0.5, 0.3  # of the first distribution; each range is 0 … 1


class CmaEsStrategy:
    """Adapts a normal distribution to the numbers that all told trials have.

    Told trials make up generations in the order in which they ended, wherever they were drawn: most
    are of the generation before, since others were in flight. Choices, and parameters that only
    some trials have, are suggested by TPE. Trials in flight are not known to the distribution;
    those asked at once are different draws from it.

    Raises:
        UserError: the package is not installed.
    """

    def __init__(self) -> None:
        try:
            self._package: Any = import_module("cmaes")
        except ImportError:
            raise UserError("sampler=cmaes needs the package cmaes: pip install cmaes") from None
        self._space: Space = {}
        self._replayed: list[Observation] = []
        self._state: Any = None

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns a draw from the distribution that the told trials lead to."""
        others = Tpe(history.table, {}, ask.startup, ask.seed)
        space = {
            name: distribution
            for name, distribution in history.common.items()
            if not (isinstance(distribution, CategoricalDistribution) or distribution.single())
        }
        if not space or len(history.told) < ask.startup:
            return Proposal(others)
        self._replay(history.told, space)
        self._state.reseed_rng(ask.seed)
        drawn = self._state.ask()
        values = {
            name: distribution.to_external_repr(
                float(Dimension(distribution).unscale(np.array(coordinate)))
            )
            for (name, distribution), coordinate in zip(space.items(), drawn, strict=True)
        }
        return Proposal(DrawnValues(values, space, others))

    def _replay(self, told: Sequence[Observation], space: Space) -> None:
        """Brings the state to what the whole generations among `told` make of it."""
        n = len(self._replayed)
        grown = len(told) >= n and all(a is b for a, b in zip(self._replayed, told, strict=False))
        if self._state is None or space != self._space or not grown:
            self._space, self._replayed = space, []
            self._state = self._fresh(None)
        while len(told) - len(self._replayed) >= self._state.population_size:
            begin = len(self._replayed)
            generation = told[begin : begin + self._state.population_size]
            self._replayed += generation
            best_first = sorted(generation, key=rank)
            self._state.tell([(self._place(one), i) for i, one in enumerate(best_first)])
            if self._state.should_stop():  # it has shrunk to a point: begin again, with more
                self._state = self._fresh(2 * self._state.population_size)

    def _fresh(self, population: int | None) -> Any:
        D = len(self._space)
        return self._package.CMA(
            np.full(D, CENTRE),
            WIDTH,
            bounds=np.tile([0.0, 1.0], (D, 1)),
            population_size=population,
        )

    def _place(self, observation: Observation) -> np.ndarray:
        """Returns a trial's values of the space [D], each scaled to 0 … 1."""
        return np.array(
            [
                float(Dimension(space).scale(np.array(float(observation.params[name]))))
                for name, space in self._space.items()
            ]
        )


class DrawnValues(BaseSampler):
    """Suggests values that were drawn already, and leaves the rest to another sampler.

    Args:
        values: by parameter name.
        space: their distributions.
        others: samples all other parameters, each on its own.
    """

    def __init__(self, values: dict[str, Any], space: Space, others: BaseSampler) -> None:
        self._values, self._space, self._others = values, space, others

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns what was drawn."""
        return self._space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Returns the values of `search_space`."""
        return {name: self._values[name] for name in search_space}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Returns the other sampler's value."""
        return self._others.sample_independent(study, trial, param_name, param_distribution)
