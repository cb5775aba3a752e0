"""python -m search.holdout: each window once, logged, for the winner alone."""

import json
import shutil
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages.journal import JournalFileBackend

from analysis.statistics.e_value import e_process
from search import confirm, holdout
from search.planning import plan as plan_module
from search.run_folder.openings import LEDGER, NOTED, noted, openings
from search.winner import ended_run
from tests.fixtures import tiny
from tests.search.winner.conftest import WORDS
from trainable.cli.commands import status_of
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.prediction import load


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    return shutil.copytree(made, tmp_path / "home")


def do(folder: Path, *words: str, run: str = "x") -> int:
    with chdir(folder):
        return status_of(lambda: holdout.main([f"runs/{run}", *words]))


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def stored(folder: Path, name: str) -> dict[str, Any]:
    return json.loads((folder / "runs/x" / name).read_text(encoding="utf-8"))


def poisoned(dataset: Dataset, part: str, value: float) -> Dataset:
    """The dataset with other numbers from a part on, and in labels that reach into it."""
    start, _ = dataset.split.part(part)
    late = dataset.time >= start
    features, target = dataset.features.copy(), dataset.target.copy()
    forward = dataset.forward_returns.copy()
    features[late] = value
    target[late | (dataset.label_end >= start)] = value
    forward[start - 1 - dataset.lag :] = value
    return replace(dataset, features=features, target=target, forward_returns=forward)


@pytest.mark.parametrize("value", [np.nan, 1e30])
def test_a_search_is_the_same_whatever_its_gate_and_test_hold(
    home: Path, made: Path, value: float
) -> None:
    def other(*arguments: Any, **more: Any) -> Dataset:
        return poisoned(build_dataset(*arguments, **more), "gate", value)

    shutil.rmtree(home / "runs")
    with patch.object(plan_module, "build_dataset", other):
        tiny.search(home, WORDS)
    for name in ("predictions", "returns"):
        assert tiny.table(home / "runs/x", name).equals(tiny.table(made / "runs/x", name))
    trials = [tiny.table(folder / "runs/x", "trials") for folder in (home, made)]
    columns = ["number", "sharpe", "val_loss", "ic", "sharpe_exposure", "turnover", "state"]
    assert trials[0][columns].equals(trials[1][columns])
    for file in (made / "runs/x/best").rglob("*.safetensors"):
        mine = home / "runs/x" / file.relative_to(made / "runs/x")
        assert mine.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("value", [np.nan, 1e30])
def test_opening_the_gate_does_not_read_the_sealed_test(
    home: Path, value: float, capsys: pytest.CaptureFixture[str]
) -> None:
    assert do(home) == 0
    clean = stored(home, "confirm/gate.json")["gate"]
    shutil.rmtree(home / "runs/x/confirm")

    def other(*arguments: Any, **more: Any) -> Dataset:
        return poisoned(build_dataset(*arguments, **more), "test", value)

    with patch.object(ended_run, "build_dataset", other):
        assert do(home) == 0
        assert stored(home, "confirm/gate.json")["gate"] == clean
        assert not (home / "runs/x/confirm/test.json").exists()
    assert [one.record["window"] for one in openings(home / "runs")] == ["gate"]
    assert "The sealed test stays shut" in said(capsys)


def test_each_window_is_opened_once_and_the_second_call_says_so(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert do(home, "sealed=true") == 0
    first = said(capsys)
    assert first.count("Opened once so far") == 2
    assert "opened before" not in first
    gate, test = openings(home / "runs")
    assert (gate.record["window"], test.record["window"]) == ("gate", "test")
    assert test.record["numbers"] == sorted(one.number for one in load(home / "runs/x").members)
    ledger = (home / "runs" / LEDGER).read_bytes()
    assert do(home, "sealed=true") == 0
    second = said(capsys)
    assert second.count("These dates were opened before: once, on ") == 2
    for name in ("On the gate", "On the sealed test"):
        sentence = first[first.index(name) :].partition(" days")[0]
        assert sentence in second
    assert (home / "runs" / LEDGER).read_bytes() == ledger
    assert do(home, "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert set(shown) == {"gate"}
    assert (shown["gate"]["known"], shown["gate"]["openings"]) == (True, 1)
    note = noted(test, home / "runs")
    assert stored(home, "run.json")[NOTED] == note
    backend = JournalFileBackend(str(home / "runs/x/study.log"))
    study = optuna.load_study(study_name="x", storage=optuna.storages.JournalStorage(backend))
    assert study.user_attrs[NOTED] == note
    assert tiny.search(home, {**WORDS, "resume": "true"})  # the study goes on all the same


def test_what_the_windows_say_is_recomputed_from_best(home: Path) -> None:
    assert do(home, "sealed=true") == 0
    frame = tiny.bars()
    close = tiny.wide(frame, "close")
    forward = close.shift(-1) / close - 1
    each = load(home / "runs/x").by_member(frame)
    deviation = openings(home / "runs")[0].record["deviation"]
    found = {}
    for kind in ("gate", "test"):
        result = stored(home, f"confirm/{kind}.json")["gate"]
        first, last = (pd.Timestamp(result[key]) for key in ("first", "last"))
        assert [f"{first:%Y-%m-%dT%H:%M:%S}", f"{last:%Y-%m-%dT%H:%M:%S}"] == stored(
            home, "run.json"
        )["split"][kind]
        net = []
        for _, own in each.groupby("number"):
            wide = own.pivot(index="timestamp", columns="symbol", values="prediction")
            part = wide.loc[first:last].iloc[:-1]  # the last label would end in the next part
            net.append(tiny.earned(part, forward))
        book = np.mean(net, axis=0)
        ratio = book.mean() / book.std(ddof=1)
        assert result["book"]["days"] == len(book)
        assert result["book"]["sharpe"] == pytest.approx(ratio * 252**0.5, rel=1e-4)
        expected = max(0.0, found["gate"]) if kind == "test" else 0.0  # the gate is what is known
        values = e_process(book, deviation, expected)
        assert result["e"] == pytest.approx(values[-1], rel=1e-3)
        found[kind] = ratio


def test_a_copy_elsewhere_says_that_the_ledger_is_not_at_hand(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert do(home) == 0
    first = said(capsys)
    shutil.copytree(home / "runs/x", home / "copies/x")
    with chdir(home):
        assert status_of(lambda: holdout.main(["copies/x"])) == 0
        text = said(capsys)
        assert status_of(lambda: holdout.main(["copies/x", "--json"])) == 0
    shown = json.loads(capsys.readouterr().out)["gate"]
    assert (shown["known"], shown["openings"]) == (True, None)
    assert "opened, in another folder of runs: the ledger of that is not at hand" in text
    assert "so far, over all runs" not in text
    sentence = first[first.index("On the gate") :].partition(" days")[0]
    assert sentence in text
    assert not (home / "copies" / LEDGER).exists()


def test_another_run_is_told_and_its_evidence_divided(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert do(home) == 0
    tiny.search(home, WORDS | {"name": "y", "seed": 8})
    capsys.readouterr()
    assert do(home, run="y") == 0
    text = said(capsys)
    assert "These dates were opened before: once, on " in text
    assert "by run x." in text
    assert "divided by 2 since it is opening 2 of these dates" in text
    assert "Opened 2 times so far" in text


def test_a_gate_that_was_opened_by_a_confirmation_is_known(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with chdir(home):
        words = ("top=1", "seeds=1", "walk=2", "groups=0", "symbols=false", "workers=1")
        assert status_of(lambda: confirm.main(["runs/x", *words])) == 0
    capsys.readouterr()
    assert do(home) == 0
    assert "opened before: once" in said(capsys)
    assert len(openings(home / "runs")) == 1


def test_only_what_is_in_best_is_tested(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """No window is opened for a best/ that is not what the ranking is of."""
    winner = load(home / "runs/x")
    shutil.copytree(home / f"runs/x/best/members/{winner.first}", home / "alone")
    shutil.rmtree(home / "runs/x/best")
    shutil.copytree(home / "alone", home / "runs/x/best")
    assert do(home) == 2
    line = capsys.readouterr().err
    assert "best does not hold the finalists of the ranking" in line
    assert "resume=true writes it anew" in line
    assert not (home / "runs" / LEDGER).exists()
    tiny.search(home, {**WORDS, "resume": "true"})
    assert not (home / "runs/x/best/model.safetensors").exists()
    assert do(home) == 0


def test_other_data_and_runs_that_have_not_ended_are_refused(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.bars(seed=4).to_csv(home / "bars.csv", index=False)
    assert do(home) == 2
    assert "bars.csv is not what runs/x was searched on" in capsys.readouterr().err
    record = stored(home, "run.json") | {"interrupted": True}
    del record["crc32"]
    (home / "runs/x/run.json").write_text(json.dumps(record), encoding="utf-8")
    assert do(home) == 2
    assert "its search has not ended; go on with it first" in capsys.readouterr().err
    assert not (home / "runs" / LEDGER).exists()
