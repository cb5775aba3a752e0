"""A driver of a shared search is there as long as a thread of it renews its leases."""

import threading
import time
from contextlib import suppress

from search.study.coordination.leases import Leases
from trainable.cli.errors import UserError

LEASE_S = 60.0  # without a renewal for so long a driver counts as gone
RENEW_S = 10.0


class Heartbeat:
    """The leases of one driver, renewed in the background.

    Args:
        leases: of the study.

    Attributes:
        driver: a name that no other driver ever has; empty before `begin` and after `end`.
        who: process and host, in words.
        lapsed: whether they were renewed too late since somebody has looked what was lost.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.driver = self.who = ""
        self.lapsed = False
        self._until = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def sure(self) -> bool:
        """Whether no other driver can have taken this one for gone."""
        return not self.lapsed and _now() < self._until

    def begin(self, driver: str, who: str) -> None:
        """Begins to renew what is taken from now on."""
        self.driver, self.who = driver, who
        self._over.clear()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Gives everything up; does nothing where there is nothing."""
        if self._thread is None:
            return
        self._over.set()
        self._thread.join()
        self._thread = None
        with suppress(UserError):  # without the database they expire
            self._leases.drop(self.driver)

    def take(self, name: str, seconds: float | None = None) -> bool:
        """Takes a lease unless another driver holds it; says whether it did.

        Args:
            name: of the lease.
            seconds: that it lasts without a renewal; None: as long as this driver's own.
        """
        return self._leases.take(name, self.driver, self.who, seconds or LEASE_S)

    def drop(self, name: str) -> None:
        """Gives one lease up."""
        self._leases.drop(self.driver, name)

    def renew(self) -> None:
        """Renews all leases."""
        begun = _now()
        self.lapsed |= begun >= self._until
        self._leases.renew(self.driver, LEASE_S)
        self._until = begun + LEASE_S

    def _run(self) -> None:
        while not self._over.wait(RENEW_S):
            try:
                self.renew()
            except UserError:  # the database is away: who needs it now says so
                continue


def _now() -> float:
    """Returns seconds that also pass while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
