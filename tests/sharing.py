"""Drivers of one shared study, as objects of a test."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from uuid import uuid4

import pytest

from search import presence
from search.shared import SharedStudy
from search.study import SearchStudy
from tests.servers import Postgres

Join = Callable[..., SharedStudy]


@contextmanager
def joining(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[Join]:
    """Lets drivers join one new study; leases are short."""
    monkeypatch.setattr(presence, "LEASE_S", 0.6)
    monkeypatch.setattr(presence, "RENEW_S", 0.1)
    name = uuid4().hex
    drivers: list[SharedStudy] = []

    def join(most: int = 100, gone: Sequence[str] = ()) -> SharedStudy:
        if drivers:
            study = SharedStudy.open(server.url, name)
        else:
            study = SharedStudy.create(server.url, name, seed=0, startup=4)
        drivers.append(study)
        study.join(most, f"d{len(drivers)}", f"process {len(drivers)} on here", gone)
        return study

    try:
        yield join
    finally:
        for study in drivers:
            study.close()


def die(study: SearchStudy) -> None:
    """Plays a driver that is killed, or sleeps: its leases are renewed no more."""
    assert isinstance(study, SharedStudy)
    study._presence._over.set()
    study._presence._until = 0.0
