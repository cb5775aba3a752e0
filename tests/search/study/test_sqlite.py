"""A study in an SQLite file that is locked, or was made by another version of Optuna."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import optuna
import pytest
from sqlalchemy.engine import default

from search.study.storage import open_storage, open_to_read
from search.study.study import SearchStudy
from tests.fixtures.here import search_here
from tests.fixtures.searches import MARKET, contents, write_space
from trainable.cli.errors import UserError


@pytest.fixture
def url(tmp_path: Path) -> str:
    found = f"sqlite:///{tmp_path / 'study.db'}"
    SearchStudy.create(found, "old", 0)
    return found


def with_schema(tmp_path: Path, revision: str) -> None:
    """Makes the tables those of another version, as far as Optuna looks."""
    with closing(sqlite3.connect(tmp_path / "study.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = ?", [revision])
        database.commit()


def test_a_study_of_an_older_optuna_says_how_to_upgrade_it(tmp_path: Path, url: str) -> None:
    with_schema(tmp_path, "v3.0.0.a")
    for opened in (lambda: open_storage(url, create=True), lambda: open_to_read(url)):
        with pytest.raises(UserError, match=rf"run: optuna storage upgrade --storage {url}$"):
            opened()
    optuna.storages.RDBStorage(url, skip_compatibility_check=True).upgrade()  # what it runs
    assert SearchStudy.open(url, "old").rows() == []


def test_a_study_of_a_newer_optuna_says_so(tmp_path: Path, url: str) -> None:
    with_schema(tmp_path, "v99.0.0.a")
    with pytest.raises(UserError, match=r"tables are those of another Optuna than the \d"):
        open_storage(url, create=True)


@contextmanager
def locked(tmp_path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(tmp_path / "study.db", isolation_level=None)) as database:
        database.execute("BEGIN EXCLUSIVE")
        yield
        database.execute("ROLLBACK")


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Has SQLite give up at once: it would wait for five seconds."""
    connect = default.DefaultDialect.connect

    def soon(self, *args, **words):
        return connect(self, *args, **{**words, "timeout": 0.01})

    monkeypatch.setattr(default.DefaultDialect, "connect", soon)


def test_a_locked_study_cannot_be_opened(tmp_path: Path, url: str, impatient: None) -> None:
    with locked(tmp_path), pytest.raises(UserError, match=r"cannot be opened: .* is locked: an"):
        open_storage(url, create=True)


def test_a_study_that_is_locked_meanwhile(tmp_path: Path, url: str, impatient: None) -> None:
    storage = open_storage(url, create=False)
    number = storage.get_study_id_from_name("old")
    with locked(tmp_path), pytest.raises(UserError, match=r"is locked: .* go on with resume=true"):
        storage.set_study_user_attr(number, "any", 1)
    storage.set_study_user_attr(number, "any", 1)


def test_a_search_in_it_says_so_in_a_line_and_leaves_nothing(
    tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    with_schema(tmp_path, "v3.0.0.a")
    assert search_here(*MARKET, "space=tiny.py", "trials=2", f"storage={url}") == 2
    assert f"optuna storage upgrade --storage {url}" in capsys.readouterr().err
    assert contents(tmp_path) == ["study.db", "tiny.py"]
