"""The benchmarks of control and data, tiny: what they measure is the real thing."""

import json
import mmap
import threading
import time
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import data, memory
from benchmarks.control import __main__ as control
from benchmarks.control import noop
from benchmarks.control.stopwatch import Stopwatch
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market
from trainable.worker.assignment import Assignment, Instructions


def burn(seconds: float) -> None:
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        pass


def test_a_label_has_its_own_time_without_what_is_timed_inside() -> None:
    watch = Stopwatch()
    with watch("outer"):
        burn(0.02)
        with watch("inner"):
            burn(0.05)
            time.sleep(0.05)
    outer, inner = watch.spent["outer"], watch.spent["inner"]
    assert 0.02 <= outer.cpu_s < 0.04
    assert 0.05 <= inner.cpu_s < 0.07
    assert inner.wall_s >= 0.1
    assert (outer.calls, inner.calls) == (1, 1)


def test_a_label_of_another_thread_is_not_inside() -> None:
    watch = Stopwatch()

    def other() -> None:
        with watch("other"):
            burn(0.03)

    with watch("outer"):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert watch.spent["outer"].wall_s >= 0.03
    assert watch.spent["other"].cpu_s >= 0.03
    assert watch.spent["outer"].cpu_s < 0.03


def test_functions_are_timed_only_inside_the_block() -> None:
    class Owner:
        def work(self, n: int) -> int:
            if n == 0:
                raise ValueError(n)
            return n + 1

    watch, plain = Stopwatch(), Owner.work
    with watch.on((Owner, "work", "work")):
        assert Owner().work(1) == 2
        with pytest.raises(ValueError, match="0"):
            Owner().work(0)
    assert watch.spent["work"].calls == 2
    assert Owner.work is plain


def test_noop_members_report_to_the_rung_and_explode_at_high_rates() -> None:
    params = {"model/dropout": 0.1, "train/seed": 3}
    members = [
        Assignment(n, {**params, "optimizer/lr": rate}, known)
        for n, rate, known in [(0, 1e-3, 0), (1, 0.2, 0), (2, 1e-3, 1)]
    ]
    worker = noop.NoopWorker((1, 4, 10), periods=5, rows=7)
    worker.follow(Instructions(join=tuple(members)))
    first = worker.step()
    assert [(r.number, r.epoch) for r in first] == [(0, 1), (1, 1), (2, 2), (2, 3), (2, 4)]
    assert [r.number for r in first if r.stop is not None] == [1]
    assert first[1].stop is not None
    assert first[1].stop.reason == "nan_explosion"
    worker.follow(Instructions(leave=(0,)))
    last = worker.step()
    assert [(r.number, r.epoch) for r in last] == [(2, epoch) for epoch in range(5, 11)]
    assert last[-1].predictions is not None
    assert last[-1].predictions.shape == (7,)
    assert not worker.live


def test_control_measures_a_whole_search(tmp_path: Path) -> None:
    found = control.measure(12, "here", epochs=4)
    assert found["rows"]["trials"] >= 12
    assert found["peak_mib"] > found["peak_above_start_mib"] >= 0
    parts = found["parts_ms_per_trial"]
    assert set(parts) == {label for _, _, label in control.TIMED}
    assert parts["ask"]["calls"] == 12
    assert parts["tables"]["calls"] == 1
    own = sum(part["cpu"] for label, part in parts.items() if label != "training")
    assert found["control_ms_per_trial"] == pytest.approx(own, abs=0.01)
    assert found["control_ms_per_trial"] <= found["cpu_ms_per_trial"]
    json.dumps(found, allow_nan=False)


def test_generated_bars_are_sound_across_pieces_and_load(tmp_path: Path) -> None:
    path = tmp_path / "market.parquet"
    data.generate(path, symbols=6, days=600)
    frame = pd.read_parquet(path)
    assert len(frame) == 3600
    assert (frame["high"].to_numpy() >= frame[["open", "close"]].to_numpy().max(axis=1)).all()
    assert (frame["low"].to_numpy() <= frame[["open", "close"]].to_numpy().min(axis=1)).all()
    market = load_market(DataSettings(path=str(path)))
    assert (len(market.timestamps), len(market.symbols)) == (600, 6)
    assert market.present.all()
    closes = frame.pivot(index="timestamp", columns="symbol", values="close")
    assert (market.fields["close"] == closes.to_numpy()).all()
    moves = closes.pct_change().iloc[1:]
    assert moves.abs().max().max() < 0.3  # none at the borders of pieces either


def test_data_stages_cover_the_way_to_a_ready_view(tmp_path: Path) -> None:
    path = tmp_path / "market.parquet"
    data.generate(path, symbols=6, days=600)
    found = data.measure(path, window=5)
    assert [stage["name"] for stage in found["stages"]] == [
        "read", "check", "dataset", "view", "windows",
    ]  # fmt: skip
    assert found["rows"] == 3600
    assert found["features"] >= 25
    assert found["tensor_mib"] == pytest.approx(3600 * found["features"] * 4 / 2**20, abs=0.1)
    ready, whole = found["dataset_ready"]["seconds"], found["with_view"]["seconds"]
    seconds = [stage["seconds"] for stage in found["stages"]]
    assert ready == pytest.approx(sum(seconds[:3]))
    assert whole == pytest.approx(sum(seconds[:4]))
    assert str(tmp_path) not in json.dumps(found, allow_nan=False)


def test_the_peak_of_memory_begins_anew() -> None:
    with mmap.mmap(-1, 64 << 20) as block:  # what malloc freed might stay resident
        block.write(bytes(64 << 20))  # written to, so that it is resident
        high = memory.peak()
    memory.reset_peak()
    assert memory.peak() < high - (32 << 20)
    assert memory.resident() <= memory.peak()
