"""The heartbeat of a driver: a thread that renews its leases, so that the others know it lives."""

import threading
import time
from contextlib import suppress

from search.study.coordination.leases import Leases
from trainable.cli.errors import UserError

LEASE_S = 60.0  # a driver that has not renewed its leases for so long counts as dead
RENEW_S = 10.0


class Heartbeat:
    """Takes the leases of one driver and renews them in the background.

    Args:
        leases: of the study.

    Attributes:
        driver: a name that no other driver ever has; empty before `begin`.
        who: its process and host, in words.
        lapsed: whether the leases were renewed too late, so that others may have taken trials
            over; stays True until somebody has looked and sets it to False.
        expires_at: when the leases expire unless renewed, in seconds of this machine's clock.
    """

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self.driver = self.who = ""
        self.lapsed = False
        self.expires_at = 0.0
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether no other driver can have taken this one for dead."""
        return not self.lapsed and _now() < self.expires_at

    def begin(self, driver: str, who: str) -> None:
        """Begins to renew the leases that are taken from now on."""
        self.driver, self.who = driver, who
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Renews no more; the leases are not given up, but expire."""
        self._stopped.set()

    def end(self) -> None:
        """Gives up all leases; does nothing where it has not begun."""
        if self._thread is None:
            return
        self.stop()
        self._thread.join()
        self._thread = None
        with suppress(UserError):  # without the database they expire
            self._leases.drop(self.driver)

    def take(self, name: str, seconds: float | None = None) -> bool:
        """Takes a lease unless another driver holds it; says whether it did.

        Args:
            name: of the lease.
            seconds: how long it lasts without a renewal; None: `LEASE_S`.
        """
        return self._leases.take(name, self.driver, self.who, seconds or LEASE_S)

    def drop(self, name: str) -> None:
        """Gives up one lease."""
        self._leases.drop(self.driver, name)

    def renew(self) -> None:
        """Renews all leases of this driver."""
        begun = _now()
        self.lapsed |= begun >= self.expires_at
        self._leases.renew(self.driver, LEASE_S)
        self.expires_at = begun + LEASE_S

    def _run(self) -> None:
        while not self._stopped.wait(RENEW_S):
            try:
                self.renew()
            except UserError:  # the database is away: whoever needs it next reports that
                continue


def _now() -> float:
    """Returns seconds that also pass while the machine sleeps."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)
