"""The study of a search: asks TPE, and is the one durable truth of every trial."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self

from optuna.exceptions import DuplicatedStudyError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from search.sampler.sampler import STARTUP, Sampler, SpaceFunction
from search.study.leftovers import remove_left_study
from search.study.record import Record
from search.study.storage import Storage, name_of, open_storage
from search.study.trials import TrialRecord, TrialSpec, plain
from trainable.cli.errors import UserError, unknown
from trainable.run_format import SEARCHED

__all__ = ["SEARCHED", "Handover", "SearchStudy", "TrialRecord", "TrialSpec"]


@dataclass(frozen=True)
class Handover:
    """How a search stands as a driver stops driving it.

    Attributes:
        others: drivers that go on, in words.
        over: whether no trial is in flight.
        written: whether another driver has just written the tables.
    """

    others: tuple[str, ...] = ()
    over: bool = True
    written: bool = False


class SearchStudy(Record):
    """Asks, stores and tells trials; safe to use from several threads of one process.

    What is stored comes first: a driver killed at any moment leaves whole trials, each RUNNING or
    with its end. The sampler learns of what was told at the next `ask`, so `report` and `finish`
    never wait for TPE.

    Attributes:
        name: of the study.
        seed: of the search.
    """

    def __init__(self, storage: BaseStorage, study_id: int, settings: Mapping[str, Any]) -> None:
        """Use `create` or `open`."""
        super().__init__(storage, study_id, settings["seed"])
        self._asking = threading.Lock()  # the sampler
        self._sampler = Sampler(self.seed, settings["startup"])
        ended, self._untaught = self._untaught, []
        self._sampler.load(ended, self._ledger.in_flight())

    @classmethod
    def create(
        cls,
        storage: Storage,
        name: str,
        seed: int,
        startup: int = STARTUP,
        *,
        driver: str = "",
        gone: Sequence[str] = (),
    ) -> Self:
        """Makes a new study.

        Args:
            storage: a journal file, a database URL, or None (in memory).
            name: of the study within its storage.
            seed: of the search.
            startup: told trials before which suggestions are random.
            driver: that makes it.
            gone: drivers that were killed before their search began: what one of them made of
                this name is replaced.

        Raises:
            UserError: there is a study of that name, or the storage cannot be opened.
        """
        backend = open_storage(storage, create=True)
        names = [study.study_name for study in backend.get_all_studies()]
        if name in names and not remove_left_study(cls, backend, name, gone):
            raise _exists(storage, name)
        settings = {"seed": seed, "startup": startup, "driver": driver}
        try:
            study_id = backend.create_new_study([StudyDirection.MAXIMIZE], name)
        except DuplicatedStudyError:  # made by another process since we looked
            raise _exists(storage, name) from None
        backend.set_study_user_attr(study_id, "search", settings)
        return cls(backend, study_id, settings)

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
        return cls(backend, study_id, attrs["search"])

    def remove(self) -> None:
        """Deletes the study from its storage."""
        self._storage.delete_study(self._study_id)

    def ask(self, space: SpaceFunction) -> TrialSpec:
        """Asks for one more trial: first those enqueued, then what TPE suggests.

        Args:
            space: suggests from an Optuna trial and returns constants, which win over suggestions
                of the same name.

        Raises:
            UserError: the space or an enqueued trial is at fault. Whatever is raised, nothing is
                left behind, here or in the sampler.
        """
        with self._asking:
            with self._lock:
                entered, self._entered = self._entered, []
                ended, self._untaught = self._untaught, []
                queue, index = list(self._ledger.queue), self._ledger.searched
            for seen in entered:
                self._sampler.add(seen)
            for seen in ended:
                self._sampler.tell(seen)
            suggested = self._sampler.ask(space, index, queue[0] if queue else {})
            kind = "enqueued" if queue else "search"
            with self._lock:
                asked = self._store(
                    kind, None, suggested.params, suggested.distributions, suggested.constants
                )
                del self._ledger.queue[: len(queue[:1])]
                seen = self._ledger.live[asked.number].seen
            self._sampler.add(seen)
            return asked

    def join(self, most: int, driver: str, who: str, gone: Sequence[str] = ()) -> None:
        """Begins to drive.

        Args:
            most: trials that are asked at most, by all drivers together.
            driver: a name that no other driver ever has.
            who: process and host, in words.
            gone: drivers that are known to have died.

        Raises:
            UserError: another driver is just writing the tables of the search.
        """

    @property
    def elsewhere(self) -> int:
        """How many trials in flight are not ours, but other drivers'."""
        return 0

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Keeps other drivers from adding trials meanwhile."""
        yield

    def refresh(self) -> None:
        """Reads what other drivers have asked, reported and ended since."""

    def news(self) -> list[TrialRecord]:
        """Returns the trials that others have asked or ended since the last call, as read last."""
        return []

    def claim(self, most: int, idle: bool = False) -> list[int]:
        """Takes over trials that nobody trains; returns their numbers.

        Args:
            most: as many at most.
            idle: whether to take what others released, too, beside what drivers left that are gone.
        """
        return []

    def say_idle(self, idle: bool) -> None:
        """Says to the other drivers whether this one would train what waits elsewhere."""

    @property
    def others(self) -> int:
        """How many other drivers there are."""
        return 0

    @property
    def idle_drivers(self) -> int:
        """How many other drivers are idle; 0 while something is released for them."""
        return 0

    def release(self, numbers: Sequence[int]) -> None:
        """Gives up trials of ours that wait, for other drivers."""

    def holds(self, number: int) -> bool:
        """Says whether a trial in flight is ours."""
        return True

    def leave(self, gone: Sequence[str] = ()) -> Handover:
        """Stops driving, and says how the search stands; may be asked again.

        Where nobody goes on and the tables are not written, it is on this driver to write them.

        Args:
            gone: drivers that are known to have died.
        """
        return Handover()

    def written(self) -> None:
        """Notes for the others that this driver has written the tables of the whole search."""

    def close(self) -> None:
        """Lets others finish the search."""

    def enqueue(self, params: Mapping[str, Any], space: SpaceFunction) -> None:
        """Puts a trial by hand into the queue, which is asked before anything else and is durable.

        Args:
            params: some or all parameters; the rest is sampled.
            space: is called once on a trial that is thrown away, to see that it takes `params`.

        Raises:
            UserError: an unknown parameter, or a value outside of the space; nothing is stored.
        """
        fixed = plain(dict(params))
        Sampler(self.seed).ask(space, 0, fixed)
        with self._lock:
            key = f"enqueued:{self._ledger.enqueued}"
            self._storage.set_study_user_attr(self._study_id, key, fixed)
            self._ledger.enqueued += 1
            self._ledger.queue.append(fixed)


def _exists(storage: Storage, name: str) -> UserError:
    return UserError(
        f"study {name!r} exists in {name_of(storage)}; add resume=true to go on with it, and the "
        "runs_dir=PATH that holds its run folder, or choose another name"
    )
