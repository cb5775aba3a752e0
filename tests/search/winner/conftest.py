"""One search that has ended, for all tests of its winner."""

from pathlib import Path

import pytest

from tests.fixtures import tiny

WORDS = tiny.WORDS | {
    "trials": 4, "epochs": 2, "finalist_seeds": 2, "pruning": "none", "steps_per_epoch": 12,
    "seed": 5,
}  # fmt: skip


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a search, `runs/x`; nothing is changed there."""
    folder = tmp_path_factory.mktemp("made")
    tiny.write_inputs(folder)
    tiny.search(folder, WORDS)
    return folder
