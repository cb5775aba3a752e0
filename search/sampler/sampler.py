"""What TPE sees of a search: a view of what was told, rebuilt at will from the durable study.

A suggestion depends only on the search's seed, how many were asked before, what was told and what
is in flight; so a search that was killed and resumed suggests what an unbroken one would have.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler

from search.sampler.feasibility import Feasibility
from search.sampler.observations import Observation, is_cut, lesson, view_of
from search.sampler.tpe import Memory, Tpe
from search.space.fixed_values import FixedValues, check_used
from search.study.trials import derive_seed
from trainable.cli.errors import UserError

SpaceFunction = Callable[[optuna.Trial], dict[str, Any]]

STARTUP = 16  # random trials before TPE begins
RISK = 0.3  # probability of a numeric failure above which TPE is asked again
TRIES = 12  # how often at most: where everything fails, the least likely to fail is taken


@dataclass(frozen=True)
class Suggestion:
    """One call of a space: what it suggested, from what, and the constants it returned."""

    params: dict[str, Any]
    distributions: dict[str, BaseDistribution]
    constants: dict[str, Any]


class Sampler:
    """TPE over searched trials (kinds `search` and `enqueued`); a higher objective is better.

    Not thread-safe: its owner calls it under one lock.

    Args:
        seed: of the search.
        startup: number of told trials before which suggestions are random.
    """

    def __init__(self, seed: int, startup: int = STARTUP) -> None:
        self._seed = seed
        self._startup = startup
        self._told: list[Observation] = []  # what teaches, in the order of its end
        self._running: dict[int, Observation] = {}
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # slow: once, not for each suggestion
        self._build()

    def load(self, told: Sequence[Observation], running: Iterable[Observation]) -> None:
        """Replaces everything: `told` in the order in which trials ended, and those in flight."""
        self._told = [seen for seen in told if lesson(seen) is not None]
        self._running = {seen.number: seen for seen in running}
        self._build()

    def ask(self, space: SpaceFunction, index: int, fixed: Mapping[str, Any]) -> Suggestion:
        """Calls `space` with a trial that samples by TPE, again if that is likely to blow up.

        The trial leaves no trace here, whether or not the space raises: `add` enters it.

        Args:
            space: suggests from its trial and returns constants.
            index: how many searched trials were asked before in this search.
            fixed: values given by hand.

        Raises:
            UserError: a value by hand that is not of this space.
        """
        if self._feasibility is None:
            self._feasibility = Feasibility(self._view)
        tries: list[tuple[float, Suggestion]] = []
        while not tries or (min(tries, key=_risk)[0] > RISK and len(tries) < TRIES):
            suggestion = self._call(space, fixed, derive_seed(self._seed, 0, index, len(tries)))
            # By hand is as the person wants it.
            risk = 0.0 if fixed else self._feasibility.failure(suggestion.params)
            tries.append((risk, suggestion))
        return min(tries, key=_risk)[1]

    def _call(self, space: SpaceFunction, fixed: Mapping[str, Any], seed: int) -> Suggestion:
        tpe = Tpe(self._memory, self._shared or {}, self._startup, seed)
        study = _study(FixedValues(tpe, fixed) if fixed else tpe)
        constants = space(study.ask())
        if not isinstance(constants, dict):
            raise UserError(
                f"the space returned {type(constants).__name__}; it must return a dict of constants"
            )
        suggested = study.get_trials(deepcopy=False)[0]
        check_used(fixed, suggested.params, constants)
        return Suggestion(suggested.params, suggested.distributions, constants)

    def add(self, seen: Observation) -> None:
        """Enters a trial in flight: TPE keeps later suggestions away from it."""
        self._running[seen.number] = seen
        self._memory.enter(seen, told=False)

    def tell(self, seen: Observation) -> None:
        """Tells the end of a trial that was in flight."""
        del self._running[seen.number]
        if lesson(seen) is None:
            self._memory.forget(seen.number)
            return
        self._told.append(seen)
        self._feasibility = None
        if is_cut(len(self._told)):
            self._build()
            return
        self._view.append(seen)
        self._share(seen)
        self._memory.tell(seen)

    def _build(self) -> None:
        self._view = view_of(self._told)
        self._feasibility: Feasibility | None = None  # of the view, when it is first needed
        self._shared: dict[str, BaseDistribution] | None = None  # what all of the view have
        for seen in self._view:
            self._share(seen)
        self._memory = Memory()
        # In the order of asking: TPE weighs its trials by their numbers, the newest most.
        for seen in sorted([*self._view, *self._running.values()], key=lambda seen: seen.number):
            self._memory.enter(seen, told=seen.number not in self._running)

    def _share(self, seen: Observation) -> None:
        if self._shared is None:
            self._shared = dict(sorted(seen.distributions.items()))
        has = seen.distributions
        self._shared = {
            name: space
            for name, space in self._shared.items()
            if has.get(name) is space or has.get(name) == space
        }


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
