"""Results: nothing lost, nothing twice, whatever interrupts the search."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.run_folder import long_tables, shards
from search.run_folder.folder import RunFolder
from search.run_folder.long_tables import ScoredRows
from search.run_folder.reports import ReportStore
from trainable.cli.errors import UserError
from trainable.report import Report, Stop
from trainable.run_format import EPOCH_COLUMNS, TRIAL_COLUMNS

DAYS = np.arange("2020-01-01", "2020-01-06", dtype="datetime64[D]").astype("datetime64[ns]")
SCORED = ScoredRows(DAYS, np.repeat(DAYS, 2), np.array(["A", "B"] * 5, dtype=object))


@dataclass(frozen=True)
class Trial:
    number: int
    state: str = "RUNNING"
    reason: str | None = None
    kind: str = "search"
    parent: int | None = None
    params: dict[str, Any] = field(default_factory=lambda: {"optimizer/lr": 1e-4})
    seed: int = 7
    evidence: dict[str, Any] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    started: datetime | None = datetime(2026, 1, 2, 3, 4, 5)
    ended: datetime | None = None


@dataclass(frozen=True)
class Rule:
    name: str
    values: dict[str, float | None]
    net_returns: np.ndarray | None


def kept(results: ReportStore) -> list[Report]:
    return [report for batch in results.batches() for report in batch]


def report(number: int, epoch: int, loss: float | None = None, **more: Any) -> Report:
    """A report whose every number says whose it is."""
    values: dict[str, float | None] = {
        "val_loss": 1.0 / epoch if loss is None else loss,
        "sharpe": number + epoch / 100,
        "grad_norm": 0.5,
        "grad_norm.body": 0.25,
        "sharpe_se": 0.3,
    }
    returns = np.arange(5.0) / 100 + number + epoch / 1000
    return Report(number, epoch, 10 * epoch, values, 0.5, net_returns=returns, **more)


def last(number: int, epoch: int, reason: str = "completed") -> Report:
    predictions = np.arange(10, dtype=np.float32) + number if reason == "completed" else None
    return report(number, epoch, stop=Stop(reason, {"epoch": epoch}), predictions=predictions)


def opened(path: Path, resume: bool = False) -> tuple[RunFolder, ReportStore]:
    folder = RunFolder.create(path, "run", resume)
    return folder, ReportStore(folder, SCORED)


def read(path: Path, name: str) -> pd.DataFrame:
    return pd.read_parquet(path / "run" / f"{name}.parquet")


def keys(frame: pd.DataFrame) -> list[tuple[int, int]]:
    unique = frame[["number", "epoch"]].drop_duplicates()
    return list(zip(unique["number"], unique["epoch"], strict=True))


def assert_same(left: Report, right: Report) -> None:
    assert (left.number, left.epoch, left.steps, left.seconds) == (
        right.number,
        right.epoch,
        right.steps,
        right.seconds,
    )
    assert {name: v for name, v in left.values.items() if v is not None} == right.values
    assert left.stop == right.stop
    assert (left.net_returns is None) == (right.net_returns is None)
    if left.net_returns is not None:
        np.testing.assert_array_equal(left.net_returns, right.net_returns)


def test_predictions_of_one_shard_are_read_once(tmp_path: Path):
    folder, results = opened(tmp_path)
    results.add([last(n, 1) for n in (0, 1, 4)])
    results.add([last(n, 1) for n in (2, 3)])
    rows = [Trial(n, "COMPLETE", "completed") for n in range(5)]
    with patch("search.run_folder.shards.predictions", wraps=shards.predictions) as opening:
        results.finish(rows, [], {})
    assert opening.call_count == 3  # 0 and 1, 2 and 3, 4
    found = read(tmp_path, "predictions")
    assert found["number"].tolist() == np.repeat(range(5), 10).tolist()
    assert found["prediction"].tolist() == [n + i for n in range(5) for i in range(10)]
    folder.close()


def test_each_call_is_one_shard_and_reads_back_bit_by_bit_in_order(tmp_path: Path):
    folder, results = opened(tmp_path)
    batches = [
        [report(3, 1), report(1, 1)],
        [
            report(1, 2),
            Report(2, 1, 10, {"val_loss": None, "sharpe": None}, stop=Stop("collapsed")),
        ],
        [last(3, 2)],
    ]
    for batch in batches:
        assert results.add(batch) == batch
    assert len(list((folder.path / "shards").glob("[0-9]*"))) == 3
    folder.close()
    _, again = opened(tmp_path, resume=True)
    read_back = list(again.batches())
    assert [[(r.number, r.epoch) for r in b] for b in read_back] == [
        [(r.number, r.epoch) for r in b] for b in batches
    ]
    assert_same(read_back[0][0], batches[0][0])
    assert_same(read_back[2][0], batches[2][0])
    undefined = read_back[1][1]
    assert undefined.net_returns is None
    assert set(undefined.values.values()) == {None}
    assert undefined.stop == Stop("collapsed")
    assert again.last_epoch(3) == 2


def test_a_repeated_report_is_kept_once_and_the_first_counts(tmp_path: Path):
    folder, results = opened(tmp_path)
    assert len(results.add([report(0, 1), report(0, 1, loss=9.0)])) == 1
    assert results.add([report(0, 1, loss=8.0)]) == []
    folder.close()
    _, again = opened(tmp_path, resume=True)
    assert again.add([report(0, 1), report(0, 2)])[0].epoch == 2
    assert [r.values["val_loss"] for r in kept(again)] == [1.0, 0.5]


def test_tables_have_every_column_of_the_contract_and_the_right_rows(tmp_path: Path):
    folder, results = opened(tmp_path)
    results.add([report(0, 1, loss=0.5), report(1, 1)])
    results.add([last(0, 2), Report(2, 1, 10, {"val_loss": None, "nan_rate": 1.0})])
    rows = [
        Trial(0, "COMPLETE", "completed", facts={"n_parameters": 99, "cohort": 4}),
        Trial(1, "PRUNED", "asha_rung", evidence={"value": 0.1}),
        Trial(2, "PRUNED", "nan_explosion", params={"model/name": "mlp"}),
        Trial(3, "FAIL", "error", params={}),
        Trial(4, "PRUNED", "time_budget", kind="seed", parent=0),
    ]
    rules = [
        Rule("zero", {"sharpe": None}, None),
        Rule("momentum", {"sharpe": 0.4}, np.zeros(5)),
    ]
    results.finish(rows, rules, {"name": "run"})

    trials = read(tmp_path, "trials")
    assert list(trials)[: len(TRIAL_COLUMNS)] == list(TRIAL_COLUMNS)
    assert list(trials["number"]) == [-2, -1, 0, 1, 2, 3, 4]
    trials = trials.set_index("number")
    assert trials.loc[0, "ranking_epoch"] == 1  # 0.5 at both epochs: the earlier one
    assert trials.loc[0, "sharpe"] == 0.01
    assert trials.loc[0, "n_parameters"] == 99
    assert pd.isna(trials.loc[2, "sharpe"])
    assert trials.loc[2, "nan_rate"] == 1.0
    assert trials.loc[3, "epochs"] == 0
    assert trials.loc[4, "parent"] == 0
    assert json.loads(trials["stop_evidence"].loc[1]) == {"value": 0.1}
    assert trials.loc[-2, "params.model/name"] == "momentum"
    assert str(trials["stop_epoch"].dtype) == "Int64"
    assert str(trials["sharpe"].dtype) == "Float64"
    assert trials["started"].loc[0] == pd.Timestamp("2026-01-02 03:04:05", tz="UTC")

    epochs = read(tmp_path, "epochs")
    named = [c for c in epochs if not c.startswith("grad_norm.")][: len(EPOCH_COLUMNS)]
    assert named == list(EPOCH_COLUMNS)
    assert epochs["train_ic"].dtype == np.float64
    assert keys(epochs) == [(0, 1), (0, 2), (1, 1), (2, 1)]

    returns = read(tmp_path, "returns")
    assert list(returns) == ["number", "epoch", "timestamp", "net_return"]
    assert keys(returns) == [(-2, 0), (0, 1), (0, 2), (1, 1)]  # finalists at every report
    mine = returns[(returns["number"] == 0) & (returns["epoch"] == 2)]
    np.testing.assert_array_equal(mine["net_return"], report(0, 2).net_returns)
    np.testing.assert_array_equal(mine["timestamp"], DAYS)

    predictions = read(tmp_path, "predictions")
    assert list(predictions) == ["number", "timestamp", "symbol", "prediction"]
    assert set(predictions["number"]) == {0}
    assert list(predictions["symbol"])[:2] == ["A", "B"]
    assert predictions["prediction"].dtype == np.float32

    run = json.loads((folder.path / "run.json").read_text())
    assert run["counts"]["by_state"] == {"PRUNED": 3, "COMPLETE": 1, "FAIL": 1}
    assert run["counts"]["by_reason"]["nan_explosion"] == 1
    assert run["seconds_by_reason"]["completed"] == 1.0
    assert not (folder.path / "shards").exists()


def test_a_run_without_any_report_has_all_tables(tmp_path: Path):
    _, results = opened(tmp_path)
    results.finish([Trial(0, "FAIL", "error")], [], {})
    assert list(read(tmp_path, "returns")) == ["number", "epoch", "timestamp", "net_return"]
    assert len(read(tmp_path, "epochs")) == len(read(tmp_path, "predictions")) == 0
    assert len(read(tmp_path, "trials")) == 1
    assert kept(results) == []


def uninterrupted(path: Path, batches: list[list[Report]], rows: list[Trial]) -> None:
    folder, results = opened(path)
    for batch in batches:
        results.add(batch)
    results.finish(rows, [], {})
    folder.close()


def done(number: int) -> Trial:
    return Trial(number, "COMPLETE", "completed") if number else Trial(0, "PRUNED", "asha_rung")


@settings(max_examples=12, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 11), max_size=4),
    finished=st.lists(st.booleans(), min_size=4, max_size=4),
    repeats=st.integers(0, 3),
)
def test_interrupting_finishing_and_resuming_anywhere_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int], finished: list[bool], repeats: int
):
    batches = [[report(n, e) for n in range(3)] for e in range(1, 12)] + [
        [last(1, 12), last(2, 12)]
    ]
    rows = [done(n) for n in range(3)]
    whole, parts = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("parts")
    with patch("os.fsync"):  # what a power cut would lose is not looked at here
        uninterrupted(whole, batches, rows)
        in_pieces(parts, batches, rows, list(zip(sorted(cuts), finished, strict=False)), repeats)
    for name in ("trials", "epochs", "returns", "predictions"):
        pd.testing.assert_frame_equal(
            read(whole, name).drop(columns="batch", errors="ignore"),
            read(parts, name).drop(columns="batch", errors="ignore"),
        )


def in_pieces(
    parts: Path,
    batches: list[list[Report]],
    rows: list[Trial],
    cuts: list[tuple[int, bool]],
    repeats: int,
) -> None:
    start, resume = 0, False
    for cut, finish in cuts:
        folder, results = opened(parts, resume)
        for batch in batches[max(0, start - repeats) : cut]:
            results.add(batch)
        if finish:
            results.finish([done(0), Trial(1), Trial(2)], [], {})
        folder.close()
        start = cut
        resume = bool(list(folder.path.iterdir()))
    folder, results = opened(parts, resume)
    for batch in batches[max(0, start - repeats) :]:
        results.add(batch)
    results.finish(rows, [], {})
    folder.close()


def test_more_epochs_after_a_finished_search_join_what_the_tables_hold(tmp_path: Path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    early, late = [[report(0, 1), last(1, 1)]], [[last(1, 2)], [last(2, 1)]]
    rows = [done(n) for n in range(3)]
    uninterrupted(whole, early + late, rows)
    uninterrupted(parts, early, rows[:2])
    assert not (parts / "run" / "shards").exists()
    folder, results = opened(parts, resume=True)
    assert [(r.number, r.epoch) for r in kept(results)] == [(0, 1), (1, 1)]
    assert_same(kept(results)[1], last(1, 1))
    for batch in late:
        results.add(batch)
    assert [(r.number, r.epoch) for r in kept(results)][2:] == [(1, 2), (2, 1)]
    results.finish(rows, [], {})
    folder.close()
    for name in ("trials", "epochs", "returns", "predictions"):
        pd.testing.assert_frame_equal(read(whole, name), read(parts, name))


def test_results_go_on_after_finish_in_the_same_process(tmp_path: Path):
    _, results = opened(tmp_path)
    results.add([last(1, 1)])
    results.finish([done(1)], [], {})
    results.add([last(2, 1)])
    results.finish([done(1), done(2)], [], {})
    assert keys(read(tmp_path, "returns")) == [(1, 1), (2, 1)]
    assert set(read(tmp_path, "predictions")["number"]) == {1, 2}


def test_an_unfinished_trial_is_interrupted_and_keeps_its_returns(tmp_path: Path):
    folder, results = opened(tmp_path)
    results.add([report(0, 1), report(0, 2)])
    frame = results.finish([Trial(0)], [], {})
    assert list(frame["state"]) == ["RUNNING"]
    assert list(frame["stop_reason"]) == ["interrupted"]
    assert pd.isna(frame["stop_epoch"].iloc[0])
    folder.close()
    _, again = opened(tmp_path, resume=True)
    assert [r.net_returns is not None for r in kept(again)] == [True, True]


def test_merging_in_small_portions_gives_the_same_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    batches = [[report(n, e) for n in range(1, 4)] for e in range(1, 4)]
    rows = [done(n) for n in range(1, 4)]
    uninterrupted(tmp_path / "whole", batches, rows)
    monkeypatch.setattr(long_tables, "CHUNK", 7)
    uninterrupted(tmp_path / "parts", batches, rows)
    pd.testing.assert_frame_equal(
        read(tmp_path / "whole", "returns"), read(tmp_path / "parts", "returns")
    )


KILLED = """
import sys
sys.path.insert(0, {root!r})
from tests.search.run_folder.test_reports import opened, report
from pathlib import Path
folder, results = opened(Path({path!r}))
for epoch in range(1, 10_000):
    results.add([report(n, epoch) for n in range(4)])
    print(epoch, flush=True)
"""


def test_what_was_reported_survives_sigkill(tmp_path: Path):
    root = str(Path(__file__).parents[3])
    code = KILLED.format(root=root, path=str(tmp_path))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = [int(process.stdout.readline()) for _ in range(5)]
    process.send_signal(signal.SIGKILL)
    said += [int(line) for line in process.stdout.read().split()]
    process.stdout.close()
    process.wait()
    _, results = opened(tmp_path, resume=True)  # also: a dead driver's lock holds nobody up
    epochs = [r.epoch for r in kept(results)]
    assert epochs == sorted(epochs)
    assert set(said) <= set(epochs)
    assert len(epochs) == 4 * len(set(epochs))


def test_a_temporary_file_of_a_kill_is_removed(tmp_path: Path):
    folder, results = opened(tmp_path)
    results.add([report(0, 1)])
    torn = folder.path / "shards" / ".00000002.parquet.99.tmp"
    torn.write_bytes(b"PAR1 half")
    folder.close()
    _, again = opened(tmp_path, resume=True)
    assert len(kept(again)) == 1
    assert not torn.exists()


@pytest.mark.parametrize("damage", ["cut", "flip"])
def test_a_damaged_shard_is_named(tmp_path: Path, damage: str):
    folder, results = opened(tmp_path)
    results.add([report(0, 1)])
    results.add([report(0, 2)])
    path = folder.path / "shards" / "00000001.parquet"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        del content[len(content) // 2 :]
    else:
        content[60] ^= 0xFF
    path.write_bytes(content)
    folder.close()
    with pytest.raises(UserError, match=r"00000001\.parquet is damaged"):
        opened(tmp_path, resume=True)


def test_defects_are_not_written(tmp_path: Path):
    _, results = opened(tmp_path)
    with pytest.raises(ValueError, match="sharpe not finite"):
        results.add([Report(0, 1, 1, {"sharpe": float("nan")})])
    with pytest.raises(ValueError, match=r"net_returns has the shape \(4,\), expected \(5,\)"):
        results.add([Report(0, 1, 1, {}, net_returns=np.zeros(4))])
    with pytest.raises(ValueError, match="fixed columns"):
        results.add([Report(0, 1, 1, {"seconds": 1.0})])
    assert kept(results) == []
    results.add([report(5, 1)])
    with pytest.raises(ValueError, match=r"not in the study: \[5\]"):
        results.finish([done(1)], [], {})
    with pytest.raises(ValueError, match="more than one row"):
        results.finish([done(5), done(5)], [], {})


def test_a_full_disk_loses_nothing_that_was_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    folder, results = opened(tmp_path)
    results.add([report(0, 1)])
    real = os.fsync

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"00000002\.parquet: No space left on device"):
        results.add([report(0, 2)])
    with pytest.raises(UserError, match=r"returns\.parquet: No space left"):
        results.finish([Trial(0)], [], {})
    assert not list(folder.path.rglob("*.tmp"))
    monkeypatch.setattr(os, "fsync", real)
    results.add([report(0, 2)])
    assert [r.epoch for r in kept(results)] == [1, 2]
