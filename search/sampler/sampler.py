"""Suggests configurations from what the durable study knows, by a strategy that can be chosen.

A suggestion depends only on the seed of the search, how many trials were asked before, which were
told, in which order, and which are in flight. So a killed and resumed search suggests what an
unbroken one would.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from search.sampler.centre import middles
from search.sampler.feasibility import Feasibility, ParameterRows
from search.sampler.fixed_values import FixedValues, check_used
from search.sampler.history import History
from search.sampler.observations import Observation
from search.sampler.strategies import DEFAULT_SAMPLER, strategy_of
from search.sampler.strategies.base import Ask, Proposal, Strategy
from trainable.cli.errors import UserError

SpaceFunction = Callable[[optuna.Trial], dict[str, Any]]

STARTUP = 16  # trials told before a model such as TPE makes suggestions
MAX_RISK = 0.3  # probability of a numeric failure above which a suggestion is asked for again
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
    """Suggests searched trials (kinds `search` and `enqueued`); a higher objective is better.

    Not thread-safe: its owner calls it under one lock.

    Args:
        seed: of the search.
        startup: number of told trials before which a model makes no suggestions.
        strategy: how the next configuration follows from the known trials: a name that
            `strategy_of` knows, or one's own.

    Raises:
        UserError: there is no such strategy, or it cannot work here.
    """

    def __init__(
        self, seed: int, startup: int = STARTUP, strategy: str | Strategy = DEFAULT_SAMPLER
    ) -> None:
        self._seed = seed
        self._startup = startup
        self._strategy = strategy_of(strategy) if isinstance(strategy, str) else strategy
        self._history = History()
        self._rows = ParameterRows()
        self._feasibility: Feasibility | None = None  # of the told trials, made when first needed
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # slow: once, not for each suggestion

    @property
    def selected(self) -> list[Observation]:
        """The told trials that suggestions rest on."""
        return self._history.told

    def load(self, told: Sequence[Observation], running: Iterable[Observation]) -> None:
        """Replaces all trials: `told` in the order in which they ended, and those in flight."""
        self._history.load(told, running)
        self._rows, self._feasibility = ParameterRows(), None

    def ask(self, space: SpaceFunction, index: int, fixed: Mapping[str, Any]) -> Suggestion:
        """Calls `space` with a trial that the strategy samples, again where failure is likely.

        The sampler does not change, whether or not the space raises; `add` enters the trial.

        Args:
            space: suggests from its trial and returns constants.
            index: how many searched trials were asked before in this search.
            fixed: values that a person gave, by parameter name; such a trial is not asked again.

        Raises:
            UserError: the space does not take a fixed value, or returns no dict.
        """
        if self._feasibility is None:
            self._feasibility = Feasibility(self.selected, self._rows)
        tries: list[tuple[float, Suggestion]] = []
        while not tries or (min(tries, key=_risk)[0] > MAX_RISK and len(tries) < MAX_TRIES):
            call = Ask(self._seed, index, self._startup, attempt=len(tries))
            suggestion = _suggested(space, fixed, self._strategy.propose(self._history, call))
            risk = 0.0 if fixed else self._feasibility.failure_probability(suggestion.params)
            tries.append((risk, suggestion))
        return min(tries, key=_risk)[1]

    def add(self, observation: Observation) -> None:
        """Adds a trial in flight: strategies keep later suggestions away from it."""
        self._history.add(observation)

    def tell(self, ended: Observation) -> None:
        """Tells the end of a trial that was in flight."""
        if self._history.tell(ended):
            self._feasibility = None


def _suggested(space: SpaceFunction, fixed: Mapping[str, Any], proposal: Proposal) -> Suggestion:
    sampler = FixedValues(proposal.sampler, fixed) if fixed else proposal.sampler
    suggestion = _call(space, sampler, proposal.trials)
    check_used(fixed, suggestion.params, suggestion.constants)
    return suggestion


def centre(space: SpaceFunction) -> Suggestion:
    """Calls `space` with a trial that suggests the middle of every range.

    Raises:
        UserError: the space refuses its centre.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return _call(space, middles())


def _call(
    space: SpaceFunction, sampler: BaseSampler, trials: Sequence[FrozenTrial] = ()
) -> Suggestion:
    """Calls `space` with a trial of a study that has these trials."""
    study = _study(sampler)
    study.add_trials(trials)
    constants = space(study.ask())
    if not isinstance(constants, dict):
        raise UserError(
            f"the space returned {type(constants).__name__}; it must return a dict of constants"
        )
    suggested = study.get_trials(deepcopy=False)[-1]
    return Suggestion(suggested.params, suggested.distributions, constants)


def _study(sampler: BaseSampler) -> optuna.Study:
    """Returns a study in memory for one trial; nobody keeps it."""
    return optuna.create_study(
        storage=optuna.storages.InMemoryStorage(),
        sampler=sampler,
        pruner=optuna.pruners.NopPruner(),
        study_name="sampler",
        direction="maximize",
    )


def _risk(tried: tuple[float, Suggestion]) -> float:
    return tried[0]
