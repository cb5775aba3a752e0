"""Fixtures that several files of tests share; what they need is imported by who uses them only."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

# The cores are for the other processes of a test run: more threads cost a sixth more.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# No power cut comes before the end of a test: nobody waits for a disk. Who looks at it patches it.
os.fsync = lambda fd: None
settings.register_profile("fixed", derandomize=True)  # the same examples every time
settings.load_profile("fixed")

# What waits for processes; some at a time from the start, so that short files fill up the end.
LONG = (
    "cluster", "cluster_parts", "interrupts", "settings_reach", "database", "storage_path",
    "local_ray", "full_disk", "deterministic", "monitoring", "bad_input", "several_drivers",
    "coordination", "starting", "batched", "damage", "large", "what_is_saved",
    "resume_with_others", "resume_refused", "confirm",
)  # fmt: skip

if TYPE_CHECKING:
    from tests.fixtures.rigs import Rig
    from tests.fixtures.servers import Postgres
    from tests.fixtures.sharing import Join


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the files that take longest first, where `make test` runs several files at a time."""
    first = {f"test_{name}": place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: first.get(item.path.stem, len(LONG)))


@pytest.fixture(scope="module")
def server() -> "Iterator[Postgres]":
    """Returns a PostgreSQL of our own."""
    from tests.fixtures.servers import postgres

    with postgres() as found:
        yield found


@pytest.fixture
def join(server: "Postgres", monkeypatch: pytest.MonkeyPatch) -> "Iterator[Join]":
    """Returns what makes drivers of one new study."""
    from tests.fixtures.sharing import joining

    with joining(server, monkeypatch) as found:
        yield found


@pytest.fixture
def rig(tmp_path: Path) -> "Iterator[Rig]":
    """Returns a study in memory and a run folder, for drivers without Ray."""
    from tests.fixtures.rigs import Rig

    made = Rig(tmp_path)
    yield made
    made.folder.close()
