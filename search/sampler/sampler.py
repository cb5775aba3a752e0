"""Suggests configurations by TPE, from what the durable study knows.

A suggestion depends only on the seed of the search, how many trials were asked before, which were
told and which are in flight. So a killed and resumed search suggests what an unbroken one would.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from search.sampler.centre import Centre
from search.sampler.feasibility import Feasibility
from search.sampler.fixed_values import FixedValues, check_used
from search.sampler.observations import (
    Observation,
    is_selection_due,
    select_told,
    state_for_tpe,
)
from search.sampler.seeds import derive_seed
from search.sampler.tpe import ObservationTable, Tpe
from trainable.cli.errors import UserError

SpaceFunction = Callable[[optuna.Trial], dict[str, Any]]

STARTUP = 16  # random trials before TPE begins
MAX_RISK = 0.3  # probability of a numeric failure above which TPE is asked again
MAX_TRIES = 12  # suggestions at most; if all are too risky, the least risky one is taken


@dataclass(frozen=True)
class Suggestion:
    """What one call of a space yielded.

    Attributes:
        params: the suggested values.
        distributions: of the suggested values, by the same names.
        constants: what the space returned.
    """

    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    constants: dict[str, Any]


class Sampler:
    """TPE over searched trials (kinds `search` and `enqueued`); a higher objective is better.

    Not thread-safe: its owner calls it under one lock.

    Args:
        seed: of the search.
        startup: number of told trials before which suggestions are random.

    Attributes:
        selected: the told trials that TPE learns from.
    """

    def __init__(self, seed: int, startup: int = STARTUP) -> None:
        self._seed = seed
        self._startup = startup
        self._told: list[Observation] = []  # those TPE does not ignore, in the order they ended
        self._running: dict[int, Observation] = {}
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # slow: once, not for each suggestion
        self._build()

    def load(self, told: Sequence[Observation], running: Iterable[Observation]) -> None:
        """Replaces all trials: `told` in the order in which they ended, and those in flight."""
        self._told = [ended for ended in told if state_for_tpe(ended) is not None]
        self._running = {observation.number: observation for observation in running}
        self._build()

    def ask(self, space: SpaceFunction, index: int, fixed: Mapping[str, Any]) -> Suggestion:
        """Calls `space` with a trial that samples by TPE, again where failure is likely.

        The sampler does not change, whether or not the space raises; `add` enters the trial.

        Args:
            space: suggests from its trial and returns constants.
            index: how many searched trials were asked before in this search.
            fixed: values that a person gave, by parameter name; such a trial is not asked again.

        Raises:
            UserError: the space does not take a fixed value, or returns no dict.
        """
        if self._feasibility is None:
            self._feasibility = Feasibility(self.selected)
        tries: list[tuple[float, Suggestion]] = []
        while not tries or (min(tries, key=_risk)[0] > MAX_RISK and len(tries) < MAX_TRIES):
            seed = derive_seed(self._seed, 0, index, len(tries))
            tpe = Tpe(self._table, self._common or {}, self._startup, seed)
            suggestion = _call(space, FixedValues(tpe, fixed) if fixed else tpe)
            check_used(fixed, suggestion.params, suggestion.constants)
            risk = 0.0 if fixed else self._feasibility.failure_probability(suggestion.params)
            tries.append((risk, suggestion))
        return min(tries, key=_risk)[1]

    def add(self, observation: Observation) -> None:
        """Adds a trial in flight: TPE keeps later suggestions away from it."""
        self._running[observation.number] = observation
        self._table.add(observation, told=False)

    def tell(self, ended: Observation) -> None:
        """Tells the end of a trial that was in flight."""
        del self._running[ended.number]
        if state_for_tpe(ended) is None:
            self._table.forget(ended.number)
            return
        self._told.append(ended)
        self._feasibility = None
        if is_selection_due(len(self._told)):
            self._build()
            return
        self.selected.append(ended)
        self._narrow_common(ended)
        self._table.tell(ended)

    def _build(self) -> None:
        """Selects the told trials to learn from, and computes from them what suggestions need."""
        self.selected = select_told(self._told)
        self._feasibility: Feasibility | None = None  # of the selected, made when first needed
        self._common: dict[str, BaseDistribution] | None = None  # what all selected trials have
        for ended in self.selected:
            self._narrow_common(ended)
        self._table = ObservationTable()
        # In the order of asking: TPE weighs its trials by their numbers, the newest most.
        trials = sorted([*self.selected, *self._running.values()], key=lambda trial: trial.number)
        for trial in trials:
            self._table.add(trial, told=trial.number not in self._running)

    def _narrow_common(self, ended: Observation) -> None:
        """Removes the parameters that a trial lacks, or has from another distribution."""
        if self._common is None:
            self._common = dict(sorted(ended.distributions.items()))
        has = ended.distributions
        self._common = {
            name: space
            for name, space in self._common.items()
            if has.get(name) is space or has.get(name) == space
        }


def centre(space: SpaceFunction) -> Suggestion:
    """Calls `space` with a trial that suggests the middle of every range.

    Raises:
        UserError: the space refuses its centre.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return _call(space, Centre())


def _call(space: SpaceFunction, sampler: BaseSampler) -> Suggestion:
    study = _study(sampler)
    constants = space(study.ask())
    if not isinstance(constants, dict):
        raise UserError(
            f"the space returned {type(constants).__name__}; it must return a dict of constants"
        )
    suggested = study.get_trials(deepcopy=False)[0]
    return Suggestion(suggested.params, suggested.distributions, constants)


def _study(sampler: BaseSampler) -> optuna.Study:
    """Returns a study in memory for one trial, which it forgets."""
    return optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        sampler=sampler,
        pruner=optuna.pruners.NopPruner(),
        study_name="sampler",
    )


def _risk(tried: tuple[float, Suggestion]) -> float:
    return tried[0]
