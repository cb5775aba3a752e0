"""A strategy that searches a table: of what another suggests, it takes the nearest row left."""

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from search.sampler.history import History
from search.sampler.parzen import Dimension
from search.sampler.strategies.base import Ask, Proposal, Strategy

Space = dict[str, BaseDistribution]


class NearestStrategy:
    """Proposes rows of a table, each once, and learns of the rows, not of what was suggested first.

    Args:
        of: the strategy that is compared.
        rows: the parameters of each row.
        space: of all of these parameters, which every trial has.
        taken: returns the rows that trials have already.
    """

    def __init__(
        self,
        of: Strategy,
        rows: Sequence[Mapping[str, Any]],
        space: Space,
        taken: Callable[[], AbstractSet[int]],
    ) -> None:
        self._of, self._rows, self._space, self._taken = of, rows, space, taken
        self._places = np.array([place(row, space) for row in rows])

    def propose(self, history: History, ask: Ask) -> Proposal:
        """Returns a sampler that moves the other strategy's suggestion to the nearest row left."""
        made = self._of.propose(history, ask)
        taken = self._taken()
        left = np.array([row for row in range(len(self._rows)) if row not in taken])

        def nearest(params: Mapping[str, Any]) -> Mapping[str, Any]:
            apart = self._places[left] - place(params, self._space)
            return self._rows[left[np.argmin((apart**2).sum(axis=1))]]

        return Proposal(NearestRow(made.sampler, self._space, nearest), made.trials)


class NearestRow(BaseSampler):
    """Samples by another sampler and suggests the nearest row instead.

    Args:
        of: the other sampler.
        space: of all parameters of a row.
        nearest: returns the row nearest to parameters.
    """

    def __init__(
        self,
        of: BaseSampler,
        space: Space,
        nearest: Callable[[Mapping[str, Any]], Mapping[str, Any]],
    ) -> None:
        self._of, self._space, self._nearest = of, space, nearest

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> Space:
        """Returns the whole space."""
        return self._space

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: Space
    ) -> dict[str, Any]:
        """Returns the parameters of the nearest row."""
        jointly = self._of.infer_relative_search_space(study, trial)
        params = self._of.sample_relative(study, trial, jointly)
        for name, distribution in self._space.items():
            if name not in params:
                params[name] = self._of.sample_independent(study, trial, name, distribution)
        row = self._nearest(params)
        return {name: row[name] for name in search_space}

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        """Fails: all parameters are those of a row."""
        raise KeyError(f"{param_name} is no parameter of the table")


def place(params: Mapping[str, Any], space: Space) -> np.ndarray:
    """Returns coordinates: a number's position in its range 0 … 1; two choices are 1 apart."""
    found: list[float] = []
    for name, distribution in space.items():
        dimension, value = Dimension(distribution), params[name]
        internal = distribution.to_internal_repr(value)
        if dimension.choices:
            found += [np.sqrt(0.5) * (internal == choice) for choice in range(dimension.choices)]
        else:
            found.append(float(dimension.scale(np.array(internal))))
    return np.array(found)
