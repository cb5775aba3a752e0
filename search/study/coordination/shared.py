"""The coordination of a study in PostgreSQL that several drivers work on at once.

Each driver reads what the others ask, report and end. A trial in flight has an owner, the driver
that trains it; a driver counts as alive while it renews its lease. What two drivers must not do at
once, asking trials and taking them over, they do in turns. All else may happen twice without harm:
an ended trial stays as it ended.
"""

import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from optuna.exceptions import UpdateFinishedTrialError

from search.study.coordination.base import Handover
from search.study.coordination.heartbeat import Heartbeat
from search.study.coordination.leases import Lease, Leases
from search.study.database import Database
from search.study.index import RunningTrial, TrialIndex
from search.study.trials import OWNER, TrialRecord, row_of
from trainable.cli.errors import UserError

TURN_S = 20.0  # a turn lasts so long at most, where its driver dies in it
POLL_TURN_S = 0.05  # between two tries to get the turn
TURN, CLOSING, CLOSED = "turn", "closing", "closed"  # names of leases
DRIVER, IDLE = "driver:", "idle:"  # beginnings of lease names; a driver's name follows
NOBODY = ""  # owns released trials, and the lease that says that the tables are written


class Shared:
    """Coordinates one driver with the others through leases; `join` comes before asking.

    Args:
        database: that holds the study.
        study_id: of the study in the database.
        index: of the study's trials; `refresh` keeps it up to date.
        study: its name, for messages.

    Attributes:
        heartbeat: renews the leases of this driver.
    """

    shared = True

    def __init__(self, database: Database, study_id: int, index: TrialIndex, study: str) -> None:
        self._database, self._study_id, self._index = database, study_id, index
        self._study = study
        self._leases = Leases(database, study_id)
        self.heartbeat = Heartbeat(self._leases)
        self._turn_lock = threading.Lock()  # one thread of this driver has the turn
        self._news: list[TrialRecord] = []
        self._idle = False

    @property
    def driver(self) -> str:
        """The name of this driver; empty before `join`."""
        return self.heartbeat.driver

    def join(self, driver: str, who: str, dead: Sequence[str]) -> None:
        """Begins to drive; raises `UserError` while another driver writes the tables."""
        self._drop_leases(dead)
        self.heartbeat.begin(driver, who)
        with self.turn():
            closing = self._leases.held().get(CLOSING)
            if closing is not None:
                raise UserError(
                    f"run {self._study!r} is being finished by {closing.who}; try again in a minute"
                )
            self.heartbeat.take(DRIVER + driver)
            self.heartbeat.renew()
            self._leases.drop(NOBODY, CLOSED)

    def leave(self, dead: Sequence[str]) -> Handover:
        """Stops driving; nobody can join until `close` if this driver has to write the tables."""
        self._drop_leases(dead)
        with self.turn():
            held = self._leases.held()
            others = self._others(held)
            closing = held.get(CLOSING)
            if closing is not None and closing.owner != self.driver:
                others[closing.owner] = closing
            written = CLOSED in held
            if others or written:
                self.heartbeat.drop(DRIVER + self.driver)
            else:
                self.heartbeat.take(CLOSING)
            over = not self._index.running
        return Handover(tuple(lease.who for lease in others.values()), over, written)

    def written(self) -> None:
        """Notes that the tables are written; the lease never expires, since drivers may sleep."""
        self._leases.take(CLOSED, NOBODY, self.heartbeat.who, math.inf)

    def close(self) -> None:
        """Gives up all leases of this driver, and its connections."""
        self.heartbeat.end()
        self._database.engine.dispose()

    def remove(self) -> None:
        """Closes, and deletes all leases of the study."""
        self.heartbeat.end()
        self._leases.clear()
        self._database.engine.dispose()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Waits for the turn of this driver, and reads what the others have done until then.

        Not while holding the index's lock: the thread that has the turn would wait for the lock.
        """
        with self._turn_lock:
            while not self.heartbeat.take(TURN, TURN_S):
                time.sleep(POLL_TURN_S)
            try:
                self.refresh()
                yield
            finally:
                self.heartbeat.drop(TURN)

    def refresh(self) -> None:
        """Reads what the other drivers have asked, reported and ended since the last call."""
        with self._index.lock:
            trials = self._database.get_all_trials(self._study_id, deepcopy=False)
            changed = self._index.catch_up(trials)
            self._news += [row_of(trials[number]) for number in sorted(changed)]

    def news(self) -> list[TrialRecord]:
        """Returns the trials of others that `refresh` found asked or ended since the last call."""
        with self._index.lock:
            news, self._news = self._news, []
        return news

    def add_late(self, trial_id: int, number: int) -> None:
        """Enters a trial of this driver whose turn had expired while the driver slept.

        Others have asked trials meanwhile, so that it got a later number than was expected.
        """
        self._database.set_trial_user_attr(trial_id, "number", number)
        self.refresh()
        self._index.to_add = [trial for trial in self._index.to_add if trial.number != number]
        self._news = [row for row in self._news if row.number != number]

    def holds(self, number: int) -> bool:
        """Says whether a trial is in flight and belongs to this driver, which may have slept."""
        if not self.heartbeat.alive:
            self.heartbeat.renew()
            self.refresh()
            self.heartbeat.lapsed = False
        trial = self._index.find(number)
        return trial is not None and trial.owner == self.driver

    @property
    def elsewhere(self) -> int:
        """How many trials in flight belong to other drivers, dead ones included."""
        return len(self._owned_elsewhere())

    @property
    def untold_elsewhere(self) -> int:
        """How many of those the sampler learns from."""
        return sum(trial.searched for trial in self._owned_elsewhere())

    @property
    def others(self) -> int:
        """How many other drivers there are."""
        return len(self._others(self._leases.held()))

    @property
    def idle_drivers(self) -> int:
        """How many other drivers are idle; 0 while a released trial waits for one of them."""
        with self._index.lock:
            if any(trial.owner == NOBODY for trial in self._index.running.values()):
                return 0
        return len(self._others(self._leases.held(), IDLE))

    def claim(self, most: int, idle: bool) -> list[int]:
        """Takes over trials in flight that no driver trains, and returns their numbers."""
        if most <= 0 or not self._orphans(idle):
            return []
        with self.turn():
            return [n for n in self._orphans(idle)[:most] if self._set_owner(n, self.driver)]

    def release(self, numbers: Sequence[int]) -> None:
        """Gives up trials of this driver, in its turn, since others claim them in theirs."""
        with self.turn():
            for number in numbers:
                if self.holds(number):
                    self._set_owner(number, NOBODY)

    def say_idle(self, idle: bool) -> None:
        """Tells the other drivers whether this one is idle; stored only when that changes."""
        name = IDLE + self.driver
        if idle and not self._idle:
            self.heartbeat.take(name)
        elif self._idle and not idle:
            self.heartbeat.drop(name)
        self._idle = idle

    def _drop_leases(self, drivers: Sequence[str]) -> None:
        for driver in drivers:
            self._leases.drop(driver)

    def _others(self, held: Mapping[str, Lease], kind: str = DRIVER) -> dict[str, Lease]:
        """Returns the leases of a kind that other drivers hold, by driver."""
        leases = {lease.owner: lease for name, lease in held.items() if name.startswith(kind)}
        leases.pop(self.driver, None)
        return leases

    def _owned_elsewhere(self) -> list[RunningTrial]:
        with self._index.lock:
            running = self._index.running.values()
            return [trial for trial in running if trial.owner != self.driver]

    def _orphans(self, idle: bool) -> list[int]:
        """Returns the trials of dead drivers, and with `idle` those released too."""
        owners = {self.driver, *self._others(self._leases.held())}
        if not idle:
            owners.add(NOBODY)
        with self._index.lock:
            running = self._index.running.items()
            return sorted(number for number, trial in running if trial.owner not in owners)

    def _set_owner(self, number: int, owner: str) -> bool:
        """Stores the owner of a trial; returns False where another driver has just ended it."""
        with self._index.lock:
            trial = self._index.running[number]
            try:
                self._database.set_trial_user_attr(trial.trial_id, OWNER, owner)
            except UpdateFinishedTrialError:  # its driver was not dead, but slept
                return False
            trial.owner = owner
            return True
