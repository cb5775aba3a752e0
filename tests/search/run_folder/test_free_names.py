"""Runs that nobody names: each gets a folder of its own, also of two starts in one second."""

import threading
from datetime import datetime
from pathlib import Path

import pytest

from search.run_folder.folder import RunFolder
from search.session import assembly
from tests.fixtures.here import search_here
from tests.fixtures.searches import MARKET, TINY, contents, write_space
from trainable.cli.errors import UserError

NOW = datetime(2026, 11, 20, 10, 15, 0)


class Clock:
    """A clock that stands."""

    @staticmethod
    def now() -> datetime:
        return NOW


def test_two_searches_in_one_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(assembly, "datetime", Clock)
    write_space(tmp_path, TINY.replace("EPOCHS = 4", "EPOCHS = 1"))
    words = (*MARKET, "space=tiny.py", "trials=1", "finalist_seeds=1", "storage=sqlite:///s.db")
    assert search_here(*words) == 0
    assert search_here(*words) == 0
    assert contents(tmp_path / "runs") == ["tiny-20261120-101500", "tiny-20261120-101500-2"]
    assert search_here(*words, "dry_run=true") == 0
    assert len(contents(tmp_path / "runs")) == 2


def test_many_starts_at_once_get_as_many_names(tmp_path: Path) -> None:
    made: list[str] = []
    together = threading.Barrier(8)

    def start() -> None:
        together.wait()
        with RunFolder.create(tmp_path / "a" / "runs", "run", free=True) as folder:
            folder.write_json("run.json", {"state": "running"})
            made.append(folder.name)

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(made) == ["run", *(f"run-{number}" for number in range(2, 9))]
    assert contents(tmp_path / "a" / "runs") == sorted(made)


def test_a_free_name_that_cannot_be_used_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("a file", encoding="utf-8")
    with pytest.raises(UserError, match="is no folder; choose another folder with runs_dir"):
        RunFolder.create(tmp_path / "runs", "run", free=True)
    assert contents(tmp_path) == ["runs"]


def test_a_name_that_a_person_gave_stays(tmp_path: Path) -> None:
    with RunFolder.create(tmp_path, "run") as folder:
        folder.write_json("run.json", {"state": "running"})
    with pytest.raises(UserError, match=r"'run' exists; add resume=true"):
        RunFolder.create(tmp_path, "run")
