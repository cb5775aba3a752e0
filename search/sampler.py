"""What TPE sees of a search: a small study in memory, rebuilt at will from the durable one.

A suggestion depends only on the search's seed, how many were asked before, what was told and what
is in flight; so a search that was killed and resumed suggests what an unbroken one would have.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from search.byhand import ByHand, check_used
from search.feasibility import Feasibility
from search.lessons import Seen, is_cut, lesson, view_of
from search.trials import derive_seed
from trainable.errors import UserError
from trainable.report import NUMERIC_FAILURES

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
    """TPE over searched trials (kinds `search` and `enqueued`) in an in-memory study.

    Not thread-safe: its owner calls it under one lock.

    Args:
        seed: of the search.
        startup: number of told trials before which suggestions are random.
        direction: of the objective, "maximize" or "minimize".
    """

    def __init__(self, seed: int, startup: int = STARTUP, direction: str = "maximize") -> None:
        self._seed = seed
        self._startup = startup
        self._direction = direction
        self._told: list[Seen] = []  # what teaches, in the order of its end
        self._running: dict[int, Seen] = {}
        self._build()

    def load(self, told: Sequence[Seen], running: Iterable[Seen]) -> None:
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
        tpe = make_sampler(seed, self._startup, self._shared or {})
        self._study.sampler = ByHand(tpe, fixed) if fixed else tpe
        trial = self._study.ask()
        try:
            constants = space(trial)
        finally:
            self._study.tell(trial, state=TrialState.FAIL)
        if not isinstance(constants, dict):
            raise UserError(
                f"the space returned {type(constants).__name__}; it must return a dict of constants"
            )
        check_used(fixed, trial.params, constants)
        return Suggestion(dict(trial.params), dict(trial.distributions), constants)

    def add(self, seen: Seen) -> None:
        """Enters a trial in flight: TPE keeps later suggestions away from it."""
        self._running[seen.number] = seen
        self._place(seen)

    def tell(self, seen: Seen) -> None:
        """Tells the end of a trial that was in flight."""
        del self._running[seen.number]
        place = self._places.pop(seen.number)
        state = lesson(seen)
        if state is None:
            self._study.tell(place, state=TrialState.FAIL)
            return
        self._told.append(seen)
        self._view.append(seen)
        self._share(seen)
        self._feasibility = None
        if is_cut(len(self._told)):
            self._build()
            return
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(self._study_id, place)
        trial = optuna.Trial(self._study, trial_id)
        for epoch, value in seen.reports.items():
            trial.report(value, epoch)
        for key, value in _constraints(seen).items():
            trial.set_constraint(key, value)
        self._study.tell(place, seen.value if state is TrialState.COMPLETE else None, state)

    def seen(self) -> list[int]:
        """Returns the numbers of the told trials that TPE sees, ascending."""
        return sorted(seen.number for seen in self._view)

    def _build(self) -> None:
        self._view = view_of(self._told, self._direction)
        self._feasibility: Feasibility | None = None  # of the view, when it is first needed
        self._places: dict[int, int] = {}  # number here by durable number, of those in flight
        self._shared: dict[str, BaseDistribution] | None = None  # what all of the view have
        for seen in self._view:
            self._share(seen)
        self._storage = optuna.storages.InMemoryStorage()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._study = optuna.create_study(
            storage=self._storage,
            sampler=make_sampler(self._seed, self._startup, {}),
            pruner=optuna.pruners.NopPruner(),
            study_name="sampler",
            direction=StudyDirection[self._direction.upper()],
        )
        self._study_id = self._storage.get_study_id_from_name("sampler")
        # In the order of asking: TPE weighs its trials by their numbers, the newest most.
        everything = [*self._view, *self._running.values()]
        for seen in sorted(everything, key=lambda seen: seen.number):
            self._place(seen)

    def _share(self, seen: Seen) -> None:
        if self._shared is None:
            self._shared = dict(sorted(seen.distributions.items()))
        has = seen.distributions
        self._shared = {k: space for k, space in self._shared.items() if has.get(k) == space}

    def _place(self, seen: Seen) -> None:
        if seen.number in self._running:
            trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
            self._places[seen.number] = len(trials)
        self._study.add_trial(_frozen(seen, seen.number in self._running))


class Tpe(TPESampler):
    """TPE that is told which parameters all trials have.

    It would look through every trial for them, as each suggestion has a sampler of its own for the
    seed's sake; at 1,000 trials that was a third of the time of asking.
    """

    def __init__(self, shared: Mapping[str, BaseDistribution], **arguments: Any) -> None:
        super().__init__(**arguments)
        self._shared = shared

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        """Returns what is sampled jointly: what every trial has, with more than one value."""
        return {name: space for name, space in self._shared.items() if not space.single()}


def make_sampler(seed: int, startup: int, shared: Mapping[str, BaseDistribution]) -> TPESampler:
    """Returns the TPE of a search, every argument that is not deprecated stated.

    Args:
        seed: of one suggestion.
        startup: number of told trials before which suggestions are random.
        shared: the parameters that all told trials have, by name, sorted.
    """
    return Tpe(
        shared,
        n_startup_trials=startup,
        n_ei_candidates=24,
        seed=seed,
        # Jointly over the parameters every trial has; a conditional one on its own. `group=True`
        # would model conditional ones jointly, but what it suggests depends on the order of
        # telling, which a resumed search could not reproduce.
        multivariate=True,
        group=False,
        # Trials in flight count as bad, or a batch asked at once would be one point many times.
        constant_liar=True,
    )


def _constraints(seen: Seen) -> dict[str, float]:
    # Infeasible: ranked below everything else, however good the reports before the failure.
    return {"numeric": 1.0} if seen.reason in NUMERIC_FAILURES else {}


def _frozen(seen: Seen, running: bool) -> FrozenTrial:
    """Returns the trial as TPE sees it: in flight until it is told, or finished with its lesson."""
    state = TrialState.RUNNING if running else lesson(seen)
    assert state is not None
    return create_trial(
        state=state,
        value=seen.value if state is TrialState.COMPLETE else None,
        params=seen.params,
        distributions=seen.distributions,
        intermediate_values=dict(seen.reports) if state is not TrialState.RUNNING else {},
        # One in flight here may have ended already, and be about to be told.
        constraints={} if running else _constraints(seen),
    )


def _risk(tried: tuple[float, Suggestion]) -> float:
    return tried[0]
