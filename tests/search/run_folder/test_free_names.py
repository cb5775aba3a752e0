"""Runs that nobody names: each gets a folder of its own, also of two starts in one second."""

import threading
from dataclasses import replace
from datetime import datetime
from io import StringIO
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from rich.console import Console

from search.planning.plan import make_plan
from search.run_folder.folder import RunFolder
from search.session import assembly
from search.session.runner import open_session
from search.settings.reading import settings_from
from tests.fixtures.here import search_here
from tests.fixtures.searches import MARKET, TINY, contents, write_space
from trainable.cli.errors import UserError

FEW = ("space=tiny.py", "trials=1", "finalist_seeds=1", "report=false")
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
    words = (*MARKET, *FEW, "storage=sqlite:///s.db")
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


def test_two_searches_of_one_second_in_two_folders_share_a_storage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(assembly, "datetime", Clock)
    write_space(tmp_path, TINY.replace("EPOCHS = 4", "EPOCHS = 1"))
    name = "tiny-20261120-101500"
    words = (*MARKET, *FEW)
    for places in (("storage=sqlite:///s.db",), ("storage_path=files",)):
        for runs in ("a", "b"):
            assert search_here(*words, *places, f"runs_dir={runs}{len(places[0])}") == 0
        assert contents(tmp_path / f"a{len(places[0])}") == [name]
        assert contents(tmp_path / f"b{len(places[0])}") == [f"{name}-2"]
    studies = optuna.get_all_study_names("sqlite:///s.db")
    assert sorted(studies) == [name, f"{name}-2"]
    assert contents(tmp_path / "files") == [name, f"{name}-2"]
    words = ("runs_dir=b22", f"name={name}-2", "resume=true", "trials=2")
    assert search_here(*words) == 0


def test_many_starts_at_once_share_a_study_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each looks for a name, and another takes it before it is used."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(assembly, "datetime", Clock)
    write_space(tmp_path, TINY.replace("EPOCHS = 4", "EPOCHS = 1"))
    storage = "storage=sqlite:///s.db"
    optuna.create_study(storage="sqlite:///s.db", study_name="of somebody else")
    looked = threading.Barrier(3)
    plain = RDBStorage.get_all_studies
    first = threading.local()

    def look(self: RDBStorage) -> Any:
        found = plain(self)
        if not getattr(first, "done", False):
            first.done = True
            looked.wait(timeout=30)
        return found

    monkeypatch.setattr(RDBStorage, "get_all_studies", look)
    plan = make_plan(settings_from([*MARKET, "space=tiny.py", "trials=1", storage]))
    names: list[str] = []

    def start(runs: str) -> None:
        mine = replace(plan, settings=replace(plan.settings, runs_dir=runs))
        with open_session(mine, [], Console(file=StringIO())) as session:
            names.append(session.plan.settings.run_name)

    threads = [threading.Thread(target=start, args=(runs,)) for runs in ("a", "b", "c")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    name = "tiny-20261120-101500"
    assert sorted(names) == [name, f"{name}-2", f"{name}-3"]


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
