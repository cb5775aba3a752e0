"""`python -m search.status`: how a run stands, told from its folder, which stays as it is."""

import json
import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pytest
from rich.console import Console

from search import status
from search.run_folder.folder import RunFolder
from search.run_folder.lock import LOCK, drivers_of
from search.run_folder.long_tables import ScoredRows
from search.run_folder.reports import ReportStore
from search.run_folder.starting import Start
from search.status import leading, read_status, snapshot
from search.study.study import SearchStudy
from trainable.cli.errors import UserError
from trainable.report import Report

DAYS = np.arange("2020-01-01", "2020-02-10", dtype="datetime64[D]").astype("datetime64[ns]")
SCORED = ScoredRows(DAYS, DAYS, np.full(len(DAYS), "A", dtype=object))
RUN = {
    "name": "mine",
    "arguments": ["space=mine.py"],
    "settings": {"trials": 8, "storage": None},
    "started": "2020-05-01T10:00:00+00:00",
    "resumed": [],
    "luck_line": 1.25,
    "data": {"validation_periods": len(DAYS), "intraday": False, "periods_per_year": 252.0},
    "rungs": [1, 4],
}


def space(trial: optuna.Trial) -> dict:
    trial.suggest_float("optimizer/lr", 1e-4, 1e-1, log=True)
    return {"model/name": "mlp"}


def report(number: int, epoch: int, sharpe: float | None, loss: float | None) -> Report:
    values = {"val_loss": loss, "sharpe": sharpe}
    returns = np.random.default_rng(number).normal(0.0, 0.01, len(DAYS))
    return Report(number, epoch, 10 * epoch, values, seconds=0.5, net_returns=returns)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RunFolder]:
    """A run in the middle: of five trials two have ended, one of them a finalist with a seed."""
    with RunFolder.create(tmp_path, "mine") as made:
        made.write_json("run.json", RUN)
        study = SearchStudy.create(made.path / "study.log", "mine", seed=0)
        asked = [study.ask(space) for _ in range(4)]
        results = ReportStore(made, SCORED)
        results.add([report(n, 1, 0.1 * n, 1.0) for n in range(4)])
        results.add([report(0, e, 2.0 - e, 0.5 * e) for e in (2, 3, 4)])
        study.finish(0, "COMPLETE", "completed", value=1.0)
        study.finish(1, "PRUNED", "asha_rung")
        study.add(0, "seed", asked[0].params, seed=7)
        results.add([report(4, 1, 9.0, 0.1), report(2, 2, None, None)])
        yield made


def contents(folder: Path) -> dict[str, tuple[bytes, int]]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns) for p in files}


def test_a_run_in_the_middle_is_told_as_its_own_display_would(folder: RunFolder) -> None:
    before = contents(folder.path)
    found = read_status(folder.path)
    shown = snapshot(found, datetime(2020, 5, 1, 11, tzinfo=UTC))
    assert contents(folder.path) == before
    assert (shown.total, shown.done, shown.running) == (8, 2, 2)
    assert (shown.seeds_ended, shown.seeds) == (0, 1)
    assert shown.reasons == {"completed": 1, "asha_rung": 1}
    assert shown.elapsed_s == 3600
    assert (shown.luck, shown.periods, shown.period_name) == (1.25, len(DAYS), "days")
    assert [(rung.epoch, rung.count) for rung in shown.rungs] == [(1, 4), (4, 1)]
    # Trial 0 at epoch 1, where its loss was lowest before 0.5 · 2; the seed is no rival.
    first = leading(found).to_dict("records")
    assert [(row["number"], row["epochs"], row["epoch"]) for row in first] == [
        (0, 4, 1), (1, 1, 1), (2, 2, 1), (3, 1, 1)
    ]  # fmt: skip
    assert shown.best is not None
    assert (shown.best.trial, shown.best.sharpe, shown.best.seeds) == (0, 0.0, 1)


def test_who_drives_is_said_and_that_nobody_does(
    folder: RunFolder, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status.main([str(folder.path), "top=2"]) == 0
    said = capsys.readouterr().out
    assert "Driven by process" in said
    assert "the latest report came" in said
    assert "2 of 8 configurations, 0 of 1 seed" in said
    assert "1 trained to the end" in said
    assert [line.split()[:4] for line in said.splitlines()[-2:]] == [
        ["0", "0.00", "1", "4"], ["1", "0.10", "1", "1"]
    ]  # fmt: skip
    over = {"state": "ended", "ended": "2020-05-02"}
    held = replace(read_status(folder.path), run={**RUN, **over})  # by a confirmation
    status.show(held, folder.path, 0, Console(width=200))
    assert f"Ended 2020-05-02. Held by process {os.getpid()}: " in capsys.readouterr().out
    late, later = (datetime(year, 1, 1, tzinfo=UTC) for year in (2040, 2041))
    assert snapshot(held, late).elapsed_s == snapshot(held, later).elapsed_s
    lock = folder.path / LOCK
    owner = json.loads(lock.read_text())
    for left, alive in (
        ({**owner, "pid": 2**22 + 1}, False),  # killed: the kernel let go, the file stayed
        ({**owner, "host": "elsewhere", "pid": 1}, True),
        ({}, False),
    ):
        lock.write_text(json.dumps(left))
        assert bool(drivers_of(folder.path)) == alive
    assert status.main([str(folder.path)]) == 0
    said = capsys.readouterr().out
    assert "Nobody drives it" in said
    resume = f"python -m search.run name=mine runs_dir={folder.path.parent} resume=true"
    assert f"Next: {resume}\n" in said
    lock.unlink()
    assert drivers_of(folder.path) == []
    folder.write_json("run.json", RUN | {"interrupted": False, "ended": "2020-05-01T12:00:00"})
    assert status.main([str(folder.path)]) == 0
    assert "python -m analysis.rank" in capsys.readouterr().out


def test_commands_can_be_pasted(folder: RunFolder, capsys: pytest.CaptureFixture[str]) -> None:
    spaced = folder.path.rename(folder.path.parent / "my run")
    record = RUN | {"interrupted": False, "ended": "2020-05-01T12:00:00"}
    (spaced / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (spaced / LOCK).unlink()
    assert status.main([str(spaced)]) == 0
    assert f"python -m analysis.rank '{spaced}'" in capsys.readouterr().out


def test_a_search_that_was_killed_before_it_began_is_started_again(folder: RunFolder) -> None:
    start = Start(["space=mine.py", "name=mine"], ["1 here"]).record()
    (folder.path / "run.json").write_text(json.dumps(start), encoding="utf-8")
    with pytest.raises(UserError, match="has not begun yet; look again in a minute"):
        read_status(folder.path)
    (folder.path / LOCK).unlink()
    with pytest.raises(UserError, match=r"was ended before it had begun; again: .*resume=true"):
        read_status(folder.path)


def test_a_torn_line_of_a_driver_that_writes_is_read_past_and_left(folder: RunFolder) -> None:
    with (folder.path / "study.log").open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    before = contents(folder.path)
    assert len(read_status(folder.path).rows) == 5
    assert contents(folder.path) == before


def test_shards_that_become_tables_meanwhile_are_read_again(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = SearchStudy.open(folder.path / "study.log", "mine")
    read, left = status.shards.read, [1]

    def replaced(path: Path, *rest: Any, **named: Any) -> object:
        if left:
            left.clear()
            for number in range(2, 5):
                study.finish(number, "PRUNED", "asha_rung")
            ReportStore(folder, SCORED).finish(study.rows(), [], RUN)
        return read(path, *rest, **named)

    monkeypatch.setattr(status.shards, "read", replaced)
    found = read_status(folder.path).epochs
    assert not list(folder.path.glob("shards/*"))
    assert len(found) == 9


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "no run folder named"),
        (["top=3"], "no run folder named"),
        (["nowhere"], "has no run.json"),
        (["mine", "top=-1"], "top=-1: expected at least 0"),
        (["mine", "tpo=1"], "did you mean"),
        (["mine", "storage=other.log"], "other.log: there is no study here"),
        (["mine", "storage=sqlite:///other.db"], "other.db: there is no study here"),
    ],
)
def test_bad_input_is_one_line(
    folder: RunFolder, words: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder.path.parent)
    with pytest.raises(UserError, match=said) as caught:
        status.main(words)
    assert "\n" not in str(caught.value)
    assert [path.name for path in folder.path.parent.iterdir()] == ["mine"]
