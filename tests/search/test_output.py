"""A search whose standard output fails: its results are written all the same."""

import sys
from pathlib import Path

import pytest

from analysis.load import load_run
from search import launch
from search.backend.local import Local
from search.settings.settings import SearchSettings
from tests.fixtures.here import search_here
from tests.fixtures.searches import MARKET, TINY, write_space
from tests.fixtures.streams import CLOSED, FULL, Failing, narrow
from trainable.cli.commands import status_of


def here(settings: SearchSettings) -> Local:
    return Local()


@pytest.fixture
def words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path, TINY.replace("EPOCHS = 4", "EPOCHS = 1"))
    return (*MARKET, "space=tiny.py", "trials=2", "finalist_seeds=1")


def test_a_search_ends_well_whatever_becomes_of_its_output(monkeypatch, words):
    monkeypatch.setattr(sys, "stdout", Failing(FULL, good=3))
    status = status_of(lambda: search_here(*words, "name=lost"), kept="in the run folder")
    assert status == 0
    assert len(load_run("runs/lost").searched) == 2
    assert Path("runs/lost/best/config.json").is_file()


def test_a_search_in_ascii(monkeypatch, words):
    stream = narrow()
    monkeypatch.setattr(sys, "stdout", stream)
    assert search_here(*words, "name=plain") == 0
    stream.flush()
    assert b"+-" in stream.buffer.getvalue()  # type: ignore[attr-defined]


def test_a_search_from_python_ends_well_too(monkeypatch, words):
    monkeypatch.setattr(sys, "stdout", Failing(CLOSED, good=1))
    run = launch(
        "tiny.py", "synthetic", data_synthetic={"bars": 400, "symbols": 6}, trials=2,
        finalist_seeds=1, name="python", backend=here,
    )  # fmt: skip
    assert run is not None
    assert len(run.searched) == 2
