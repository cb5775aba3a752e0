"""What must stay the same when a run goes on: another is refused by name, nothing is touched."""

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from tests.fixtures import tiny

BASE = tiny.WORDS | {"trials": 2, "name": "x"}
READY = BASE | {
    "name": "ready", "data.path": "ready.csv", "data.features": "feat_*", "data.target": "label",
}  # fmt: skip
CASES: dict[str, tuple[dict[str, object], set[str]]] = {
    "objective": ({"objective": "rank_ic"}, {"objective=rank_ic instead of sharpe"}),
    "seed": ({"seed": 1}, {"seed=1 instead of 0"}),
    "steps_per_epoch": ({"steps_per_epoch": 5}, {"steps_per_epoch=5 instead of 4"}),
    "rungs": ({"rungs": "2"}, {"rungs=2 instead of unset"}),
    "reduction_factor": ({"reduction_factor": 3}, {"reduction_factor=3 instead of 4"}),
    "fix": ({"fix.model/dropout": 0.2}, {"fix.model/dropout=0.2 instead of unset"}),
    "space": ({"space": "other.py"}, {"space=other.py instead of tiny.py"}),
    "other closes": ({"data.path": "other.csv"}, {"data.path=other.csv instead of bars.csv"}),
    "costs": ({"data.cost_bps": 2}, {"data.cost_bps=2.0 instead of 1.0"}),
    "delisting": (
        {"data.delisting_return": -0.5},
        {"data.delisting_return=-0.5 instead of 0.0"},
    ),
    "bars a year": (
        {"data.periods_per_year": 365},
        {"data.periods_per_year=365.0 instead of unset"},
    ),
    "symbols": (
        {"data.symbols": "AA,BB,CC,DD,EE"},
        {"data.symbols=AA,BB,CC,DD,EE instead of unset"},
    ),
    "held out": (
        {"data.holdout_symbols": 0.1},
        {"data.holdout_symbols=0.1 instead of 0.0"},
    ),
    "horizon": ({"data.horizon": 2}, {"data.horizon=2 instead of 1"}),
    "lag": ({"data.lag": 1}, {"data.lag=1 instead of unset"}),
    "validation": (
        {"data.valid_from": "2020-07-10"},
        {"data.valid_from=2020-07-10 instead of unset"},
    ),
    "test": (
        {"data.test_from": "2020-10-20"},
        {"data.test_from=2020-10-20 instead of unset"},
    ),
    "a default": ({"try_default": "true"}, {"try_default=true instead of false"}),
    "two at once, and the same file elsewhere": (
        {"data.horizon": 2, "seed": 1, "data.path": "./bars.csv"},
        {"data.horizon=2 instead of 1", "seed=1 instead of 0"},
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("same")
    tiny.write_inputs(path)
    frame = tiny.bars()
    frame.assign(close=frame["close"] * 2).to_csv(path / "other.csv", index=False)
    tiny.ready().to_csv(path / "ready.csv", index=False)
    (path / "other.py").write_text(tiny.SPACE.replace("0.3", "0.4"), encoding="utf-8")
    tiny.search(path, BASE)
    return path


def content(run: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(run)): path.read_bytes()
        for path in sorted(run.rglob("*"))
        if path.is_file()
    }


def refused(capsys: pytest.CaptureFixture[str]) -> set[str]:
    said = capsys.readouterr().err
    found = re.search(r"^error: run '\w+' cannot go on with ([^;]*); leave that", said)
    assert found is not None, said
    return set(re.split(r", (?=[\w./]+=|other)", found[1]))


@pytest.mark.parametrize("name", CASES)
def test_another_is_refused_by_name_and_nothing_is_touched(
    name: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words, wanted = CASES[name]
    before = content(folder / "runs" / "x")
    capsys.readouterr()
    again: dict[str, object] = {"name": "x", "resume": "true", "trials": 3, **words}
    # A dry run refuses what the resumed one would.
    for dry_run in ("false", "true") if name in ("seed", "horizon", "space") else ("false",):
        tiny.search(folder, again | {"dry_run": dry_run}, status=2)
        assert refused(capsys) == wanted
        assert content(folder / "runs" / "x") == before


def test_the_same_file_with_other_content_is_other_data(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder, tmp_path / "home")
    home = tmp_path / "home"
    pd.concat([tiny.bars().iloc[:-1], tiny.bars().iloc[-1:].assign(close=99.5)]).to_csv(
        home / "bars.csv", index=False
    )
    tiny.search(home, {"name": "x", "resume": "true", "trials": 3}, status=2)
    assert refused(capsys) == {"other content of bars.csv"}


def test_other_features_are_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny.search(folder, READY | {"fix.model/norm": "false"})  # of one feature it leaves nothing
    capsys.readouterr()
    words = {"name": "ready", "resume": "true", "trials": 3, "data.features": "feat_a"}
    tiny.search(folder, words, status=2)
    assert refused(capsys) == {"data.features=feat_a instead of feat_*"}


def test_another_column_of_the_same_file_is_another_label(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = READY | {"name": "columns", "data.returns": "next"}
    tiny.search(folder, words)
    for key, text, before in (("target", "next", "label"), ("returns", "label", "next")):
        capsys.readouterr()
        again = {"name": "columns", "resume": "true", "trials": 3, f"data.{key}": text}
        tiny.search(folder, again, status=2)
        assert refused(capsys) == {f"data.{key}={text} instead of {before}"}


def test_the_space_file_may_not_change_under_its_name(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folder, tmp_path / "home")
    file = tmp_path / "home" / "tiny.py"
    file.write_text(tiny.SPACE.replace("1e-2", "2e-2"), encoding="utf-8")
    tiny.search(tmp_path / "home", {"name": "x", "resume": "true", "trials": 3}, status=2)
    assert refused(capsys) == {"other content of space tiny.py"}


def test_what_may_change_is_taken(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "home")
    words = {
        "trials": 3, "finalist_seeds": 2, "cohort": 2, "time_budget_s": 1000, "checkpoint_steps": 9,
        "patience_s": 50, "epochs": 4,
    }  # fmt: skip
    run = tiny.search(tmp_path / "home", {"name": "x", "resume": "true", **words})
    described = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert len(described["resumed"]) == 1
    trials = tiny.table(run, "trials")
    assert (trials["kind"] == "search").sum() == 3
