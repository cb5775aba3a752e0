"""Fixtures that several files of tests share; what they need is imported by who uses them only."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.rigs import Rig
    from tests.servers import Postgres
    from tests.sharing import Join


@pytest.fixture(scope="module")
def server() -> "Iterator[Postgres]":
    """Returns a PostgreSQL of our own."""
    from tests.servers import postgres

    with postgres() as found:
        yield found


@pytest.fixture
def join(server: "Postgres", monkeypatch: pytest.MonkeyPatch) -> "Iterator[Join]":
    """Returns what makes drivers of one new study."""
    from tests.sharing import joining

    with joining(server, monkeypatch) as found:
        yield found


@pytest.fixture
def rig(tmp_path: Path) -> "Iterator[Rig]":
    """Returns a study in memory and a run folder, for drivers without Ray."""
    from tests.rigs import Rig

    made = Rig(tmp_path)
    yield made
    made.folder.close()
