"""A study that several drivers share: each sees what the others ask, report and end.

It lies in a PostgreSQL database. A running trial has an owner, which is a driver; a driver is there
while it renews its lease. What two must not do at once, asking and taking over, is done in turns.
The rest may be done twice without harm: an ended trial stays as it ended.
"""

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage

from search.sampler.sampler import SpaceFunction
from search.study.coordination.heartbeat import Heartbeat
from search.study.coordination.leases import Lease, Leases
from search.study.database import Database
from search.study.index import RunningTrial
from search.study.study import Handover, SearchStudy
from search.study.trials import OWNER, NothingLeftError, TrialRecord, TrialSpec, row_of
from trainable.cli.errors import UserError

TURN_S = 20.0  # a turn of a driver that dies in it
LOOK_S = 0.05  # between two looks whether it is our turn
TURN, CLOSING, CLOSED = "turn", "closing", "closed"
DRIVER, IDLE = "driver:", "idle:"
NOBODY = ""  # has what was released, and the note that the tables are written


class SharedStudy(SearchStudy):
    """A study in a database, as one of its drivers has it; `join` comes before asking."""

    shared = True

    def __init__(self, storage: BaseStorage, study_id: int, settings: Mapping[str, Any]) -> None:
        assert isinstance(storage, Database)
        self._most, self._idle = 0, False
        self._database = storage
        self._leases = Leases(storage, study_id)
        self._presence = Heartbeat(self._leases)
        self._turns = threading.Lock()
        self._news: list[TrialRecord] = []
        super().__init__(storage, study_id, settings)

    def join(self, most: int, driver: str, who: str, gone: Sequence[str] = ()) -> None:
        """Begins to drive, as `SearchStudy.join` says."""
        self._most = most
        self._forget(gone)
        self._presence.begin(driver, who)
        with self.turn():
            closing = self._leases.held().get(CLOSING)
            if closing is not None:
                raise UserError(
                    f"run {self.name!r} is being finished by {closing.who}; try again in a minute"
                )
            self._presence.take(DRIVER + driver)
            self._presence.renew()
            self._leases.drop(NOBODY, CLOSED)

    def leave(self, gone: Sequence[str] = ()) -> Handover:
        """Stops driving; where it is on this driver to write tables, nobody joins until `close`."""
        self._forget(gone)
        with self.turn():
            held = self._leases.held()
            others = self._others(held)
            closing = held.get(CLOSING)
            if closing is not None and closing.owner != self._presence.driver:
                others[closing.owner] = closing
            written = CLOSED in held
            if others or written:
                self._presence.drop(DRIVER + self._presence.driver)
            else:
                self._presence.take(CLOSING)
            over = not self._ledger.live
        return Handover(tuple(lease.who for lease in others.values()), over, written)

    def written(self) -> None:
        """Notes that the tables are written, until somebody joins: a driver may sleep for long."""
        self._leases.take(CLOSED, NOBODY, self._presence.who, math.inf)

    def close(self) -> None:
        """Gives up all leases, and the connections: others may take over what was trained here."""
        self._presence.end()
        self._database.engine.dispose()

    def remove(self) -> None:
        """Deletes the study, and its leases."""
        self._presence.end()
        super().remove()
        self._leases.clear()
        self._database.engine.dispose()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for our turn, and reads what the others did until then.

        Not within `together`: who waits there for a turn keeps the thread that has it waiting.
        """
        with self._turns:
            while not self._presence.take(TURN, TURN_S):
                time.sleep(LOOK_S)
            try:
                self.refresh()
                yield
            finally:
                self._presence.drop(TURN)

    def _forget(self, gone: Sequence[str]) -> None:
        for dead in gone:
            self._leases.drop(dead)

    def _others(self, held: Mapping[str, Lease], kind: str = DRIVER) -> dict[str, Lease]:
        """Returns the leases of a kind that drivers besides this one hold, by driver."""
        there = {lease.owner: lease for name, lease in held.items() if name.startswith(kind)}
        there.pop(self._presence.driver, None)
        return there

    def refresh(self) -> None:
        """Reads what the other drivers have asked, reported and ended since."""
        with self._lock:
            trials = self._storage.get_all_trials(self._study_id, deepcopy=False)
            entered, ended = self._ledger.catch_up(trials)
            self._entered += [live.seen for live in entered if live.searched]
            self._untaught += [live.seen for live in ended if live.searched]
            changed = {live.seen.number for live in (*entered, *ended)}
            self._news += [row_of(trials[number]) for number in sorted(changed)]

    def news(self) -> list[TrialRecord]:
        """Returns the trials that others have asked or ended since the last call, as read last."""
        with self._lock:
            news, self._news = self._news, []
        return news

    def holds(self, number: int) -> bool:
        """Says whether a trial in flight is ours still: who slept may have lost it."""
        if not self._presence.sure:
            self._presence.renew()
            self.refresh()
            self._presence.lapsed = False
        live = self._ledger.find(number)
        return live is not None and live.owner == self._presence.driver

    @property
    def elsewhere(self) -> int:
        """How many trials other drivers train, or trained before they were gone."""
        with self._lock:
            return len(self._ledger.live) - len(self._mine())

    @property
    def untold(self) -> int:
        """How many asked trials of ours are in flight."""
        with self._lock:
            return sum(live.searched for live in self._mine())

    def claim(self, most: int, idle: bool = False) -> list[int]:
        """Takes over trials that nobody trains; returns their numbers."""
        if most <= 0 or not self._orphans(idle):
            return []
        with self.turn():
            return [n for n in self._orphans(idle)[:most] if self._give(n, self._presence.driver)]

    def say_idle(self, idle: bool) -> None:
        """Says whether this driver is idle; the database hears of it only when that changes."""
        name = IDLE + self._presence.driver
        if idle and not self._idle:
            self._presence.take(name)
        elif self._idle and not idle:
            self._presence.drop(name)
        self._idle = idle

    @property
    def others(self) -> int:
        """How many other drivers there are."""
        return len(self._others(self._leases.held()))

    @property
    def idle_drivers(self) -> int:
        """How many other drivers are idle; 0 while something is released for them."""
        with self._lock:
            if any(live.owner == NOBODY for live in self._ledger.live.values()):
                return 0
        return len(self._others(self._leases.held(), IDLE))

    def release(self, numbers: Sequence[int]) -> None:
        """Gives up trials that nobody here trains; in our turn, as they are claimed."""
        with self.turn():
            for number in numbers:
                if self.holds(number):
                    self._give(number, NOBODY)

    def _mine(self) -> list[RunningTrial]:
        return [x for x in self._ledger.live.values() if x.owner == self._presence.driver]

    def _orphans(self, idle: bool) -> list[int]:
        there = {self._presence.driver, *self._others(self._leases.held())}
        if not idle:
            there.add(NOBODY)
        with self._lock:
            return sorted(n for n, live in self._ledger.live.items() if live.owner not in there)

    def _give(self, number: int, owner: str) -> bool:
        with self._lock:
            live = self._ledger.live[number]
            try:
                self._storage.set_trial_user_attr(live.trial_id, OWNER, owner)
            except UpdateFinishedTrialError:  # its driver only slept
                return False
            live.owner = owner
            return True

    def ask(self, space: SpaceFunction) -> TrialSpec:
        """Asks for one more trial, as `SearchStudy` does, knowing what all drivers know.

        Raises:
            NothingLeftError: as many were asked as there may be.
        """
        with self.turn():
            if self.searched >= self._most:
                raise NothingLeftError
            return super().ask(space)

    def report(self, number: int, epoch: int, value: float | None) -> bool:
        """Stores the objective of an epoch; not of a trial that another driver has ended."""
        try:
            return super().report(number, epoch, value)
        except UpdateFinishedTrialError:
            self.refresh()
            return False

    def finish(self, number: int, *args: Any, **words: Any) -> bool:
        """Stores the end of a trial; False where another driver has ended it."""
        try:
            return super().finish(number, *args, **words)
        except UpdateFinishedTrialError:
            self.refresh()
            return False

    def _signature(self) -> dict[str, str]:
        return {OWNER: self._presence.driver}

    def _renumber(self, trial_id: int, number: int) -> None:
        """Enters a trial of ours that came late: we slept in our turn, and others had theirs."""
        self._storage.set_trial_user_attr(trial_id, "number", number)
        self.refresh()
        self._entered = [seen for seen in self._entered if seen.number != number]
        self._news = [row for row in self._news if row.number != number]
