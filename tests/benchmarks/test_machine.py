"""What measurements share: arguments, processes of their own, the JSON file."""

import argparse
import json
import subprocess
import time
from pathlib import Path

import pytest

from benchmarks import machine, processes
from benchmarks.control import __main__ as control
from search.session import provenance
from trainable.cli.errors import UserError


def test_command_and_json_hold_no_path(tmp_path: Path) -> None:
    words = ["--table", str(tmp_path / "t.parquet"), f"--peer={tmp_path}/p.py", "--trials", "2"]
    assert machine.shown(words) == "--table t.parquet --peer=p.py --trials 2"
    record = machine.Record(tmp_path / "a" / "r.json", "benchmarks.x", words)
    record.save({"seconds": 1.5})
    text = (tmp_path / "a" / "r.json").read_text()
    content = json.loads(text)
    assert content["seconds"] == 1.5
    assert content["command"].startswith("python -m benchmarks.x --table t.parquet")
    assert content["machine"]["cores"] >= 1
    assert content["versions"]["torch"]
    assert str(machine.ROOT) not in text
    with pytest.raises(ValueError, match="JSON"):
        record.save({"seconds": float("nan")})
    assert json.loads(text) == content


def test_the_revision_is_that_of_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = iter(["first", "first", "second"])
    monkeypatch.setattr(provenance, "revision", lambda: next(found))
    record = machine.Record(tmp_path / "r.json", "benchmarks.x", [])
    record.save({})
    assert "git_at_the_end" not in json.loads(record.path.read_text())
    record.save({})
    content = json.loads(record.path.read_text())
    assert (content["git"], content["git_at_the_end"]) == ("first", "second")


def test_what_the_others_used_is_not_our_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []

    def look() -> float:
        looks.append(processes.busy_seconds())
        return looks[-1]

    monkeypatch.setattr(machine, "busy_seconds", look)
    record = machine.Record(tmp_path / "r.json", "benchmarks.x", [])
    begun = time.process_time()
    while time.process_time() - begun < 0.3:
        pass
    others = record.others()
    assert len(looks) == 2
    assert 0 <= others <= looks[1] - looks[0] - 0.25


@pytest.mark.parametrize("text", ["0", "-1", "2,", "1.5", "³", ""])
def test_numbers_are_above_zero(text: str) -> None:
    assert machine.numbers("2,8,32") == [2, 8, 32]
    with pytest.raises(argparse.ArgumentTypeError, match="above 0"):
        machine.numbers(text)


def test_a_process_of_its_own_answers_with_its_last_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.sys, "executable", "/bin/echo")
    assert machine.alone("[3,", "4]\n5") == 5
    monkeypatch.setattr(machine.sys, "executable", "/bin/false")
    with pytest.raises(UserError, match=r"python -m benchmarks.x --n 2 ended with status 1"):
        machine.alone("benchmarks.x", "--n", 2)


def test_a_machine_without_git_names_no_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*args: object, **kwargs: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", run)
    assert machine.describe()["git"] is None


def test_an_unknown_way_is_refused_before_anything_runs() -> None:
    with pytest.raises(UserError, match="unknown way 'her'; did you mean 'here'"):
        control.main(["--ways", "tune,her"])
