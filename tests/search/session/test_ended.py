"""A run that has ended says so at once when it is resumed, and starts nothing."""

from pathlib import Path
from typing import NoReturn

import pytest

from analysis.notebook import NotebookRun
from search import launch
from search.backend.local import Local
from search.run import main
from search.session.ended import nothing_left
from search.session.resume import with_stored
from search.settings.reading import settings_from
from search.settings.settings import SearchSettings
from search.space.loading import load_space
from tests.fixtures.here import search_here
from tests.fixtures.searches import MARKET, write_space
from trainable.io.checksums import checked, with_checksum
from trainable.io.json_file import loads

AGAIN = ("name=x", "resume=true")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("ended")
    write_space(home)
    with pytest.MonkeyPatch.context() as patched:
        patched.chdir(home)
        assert search_here(*MARKET, "space=tiny.py", "trials=3", "epochs=2", "name=x") == 0
    return home


def starts(settings: SearchSettings) -> NoReturn:
    raise AssertionError("a back end was started")


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def left(*words: str) -> bool:
    settings = settings_from(with_stored([*AGAIN, *words]))
    return nothing_left(settings, lambda: load_space(settings.space).sha256)


def test_it_is_said_at_once_and_where_the_ranking_is(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    before = contents(home)
    assert main(AGAIN, starts) == 0
    said = capsys.readouterr().out
    assert "Run 'x' has ended: 3 configurations" in said
    assert "next  python -m analysis.rank runs/x" in said
    assert contents(home) == before


def test_a_report_that_a_kill_left_out_is_written(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    report = home / "runs/x/report.html"
    report.unlink(missing_ok=True)
    assert main([*AGAIN, "report=true"], starts) == 0
    assert "The report: runs/x/report.html" in capsys.readouterr().out
    assert report.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    report.unlink()
    assert main([*AGAIN, "report=false"], starts) == 0
    assert "The report" not in capsys.readouterr().out
    assert not report.exists()


def test_from_python_it_returns_the_run(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(home)
    data = {"bars": 400, "symbols": 6}
    run = launch(
        "tiny.py", "synthetic", data_synthetic=data, trials=3, epochs=2, name="x", resume=True,
        backend=starts,
    )  # fmt: skip
    assert isinstance(run, NotebookRun)
    assert len(run.ranking()) == 3


def test_whatever_could_be_left_is_for_the_session_to_say(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    assert left()
    assert left("max_concurrent=1", "dashboard=false")
    for word in ("trials=4", "epochs=3", "regret=0.5", "placebo=1", "finalist_seeds=5", "seed=9"):
        assert not left(word)
    new = settings_from([*MARKET, "space=tiny.py", "name=x"])
    assert not nothing_left(new, lambda: load_space(new.space).sha256)
    again = settings_from(with_stored(AGAIN))
    assert not nothing_left(again, lambda: "another")
    file = home / "runs" / "x" / "run.json"
    kept = file.read_bytes()
    record = checked(loads(kept))
    lacks_best = {key: value for key, value in record.items() if key != "lost_models"}
    reasons = record["counts"] | {"by_reason": {"time_budget": 1}}
    for other in ({**record, "state": "interrupted"}, lacks_best, {**record, "counts": reasons}):
        try:
            file.write_bytes(_json(with_checksum(other)))
            assert not left()
        finally:
            file.write_bytes(kept)


def _json(content: object) -> bytes:
    from trainable.io.atomic import json_text

    return json_text(content).encode()


def test_a_back_end_trains_what_is_asked_for_beyond(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(home)
    assert main([*AGAIN, "trials=4"], lambda settings: Local()) == 0
    assert "4 configurations tried" in capsys.readouterr().out
