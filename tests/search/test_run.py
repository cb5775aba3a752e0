"""The search as a person meets it: whole run folders, and what Python gets back."""

import json
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from tensorboardX.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

from analysis.load import Run
from search import launch
from search.backend.local import Local
from search.planning.plan import make_plan
from search.session.runner import run_search
from search.settings.reading import settings_from
from tests.fixtures.here import search_here
from tests.fixtures.searches import (
    MARKET,
    check_whole,
    contents,
    table,
    write_space,
)
from trainable import predict
from trainable.cli.errors import UserError

EXPLODES = '''"""Explodes, whatever is chosen."""

EPOCHS = 4


def space(trial):
    trial.suggest_float("optimizer/lr", 5.0, 10.0, log=True)
    trial.suggest_categorical("model/hidden_dims", ["8", "16-8"])
    return {
        "model/name": "mlp", "model/norm": False, "loss/name": "mse", "train/batch_size": 32,
        "optimizer/name": "sgd", "optimizer/momentum": 0.99, "optimizer/clip": 1e6,
    }
'''


def tags(folder: Path) -> set[str]:
    """Reads the names of everything in the event files of a trial."""
    found: set[str] = set()
    for file in folder.glob("events.*"):
        content, at = file.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            event = Event.FromString(content[at + 12 : at + 12 + length])
            found |= {value.tag for value in event.summary.value}
            at += length + 16
    return found


def test_whole_search_and_more_trials_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_space(tmp_path)
    by_hand = [{"optimizer/lr": 0.002, "model/hidden_dims": "8"}, {"optimizer/lr": 0.004}]
    (tmp_path / "first.json").write_text(json.dumps(by_hand), encoding="utf-8")
    words = [*MARKET, "space=tiny.py", "trials=7", "name=1.10", "enqueue=first.json", "rungs=1,2",
             "try_default=false"]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    assert search_here(*words, "fix.model/dropout=0.125", "cohort=3", "finalist_seeds=2") == 0
    assert contents(tmp_path) == ["first.json", "runs", "tiny.py"]
    assert "next  python -m analysis.rank runs/1.10" in capsys.readouterr().out
    folder = tmp_path / "runs" / "1.10"
    rows = check_whole(folder, searched=7)
    assert rows["kind"].tolist() == ["enqueued"] * 2 + ["search"] * 5
    assert rows["params.optimizer/lr"].tolist()[:2] == [0.002, 0.004]
    assert rows["params.model/hidden_dims"].iloc[0] == "8"
    assert set(rows["params.model/dropout"]) == {0.125}
    trials = table(folder, "trials")
    finished = rows.loc[rows["state"] == "COMPLETE", "number"].tolist()
    assert finished
    seeds = trials[trials["kind"] == "seed"]
    assert len(seeds)
    assert set(seeds["parent"]) <= set(finished), "those that may win race"
    assert set(trials["params.train/seed"].dropna()) == set(trials["seed"].dropna())
    assert (trials["kind"] == "baseline").sum() == 5
    assert json.loads((folder / "run.json").read_text())["rungs"] == [1, 2, 4]
    for number in trials.loc[trials["kind"] != "baseline", "number"]:
        assert {"sharpe", "val_loss", "_hparams_/session_start_info"} <= tags(
            folder / "trials" / str(number)
        )

    assert search_here("name=1.10", "resume=true", "trials=10") == 0
    assert "10 configurations tried" in capsys.readouterr().out
    again = check_whole(folder, searched=10)
    assert again["kind"].tolist().count("enqueued") == 2
    assert set(again["params.model/dropout"]) == {0.125}
    same = ["number", "state", "stop_reason", "epochs", "sharpe", "seed"]
    pd.testing.assert_frame_equal(again[same][:7], rows[same], check_names=False)
    described = json.loads((folder / "run.json").read_text())
    assert len(described["resumed"]) == 1
    assert (described["interrupted"], described["alone"]) == (False, [])
    assert contents(folder) == [
        "SHA256SUMS", "best", "epochs.parquet", "labels.parquet", "predictions.parquet",
        "report.html", "returns.parquet", "run.json", "study.log", "trials", "trials.parquet",
    ]  # fmt: skip
    check_best(folder, [*MARKET, "space=tiny.py"])


def check_best(folder: Path, words: list[str]) -> None:
    """The winner's two files predict what the search wrote down."""
    number = json.loads((folder / "run.json").read_text())["best"]
    predictor = predict.load(folder / "best")
    assert predictor.facts["number"] == number
    dataset = make_plan(settings_from([f"space={folder.parents[1] / 'tiny.py'}", *words[:-1]]))
    data = dataset.dataset
    written = table(folder, "predictions")
    written = written[written["number"] == number]
    found = predictor.predict(data, data.valid_rows)
    assert len(found) == len(written)
    np.testing.assert_allclose(found, written["prediction"], atol=1e-5)


def test_space_that_always_explodes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path, EXPLODES, "explodes.py")
    words = (*MARKET, "space=explodes.py", "trials=6", "name=boom")
    assert search_here(*words) == 0
    assert "No trial survived" in capsys.readouterr().out
    folder = tmp_path / "runs" / "boom"
    rows = check_whole(folder, searched=6)
    assert set(rows["stop_reason"]) <= {"nan_explosion", "collapsed"}
    assert set(rows["state"]) == {"PRUNED"}
    assert set(rows["epochs"]) == {1}
    for text in rows["stop_evidence"]:
        assert {"step", "value", "lr"} <= json.loads(text).keys()
    assert not (folder / "best").exists()


def test_features_from_a_file_judged_by_loss_within_a_time_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2015-01-01", periods=600)
    frame = pd.DataFrame(
        {
            "timestamp": np.repeat(days, 5),
            "symbol": list("ABCDE") * 600,
            "feat_a": rng.normal(size=3000),
            "feat_b": rng.normal(size=3000),
        }
    )
    frame["target"] = 0.01 * (0.1 * frame["feat_a"] + rng.normal(size=3000))
    frame.to_csv(tmp_path / "ready (1), a=b?.csv", index=False)
    write_space(tmp_path)
    status = search_here(
        "space=tiny.py", "data.path=ready (1), a=b?.csv", "data.features=feat_*",
        "data.target=target", "objective=val_loss", "trials=100000", "time_budget_s=3",
        "finalist_seeds=1", "name=ready",
    )  # fmt: skip
    assert status == 0
    trials = table(tmp_path / "runs" / "ready", "trials")
    rows = check_whole(tmp_path / "runs" / "ready", (trials["kind"] == "search").sum())
    assert 16 < len(rows) < 100000
    assert "time_budget" in set(rows["stop_reason"])
    assert "time_budget" in capsys.readouterr().out


def small_space(trial):
    trial.suggest_float("optimizer/lr", 1e-4, 1e-2, log=True)
    return {"model/name": "mlp", "model/hidden_dims": "8", "train/batch_size": 64}


def prices(bars: int = 300) -> pd.DataFrame:
    """Five symbols with volume, as a person may have them."""
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, (bars, 5)), axis=0))
    days = pd.bdate_range("2015-01-01", periods=bars)
    return pd.DataFrame(
        {
            "Date": np.repeat(days, 5),
            "Ticker": list("VWXYZ") * bars,
            "close": close.ravel(),
            "volume": rng.integers(1000, 9000, bars * 5),
        }
    ).rename(columns={"Date": "timestamp", "Ticker": "symbol"})


def test_launch_from_python(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    found = launch(
        space=small_space, data=prices(), trials=4, epochs=2, name="mine", finalist_seeds=1,
        runs_dir=tmp_path / "runs", backend=lambda settings: Local(),
    )  # fmt: skip
    assert isinstance(found, Run)
    assert len(found.searched) == 4
    assert found.run["arguments"] is None
    check_whole(found.folder, searched=4)
    out, err = capfd.readouterr()
    assert "4 configurations tried" in out
    assert err == ""
    with pytest.raises(UserError, match=r"'mine' exists; add resume=True"):
        launch(space=small_space, data=prices(), name="mine", runs_dir=str(tmp_path / "runs"))
    again = {"name": "mine", "resume": True, "runs_dir": str(tmp_path / "runs")}
    with pytest.raises(UserError, match=r"cannot go on with other content of data=;"):
        launch(space=small_space, data=prices(310), epochs=2, **again)

    def other_space(trial):
        trial.suggest_float("optimizer/lr", 1e-3, 1e-2, log=True)
        return {"model/name": "mlp", "model/hidden_dims": "8", "train/batch_size": 64}

    with pytest.raises(UserError, match="objective='rank_ic' instead of sharpe, space='other_"):
        launch(space=other_space, data=prices(), epochs=2, objective="rank_ic", **again)


def test_dry_run_trains_and_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    plan = make_plan(settings_from([*MARKET, "space=tiny.py", "trials=16", "dry_run=true"]))
    console = Console(record=True, width=120)
    assert run_search(plan, [], Local(), console) is None
    said = console.export_text()
    for part in (
        "16 trials of at most 4 epochs",
        "rungs        after epoch 1: by the validation loss",
        "training     1990-01-02 to 1990-12-03, 1,074 rows",
        "sealed test  1991-04-23",
        "16 of 64 rows",
        "16 useless trials on 59 days would reach",
        "Expected:",
    ):
        assert part in said
    assert contents(tmp_path) == ["tiny.py"]
