"""Runs of versions without `data.overnight`, `data.delisting_return`, `pruning` or `sampler`."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from tests.fixtures import tiny

WORDS = tiny.WORDS | {"trials": "2"}
AGAIN = {"name": "x", "resume": "true", "trials": "3"}


def begun_before(folder: Path, frame: pd.DataFrame, **words: str) -> None:
    """Leaves a run folder as that version wrote it."""
    tiny.write_inputs(folder, frame)
    file = tiny.search(folder, WORDS | words) / "run.json"
    run = json.loads(file.read_text(encoding="utf-8"))
    old = {key: value for key, value in run["data"].items() if key not in NEW}
    rewrite(file, run | {"data": old})


def rewrite(file: Path, run: dict[str, Any]) -> None:
    kept = {key: run[key] for key in run if "crc" not in key}
    file.write_text(json.dumps(kept), encoding="utf-8")


NEW = ("overnight", "delisting_return", "returns_lag")


def test_it_goes_on_with_their_defaults(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    begun_before(tmp_path, tiny.bars())
    tiny.search(tmp_path, AGAIN | {"data.delisting_return": "-0.5"}, status=2)
    wanted = "cannot go on with data.delisting_return=-0.5 instead of 0.0; "
    assert wanted in capsys.readouterr().err
    run = tiny.search(tmp_path, AGAIN)
    assert len(tiny.table(run, "trials").query("kind == 'search'")) == 3


def test_it_does_not_where_returns_over_missing_bars_were_0(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame: Any = tiny.bars()
    halted = (frame["symbol"] == "BB") & frame["timestamp"].between("2020-03-02", "2020-03-06")
    begun_before(tmp_path, frame[~halted])
    tiny.search(tmp_path, AGAIN, status=2)
    said = capsys.readouterr().err
    assert "counted returns over missing bars as 0" in said
    assert said.count("\n") == 1


def test_it_does_not_where_ready_returns_were_read_on_the_row_of_the_decision(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame: Any = tiny.ready()
    frame["next"] = (
        frame.groupby("symbol")["next"].shift(1).fillna(0.0)
    )  # the label is of one bar later
    words = {"features": "feat_*", "target": "label", "returns": "next", "lag": "1"}
    begun_before(tmp_path, frame, **{f"data.{key}": word for key, word in words.items()})
    tiny.search(tmp_path, AGAIN, status=2)
    said = capsys.readouterr().err
    assert "read 'next' on the row of the decision and not data.lag=1 bars later" in said
    assert said.count("\n") == 1


def test_it_goes_on_with_rungs_that_score_by_the_objective(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write_inputs(tmp_path)
    file = tiny.search(tmp_path, WORDS | {"pruning": "objective"}) / "run.json"
    run = json.loads(file.read_text(encoding="utf-8"))
    run["arguments"] = [word for word in run["arguments"] if not word.startswith("pruning=")]
    del run["settings"]["pruning"]
    rewrite(file, run)
    tiny.search(tmp_path, AGAIN | {"pruning": "ranks"}, status=2)
    assert "cannot go on with pruning=ranks instead of objective; " in capsys.readouterr().err
    _, said = tiny.search_and_listen(tmp_path, AGAIN)
    assert "by sharpe" in said


def test_it_goes_on_with_tpe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.write_inputs(tmp_path)
    file = tiny.search(tmp_path, WORDS) / "run.json"
    run = json.loads(file.read_text(encoding="utf-8"))
    del run["settings"]["sampler"]
    rewrite(file, run)
    tiny.search(tmp_path, AGAIN | {"sampler": "qmc"}, status=2)
    assert "cannot go on with sampler=qmc instead of tpe; " in capsys.readouterr().err
    found = tiny.search(tmp_path, AGAIN)
    assert len(tiny.table(found, "trials").query("kind == 'search'")) == 3
