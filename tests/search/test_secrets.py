"""Passwords: in no file that a search leaves, and in no line; test_storage_path watches one."""

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from search import run, status
from search.api import launch
from search.backend.local import Local
from search.settings.masking import mask, masked, no_secret_told
from tests.fixtures.searches import MARKET, contents, started, write_space
from tests.fixtures.secrets import SECRET, leaks
from trainable.cli.errors import UserError


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://ann:hunter2@db/x", "postgresql://ann:***@db/x"),
        ("postgresql://ann:hun@ter2@db:5432/x", "postgresql://ann:***@db:5432/x"),
        ("postgresql://:hunter2@db/x", "postgresql://:***@db/x"),
        ("s3://KEY:hun/ter2@bucket/a?region=x", "s3://KEY:***@bucket/a?region=x"),
        ("s3://bucket/a?secret_key=hunter2&region=x", "s3://bucket/a?secret_key=***&region=x"),
        ("abfs://c/a?account_key=hun,ter2==&x=1", "abfs://c/a?account_key=***&x=1"),
        ("https://h/?X-Amz-Signature=hunter2", "https://h/?X-Amz-Signature=***"),
        ("https://h/?sv=1&sig=hunter2&se=2", "https://h/?sv=1&sig=***&se=2"),
        ("gs://b?session_token=hunter2", "gs://b?session_token=***"),
        ("mysql://h/x?user=ann&password=hunter2", "mysql://h/x?user=ann&password=***"),
        ("host=h PASSWORD=hunter2 dbname=x", "host=h PASSWORD=*** dbname=x"),
        ("storage=ann:hunter2@db/x", "storage=ann:***@db/x"),
        ("sqlite:///study.db", "sqlite:///study.db"),
        ("postgresql://ann@db/x", "postgresql://ann@db/x"),
        ("s3://bucket/a?region=eu&scheme=http", "s3://bucket/a?region=eu&scheme=http"),
        ("trials=3 name=a@b", "trials=3 name=a@b"),
    ],
)
def test_secrets_are_hidden_and_nothing_else(text: str, shown: str) -> None:
    assert mask(text) == shown
    assert mask(shown) == shown
    assert masked({"a": [text], "b": (text, 1, None)}) == {"a": [shown], "b": (shown, 1, None)}


def test_an_error_tells_no_secret_and_keeps_its_kind() -> None:
    with pytest.raises(UserError) as error, no_secret_told():
        raise UserError("storage=postgresql://ann:hunter2@db/x: no")
    assert str(error.value) == "storage=postgresql://ann:***@db/x: no"
    assert error.value.__suppress_context__
    with pytest.raises(UserError, match="as it is"), no_secret_told():
        raise UserError("as it is")


@pytest.mark.parametrize(
    ("word", "remedy"),
    [
        (f"storage=postgresql://ann:{SECRET}@db/x", "set PGPASSWORD, or write it to ~/.pgpass"),
        (f"storage=postgresql+psycopg://ann:{SECRET}@db/x", "PGPASSFILE"),
        (f"storage=postgresql://db/x?user=ann&password={SECRET}", "set PGPASSWORD"),
        (f"storage=mysql+pymysql://ann:{SECRET}@db/x", "read_default_file"),
        (f"storage=ann:{SECRET}@db/x", "launch(…)"),
        (f"storage_path=s3://KEY:{SECRET}@bucket/x", "set AWS_ACCESS_KEY_ID and AWS_SECRET"),
        (f"storge=postgresql://ann:{SECRET}@db/x", "set PGPASSWORD"),
        (f"postgresql://ann:{SECRET}@db/x", "leave it out"),
    ],
)
@pytest.mark.parametrize("command", [run.main, status.main])
def test_a_secret_on_a_command_line_is_refused_and_the_remedy_is_said(
    command: Callable[[Sequence[str]], int], word: str, remedy: str, tmp_path: Path
) -> None:
    words = [f"runs_dir={tmp_path}", *(["a"] if command is status.main else [])]
    with pytest.raises(UserError) as caught:
        command([*words, word])
    said = str(caught.value)
    assert "holds a secret" in said
    assert remedy in said
    assert SECRET not in said
    assert contents(tmp_path) == []


def test_from_python_a_storage_may_have_a_password_and_nothing_keeps_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that SQLite does not ask for."""
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    storage = f"sqlite:///file:study.db?uri=true&password={SECRET}"
    few = {"trials": 2, "epochs": 1, "finalist_seeds": 1}
    launch("tiny.py", "synthetic", backend=lambda settings: Local(), name="a", storage=storage,
           data_synthetic={"bars": 400, "symbols": 6}, **few)  # fmt: skip
    shown = capsys.readouterr()
    assert SECRET not in shown.out + shown.err
    assert leaks([tmp_path], SECRET.encode()) == set()
    assert "password=***" in (tmp_path / "runs" / "a" / "run.json").read_text(encoding="utf-8")


def test_a_refused_secret_is_one_line_and_no_traceback(tmp_path: Path) -> None:
    words = (*MARKET, "space=quick_test", "name=a", f"storage=postgresql://ann:{SECRET}@db/x")
    with started(tmp_path, *words) as search:
        assert search.wait() == 2, search.err
    assert search.err.startswith("error: storage=postgresql://ann:***@db/x holds a secret")
    assert search.err.count("\n") == 1
    assert SECRET not in search.out + search.err
    assert contents(tmp_path) == []
