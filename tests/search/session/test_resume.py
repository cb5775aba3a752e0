"""The words of a command line, as they are stored and come back when a run is resumed."""

import json
import shlex
from pathlib import Path

import pytest

from search.session.resume import resume_command, storable, with_stored
from search.settings.reading import settings_from
from trainable.cli.errors import UserError


def stored(folder: Path, *words: str) -> Path:
    """A run folder whose `run.json` was written by a search with these words."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"arguments": storable(words)}), encoding="utf-8")
    return folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_resumed_run_has_the_words_it_was_started_with():
    stored(Path("runs/a"), "space=medium", "trials=16", "name=a")
    words = with_stored(["name=a", "resume=true"])
    assert sorted(words) == ["name=a", "resume=true", "space=medium", "trials=16"]
    assert settings_from(words).space == "medium"


def test_new_words_win_over_stored_ones():
    stored(Path("runs/a"), "trials=16", "fix.optimizer/lr=1e-4", "fix.model/dropout=0.3", "name=a")
    words = with_stored(["name=a", "resume=true", "trials=32", "fix.optimizer/lr=1e-5"])
    settings = settings_from(words)
    assert settings.trials == 32
    assert settings.fix == {"optimizer/lr": "1e-5", "model/dropout": "0.3"}


@pytest.mark.parametrize("old", ["data=us20", "data.source=us20", "data.path=a.csv"])
@pytest.mark.parametrize("new", ["data=sp500", "data.source=sp500", "data.path=b.csv"])
def test_a_new_source_replaces_the_old_one_however_they_are_written(old, new):
    stored(Path("runs/a"), old, "name=a")
    data = settings_from(with_stored(["name=a", "resume=true", new])).data
    assert (data.path or data.source) == new.partition("=")[2]


def test_the_folder_of_runs_is_respected():
    stored(Path("else where/a"), "trials=16", "runs_dir=else where")
    assert "trials=16" in with_stored(["name=a", "runs_dir=else where", "resume=true"])


@pytest.mark.parametrize("words", [["name=a"], ["name=a", "resume=false"], ["resume=true"]])
def test_nothing_is_added_where_nothing_is_resumed(words):
    stored(Path("runs/a"), "trials=16")
    assert with_stored(words) == words


def test_what_belongs_to_one_session_is_not_stored():
    assert storable(["trials=3", "resume=true", "dry_run=false"]) == ["trials=3"]


def test_odd_values_survive():
    words = ["data.path=a (1), b=c?.csv", "name=1.10", "space=my (s), a=b?.py"]
    stored(Path("runs/1.10"), *words)
    settings = settings_from(with_stored(["name=1.10", "resume=true"]))
    assert settings.data.path == "a (1), b=c?.csv"
    assert settings.space == "my (s), a=b?.py"


def test_secrets_are_masked_and_asked_for_again():
    url = "storage=postgresql://ann:hunter2@db/x"
    folder = stored(Path("runs/a"), url, "name=a")
    assert "hunter2" not in (folder / "run.json").read_text(encoding="utf-8")
    with pytest.raises(
        UserError, match="storage held a secret, which was not stored; give storage"
    ):
        with_stored(["name=a", "resume=true"])
    assert url in with_stored(["name=a", "resume=true", url])


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"{}", b"[]", b"3", b"\xff\xfe", b'{"arguments": 3}', b'{"arguments": [3]}'],
)
def test_a_damaged_record_is_named(content):
    stored(Path("runs/a"))
    Path("runs/a/run.json").write_bytes(content)
    with pytest.raises(UserError, match=r"^runs/a/run\.json is damaged .*; restore it") as caught:
        with_stored(["name=a", "resume=true"])
    assert "\n" not in str(caught.value)


def test_a_run_from_python_goes_on_from_python():
    stored(Path("runs/a"))
    Path("runs/a/run.json").write_text('{"arguments": null}', encoding="utf-8")
    with pytest.raises(UserError, match=r"was started from Python: go on with launch\("):
        with_stored(["name=a", "resume=true"])


@pytest.mark.parametrize("name", ["a", "1.10", "it's (1), b=c?", "${HOME}"])
def test_the_command_to_resume_can_be_typed(name):
    settings = settings_from([f"name={name}", "runs_dir=my runs", "trials=3"])
    words = shlex.split(resume_command(settings.run_name, settings.runs_dir, []))
    assert words[:3] == ["python", "-m", "search.run"]
    again = settings_from(words[3:])
    assert (again.run_name, again.runs_dir, again.resume) == (name, "my runs", True)


def test_the_call_to_resume_from_python():
    assert resume_command("a", "runs", None) == "launch(…, name='a', resume=True)"


def test_a_command_with_the_default_folder_of_runs_is_short():
    command = resume_command("a", "runs", ["trials=3"])
    assert command == "python -m search.run name=a resume=true"
