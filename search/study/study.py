"""The study of a search: it asks for trials, and it is the durable truth of every one of them.

Optuna's states cannot say all that ours do (its COMPLETE needs a value), so the attribute `outcome`
of a trial is authoritative: one that completed with an undefined objective is FAIL to Optuna and
COMPLETE here.
"""

import math
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, Self

from optuna.distributions import BaseDistribution
from optuna.exceptions import DuplicatedStudyError, UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import TrialState, create_trial

from search.sampler.fixed_values import contains
from search.sampler.sampler import STARTUP, Sampler, SpaceFunction, Suggestion, centre
from search.sampler.seeds import derive_seed
from search.sampler.strategies import DEFAULT_SAMPLER, strategy_of
from search.study.coordination.alone import Alone
from search.study.coordination.base import Coordination, Handover
from search.study.index import TrialIndex
from search.study.journal import OneWriterStorage
from search.study.storage import Storage, can_be_shared, name_of, open_storage, open_to_read
from search.study.trials import (
    BEST,
    DEFAULT,
    ENDED,
    OWNER,
    SEED,
    NothingLeftError,
    TrialRecord,
    TrialSpec,
    as_json,
    check_constants,
    optuna_end,
    row_of,
)
from trainable.cli.errors import NameTakenError, UserError, unknown
from trainable.run_format import SEARCHED

__all__ = ["SEARCHED", "Handover", "SearchStudy", "TrialRecord", "TrialSpec"]


class SearchStudy:
    """Asks for, stores and tells trials; safe to use from several threads of one process.

    Every trial is stored before it is used: a driver killed at any moment leaves whole trials, each
    RUNNING or ended. The sampler is told of ended trials at the next `ask`, so `report` and
    `finish` never wait for a suggestion.

    What several drivers of one study need lies in its coordination; with one driver, that does
    nothing.

    Attributes:
        name: of the study.
        seed: of the search; trials derive theirs from it.
        coordination: of this driver with the others.
        sampler: it knows the trials as they were at the latest `ask`.
    """

    def __init__(
        self, storage: BaseStorage, study_id: int, settings: Mapping[str, Any], shared: bool
    ) -> None:
        """Use `create` or `open`."""
        self.name = storage.get_study_name_from_id(study_id)
        self.seed: int = settings["seed"]
        self._storage = storage
        self._study_id = study_id
        self._max_trials: float = math.inf
        # A study of a version without a default goes on without one.
        self._try_default: bool = settings.get("try_default", False)
        self._index = TrialIndex()
        self.coordination = _coordination(storage, study_id, self._index, self.name, shared)
        # Studies of versions that had nothing but TPE do not name it.
        sampler = settings.get("sampler", DEFAULT_SAMPLER)
        self.sampler = Sampler(self.seed, settings["startup"], sampler)
        self._sampler_lock = threading.Lock()
        trials = storage.get_all_trials(study_id, deepcopy=False)
        attrs = storage.get_study_user_attrs(study_id)
        ended = self._index.load(self.name, trials, attrs)
        self.sampler.load(ended, self._index.in_flight())

    @classmethod
    def create(
        cls,
        storage: Storage,
        name: str,
        seed: int,
        startup: int = STARTUP,
        *,
        sampler: str = DEFAULT_SAMPLER,
        try_default: bool = False,
        driver: str = "",
        dead: Sequence[str] = (),
    ) -> Self:
        """Makes a new study.

        Args:
            storage: a journal file, a database URL, or None (in memory).
            name: of the study within its storage.
            seed: of the search.
            startup: number of told trials before which a model makes no suggestions.
            sampler: name of the strategy that suggests; the study remembers it.
            try_default: whether the first trial that nobody enqueued is the centre of the space.
            driver: that makes it.
            dead: drivers that were killed before their search began: a study of this name that one
                of them made is replaced.

        Raises:
            NameTakenError: there is a study of that name.
            UserError: the storage cannot be opened, or there is no such sampler.
        """
        strategy_of(sampler)  # before anything is written
        backend = open_storage(storage, create=True)
        shared = can_be_shared(storage)
        names = [study.study_name for study in backend.get_all_studies()]
        if name in names and not cls._remove_killed_start(backend, name, dead, shared):
            raise _exists(storage, name)
        settings = {
            "seed": seed,
            "startup": startup,
            "sampler": sampler,
            "try_default": try_default,
            "driver": driver,
        }
        try:
            study_id = backend.create_new_study([StudyDirection.MAXIMIZE], name)
        except DuplicatedStudyError:  # made by another process since we looked
            raise _exists(storage, name) from None
        backend.set_study_user_attr(study_id, "search", settings)
        return cls(backend, study_id, settings, shared)

    @classmethod
    def open(cls, storage: Storage, name: str) -> Self:
        """Opens an existing study, as it was when its last driver ended or was killed.

        Raises:
            UserError: there is no such study, or what is stored is corrupt.
        """
        backend = open_storage(storage, create=False)
        names = [study.study_name for study in backend.get_all_studies()]
        if not names:
            raise UserError(f"{name_of(storage)}: there is no study here")
        if name not in names:
            raise unknown(f"study in {name_of(storage)}", name, names)
        study_id = backend.get_study_id_from_name(name)
        attrs = backend.get_study_user_attrs(study_id)
        if "search" not in attrs:
            raise UserError(
                f"study {name!r} in {name_of(storage)} was not made by a search, or was killed "
                "while it was made; start a new run with another name"
            )
        return cls(backend, study_id, attrs["search"], can_be_shared(storage))

    @classmethod
    def _remove_killed_start(
        cls, backend: BaseStorage, name: str, dead: Sequence[str], shared: bool
    ) -> bool:
        """Removes a study that a dead driver has made, or was making; says whether it did."""
        if not dead:
            return False
        study_id = backend.get_study_id_from_name(name)
        attrs = backend.get_study_user_attrs(study_id)
        settings = attrs.get("search")
        if settings is not None and settings.get("driver") in dead:
            cls(backend, study_id, settings, shared).remove()
            return True
        if attrs or backend.get_all_trials(study_id, deepcopy=False):
            return False
        backend.delete_study(study_id)  # its driver was killed before it could store the settings
        return True

    def remove(self) -> None:
        """Deletes the study from its storage."""
        self._storage.delete_study(self._study_id)
        self.coordination.remove()

    @property
    def searched(self) -> int:
        """How many trials were asked, by all drivers: the number that `trials` limits."""
        return self._index.searched

    @property
    def untold(self) -> int:
        """How many asked trials of this driver are in flight."""
        with self._index.lock:
            in_flight = self._index.searched - self._index.ended
            return in_flight - self.coordination.untold_elsewhere

    def rows(self) -> list[TrialRecord]:
        """Returns every trial, by number, from the durable storage."""
        with self._index.lock:
            trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
        return [row_of(trial) for trial in trials]

    def ask(self, space: SpaceFunction) -> TrialSpec:
        """Asks for one more trial: first the enqueued ones, then what the sampler suggests.

        With `try_default` the first of those is the default, the centre of the space; where the
        space refuses that, there is none.

        Args:
            space: suggests from an Optuna trial and returns constants, which win over suggestions
                of the same name.

        Raises:
            NothingLeftError: as many were asked as `join` allows.
            UserError: the space or an enqueued trial is at fault. Whatever is raised, nothing is
                left behind, here or in the sampler.
        """
        index = self._index
        with self.coordination.turn(), self._sampler_lock:
            with index.lock:
                if index.searched >= self._max_trials:
                    raise NothingLeftError
                to_add, index.to_add = index.to_add, []
                to_tell, index.to_tell = index.to_tell, []
                queue, n_asked = list(index.queue), index.searched
                default_due = self._try_default and not queue and index.sampled == 0
            for observation in to_add:
                self.sampler.add(observation)
            for observation in to_tell:
                self.sampler.tell(observation)
            default = _centre_if_taken(space) if default_due else None
            suggested = default or self.sampler.ask(space, n_asked, queue[0] if queue else {})
            kind = "enqueued" if queue else "search"
            with index.lock:
                asked = self._store(
                    kind,
                    None,
                    suggested.params,
                    suggested.distributions,
                    suggested.constants,
                    default=default is not None,
                )
                del index.queue[: len(queue[:1])]
                observation = index.running[asked.number].observation
            self.sampler.add(observation)
            return asked

    def enqueue(self, params: Mapping[str, Any], space: SpaceFunction) -> None:
        """Stores the parameters of a trial that is asked before the sampler suggests any other.

        Args:
            params: some or all parameters; the rest is sampled.
            space: is called once on a trial that is thrown away, to see that it takes `params`.

        Raises:
            UserError: an unknown parameter, or a value outside of the space; nothing is stored.
        """
        fixed = as_json(dict(params))
        Sampler(self.seed).ask(space, 0, fixed)
        with self._index.lock:
            key = f"enqueued:{self._index.enqueued}"
            self._storage.set_study_user_attr(self._study_id, key, fixed)
            self._index.enqueued += 1
            self._index.queue.append(fixed)

    def add(self, parent: int | None, kind: str, params: Mapping[str, Any], seed: int) -> TrialSpec:
        """Stores a trial that is no part of the search: the sampler does not learn from it.

        Args:
            parent: the trial that it repeats.
            kind: seed, placebo or regret.
            params: all of its parameters; `train/seed` becomes `seed`.
            seed: of its weights, batches and dropout.
        """
        if kind in SEARCHED:
            raise ValueError(f"a trial of kind {kind!r} is asked, not added")
        with self._index.lock:
            known: dict[str, BaseDistribution] = {}
            if parent is not None:
                known = self._storage.get_trial(self._index.trial_ids[parent]).distributions
            distributions = {
                name: known[name]
                for name, value in params.items()
                if name in known and name != SEED and contains(known[name], value)
            }
            suggested = {name: params[name] for name in distributions}
            constants = {name: value for name, value in params.items() if name not in suggested}
            return self._store(kind, parent, suggested, distributions, {**constants, SEED: seed})

    def report(self, number: int, epoch: int, value: float | None) -> bool:
        """Stores the objective at the end of an epoch, as the pruning rules see it.

        Returns:
            Whether it was stored: an undefined or non-finite value, a second report of the epoch
            and a report of an ended trial are not.
        """
        with self._index.lock:
            trial = self._index.find(number)
            if trial is None or value is None or not math.isfinite(value):
                return False
            reports = trial.observation.reports
            if epoch in reports:
                return False
            try:
                self._storage.set_trial_intermediate_value(trial.trial_id, epoch, float(value))
            except UpdateFinishedTrialError:  # by another driver, while this one slept
                if not self.shared:
                    raise
                self.refresh()
                return False
            reports[epoch] = float(value)
            return True

    def finish(
        self,
        number: int,
        state: str,
        reason: str,
        evidence: Mapping[str, Any] | None = None,
        value: float | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> bool:
        """Stores the end of a trial; its attributes first, so that an ended trial has them all.

        Args:
            number: of the trial.
            state: COMPLETE, PRUNED or FAIL.
            reason: the stop reason.
            evidence: the values on which the reason rests; JSON with finite numbers.
            value: the objective of a COMPLETE trial; None or not finite where undefined.
            facts: stop_epoch, epochs, steps, seconds, n_parameters, cohort …; JSON as well.

        Returns:
            False, and nothing is changed, where the trial has ended already.
        """
        if state not in ENDED:
            raise ValueError(f"state {state!r} is none of {', '.join(ENDED)}")
        if state != "COMPLETE" or value is None or not math.isfinite(value):
            value = None
        outcome: dict[str, Any] = {"state": state, "reason": reason, "value": value}
        outcome |= as_json({"evidence": dict(evidence or {}), "facts": dict(facts or {})})
        with self._index.lock:
            trial = self._index.find(number)
            if trial is None:
                return False
            # A resumed sampler is told of the trials in the order in which they ended.
            outcome["order"] = self._index.ended if trial.searched else None
            reports = trial.observation.reports
            optuna_state, values = optuna_end(state, value, reports, trial.searched)
            try:
                self._storage.set_trial_user_attr(trial.trial_id, "outcome", outcome)
                self._storage.set_trial_state_values(trial.trial_id, optuna_state, values)
            except UpdateFinishedTrialError:  # by another driver, while this one slept
                if not self.shared:
                    raise
                self.refresh()
                return False
            self._index.end(number, outcome)
            return True

    def note_best(self, best: Mapping[str, Any]) -> None:
        """Stores who is best, for people who open the study: an attribute of it."""
        with self._index.lock:
            self._storage.set_study_user_attr(self._study_id, BEST, as_json(dict(best)))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Writes what this block adds, reports and finishes to the disk at once, at its end.

        A driver killed within the block loses all of it, so the block may only store what the next
        driver can find out again: the reports are kept, and judged, before. Nothing in the block
        may wait for a thread that asks.
        """
        with self._index.lock:
            if isinstance(self._storage, OneWriterStorage):
                with self._storage.journal.together():
                    yield
            else:
                yield

    def _store(
        self,
        kind: str,
        parent: int | None,
        params: Mapping[str, Any],
        distributions: Mapping[str, BaseDistribution],
        constants: Mapping[str, Any],
        default: bool = False,
    ) -> TrialSpec:
        """Writes one RUNNING trial, in one append."""
        expected = len(self._index.trial_ids)
        merged = {**params, **constants}
        # By the count of searched trials, since seeds of finalists are added at any time.
        seed = merged.get(SEED, derive_seed(self.seed, 1, self._index.searched))
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise UserError(f"{SEED}={seed!r}: expected a whole number")
        constants = {**constants, SEED: seed}
        check_constants(constants)
        attrs = {
            "number": expected,
            "kind": kind,
            "parent": parent,
            "seed": seed,
            "constants": constants,
        }
        if self.coordination.driver is not None:
            attrs[OWNER] = self.coordination.driver
        if default:
            attrs[DEFAULT] = True
        trial = create_trial(
            state=TrialState.RUNNING,
            params=dict(params),
            distributions=dict(distributions),
            user_attrs=attrs,
        )
        trial_id = self._storage.create_new_trial(self._study_id, template_trial=trial)
        number = self._storage.get_trial_number_from_id(trial_id)
        if number == expected:
            self._index.add(trial_id, kind, trial)
        else:
            self.coordination.add_late(trial_id, number)
            if default and self._index.default != number:  # another driver asked for it meanwhile
                self._storage.set_trial_user_attr(trial_id, DEFAULT, False)
                default = False
        return TrialSpec(number, {**merged, SEED: seed}, kind, seed, parent, default)

    # What several drivers of one study need: `Coordination` says more of each.

    @property
    def shared(self) -> bool:
        """Whether the study can have other drivers."""
        return self.coordination.shared

    @property
    def elsewhere(self) -> int:
        """How many trials in flight belong to other drivers, dead ones included."""
        return self.coordination.elsewhere

    @property
    def others(self) -> int:
        """How many other drivers there are."""
        return self.coordination.others

    @property
    def idle_drivers(self) -> int:
        """How many other drivers are idle; 0 while a released trial waits for one of them."""
        return self.coordination.idle_drivers

    def join(self, max_trials: int, driver: str, who: str, dead: Sequence[str] = ()) -> None:
        """Begins to drive; raises `UserError` while another driver writes the tables.

        Args:
            max_trials: how many trials may be asked, by all drivers together.
            driver: a name that no other driver ever has.
            who: its process and host, in words.
            dead: drivers that are known to be dead.
        """
        self._max_trials = max_trials
        self.coordination.join(driver, who, dead)

    def leave(self, dead: Sequence[str] = ()) -> Handover:
        """Stops driving and says how the search stands; may be called again."""
        return self.coordination.leave(dead)

    def written(self) -> None:
        """Notes that the tables are written, until a driver joins again."""
        self.coordination.written()

    def close(self) -> None:
        """Lets other drivers take over what this one has not finished."""
        self.coordination.close()

    def turn(self) -> AbstractContextManager[None]:
        """Keeps other drivers from asking and adding trials in the block; not in `together`."""
        return self.coordination.turn()

    def refresh(self) -> None:
        """Reads what other drivers have asked, reported and ended since the last call."""
        self.coordination.refresh()

    def news(self) -> list[TrialRecord]:
        """Returns the trials of others that `refresh` found asked or ended since the last call."""
        return self.coordination.news()

    def holds(self, number: int) -> bool:
        """Says whether a trial in flight belongs to this driver."""
        return self.coordination.holds(number)

    def claim(self, most: int, idle: bool = False) -> list[int]:
        """Takes over at most so many trials that no driver trains, and returns their numbers."""
        return self.coordination.claim(most, idle)

    def release(self, numbers: Sequence[int]) -> None:
        """Gives up trials of this driver that no worker trains yet, for idle drivers."""
        self.coordination.release(numbers)

    def say_idle(self, idle: bool) -> None:
        """Tells the other drivers whether this one would train a released trial."""
        self.coordination.say_idle(idle)


def stored_rows(storage: str | Path, name: str) -> list[TrialRecord]:
    """Returns every trial of a study, by number; changes nothing, also where a search writes it.

    Raises:
        UserError: the storage cannot be read, or has no study of this name.
    """
    backend = open_to_read(storage)
    try:
        number = backend.get_study_id_from_name(name)
    except KeyError:
        raise UserError(f"{name_of(storage)} holds no study {name!r}") from None
    return [row_of(trial) for trial in backend.get_all_trials(number, deepcopy=False)]


def note_in_study(storage: str | Path, name: str, key: str, value: Mapping[str, Any]) -> None:
    """Sets a user attribute of a study that nobody drives.

    Raises:
        UserError: the storage cannot be opened, or has no study of this name.
    """
    backend = open_storage(storage, create=False)
    try:
        number = backend.get_study_id_from_name(name)
    except KeyError:
        raise UserError(f"{name_of(storage)} holds no study {name!r}") from None
    backend.set_study_user_attr(number, key, dict(value))


def stored_best(storage: str | Path, name: str) -> dict[str, Any]:
    """Returns what a study says of who is best; nothing where it says nothing."""
    backend = open_to_read(storage)
    number = backend.get_study_id_from_name(name)
    return dict(backend.get_study_user_attrs(number).get(BEST) or {})


def _centre_if_taken(space: SpaceFunction) -> Suggestion | None:
    """Returns the centre of a space; None where the space refuses it."""
    try:
        return centre(space)
    except UserError:
        return None


def _coordination(
    storage: BaseStorage, study_id: int, index: TrialIndex, name: str, shared: bool
) -> Coordination:
    if not shared:
        return Alone(name)
    # Here, since most searches need no database and would wait for its import.
    from search.study.coordination.shared import Shared
    from search.study.database import Database

    assert isinstance(storage, Database)
    return Shared(storage, study_id, index, name)


def _exists(storage: Storage, name: str) -> NameTakenError:
    return NameTakenError(
        f"study {name!r} exists in {name_of(storage)}; add resume=true to go on with it, and the "
        "runs_dir=PATH that holds its run folder, or choose another name"
    )
