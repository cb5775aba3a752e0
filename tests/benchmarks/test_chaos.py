"""What the benchmark of kills would notice: its checks on runs with a part missing or another."""

import os
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

from benchmarks.chaos.__main__ import line
from benchmarks.chaos.checks import (
    NOTHING,
    Seen,
    apart,
    behind,
    judged,
    look,
    lost,
    unfinished,
)
from benchmarks.chaos.searches import SETTINGS, ChaosSearch
from search.planning.plan import make_plan
from search.run_folder import shards
from search.session.observer import SearchObserver
from search.settings.reading import settings_from
from search.study.trials import TrialRecord
from tests.fixtures.here import interrupt_after, search_here

WORDS = [word for word in SETTINGS if not word.startswith("steps_per_epoch")]
WORDS += ["steps_per_epoch=16", "trials=8", "seed=3"]


def row(number: int, state: str = "RUNNING", epochs: int = 0) -> TrialRecord:
    return TrialRecord(
        number, "search", None, {"optimizer/lr": 0.1}, 7, state,
        None if state == "RUNNING" else "completed", {}, 1.0, {}, {"epochs": epochs},
        datetime(2026, 1, 2, tzinfo=UTC), None,
    )  # fmt: skip


def seen(*rows: TrialRecord, epochs: dict[int, int] | None = None) -> Seen:
    """Trials, of which some have reported so many epochs."""
    kept = {(n, e): (e * 400.0,) for n, last in (epochs or {}).items() for e in range(1, last + 1)}
    return Seen(rows, kept, (), {})


def test_what_is_gone_or_another_is_lost() -> None:
    before = seen(row(0, "COMPLETE", 2), row(1), epochs={0: 2, 1: 1})
    more = seen(row(0, "COMPLETE", 2), row(1, "PRUNED", 2), row(2), epochs={0: 2, 1: 2})
    assert lost(NOTHING, before) == lost(before, before) == lost(before, more) == []
    broken = [
        (seen(row(0, "COMPLETE", 2), epochs={0: 2, 1: 1}), "trial 1 is missing"),
        (seen(row(0), row(1), epochs={0: 2, 1: 1}), "trial 0 had ended as COMPLETE and is RUNNING"),
        (seen(*before.rows, epochs={0: 2}), "trial 1, epoch 1 is missing"),
        (replace(before, epochs={**before.epochs, (1, 1): (3.0,)}), "trial 1, epoch 1 is another"),
        (replace(before, repeated=[(0, 1)]), "trial 0, epoch 1 is kept twice"),
        (replace(before, rows=[before.rows[0], replace(row(1), seed=8)]), "trial 1 trains some"),
        (replace(before, rows=[*before.rows, row(1)]), "numbers of trials are missing or there"),
    ]
    for after, what in broken:
        assert any(said.startswith(what) for said in lost(before, after)), what


def test_steps_to_train_again_are_those_since_the_newest_checkpoint_that_may_be_used() -> None:
    now = seen(row(0), row(1), row(2, "PRUNED", 1), epochs={0: 3, 1: 1, 2: 1})
    now = replace(now, saved={0: [(1, 200), (2, 104)], 1: [(1, 304), (2, 0)], 2: [(0, 8)]})
    assert behind(now, 400) == {0: 1200 - 904, 1: 0}
    assert behind(replace(now, saved={}), 400) == {0: 1200, 1: 400}
    assert apart(now, 400) == 304
    assert apart(replace(now, saved={4: [(1, 0)]}), 400) == 400


def test_what_has_ended_must_be_whole() -> None:
    whole = seen(row(0, "COMPLETE", 2), replace(row(1, "COMPLETE", 1), kind="seed", parent=0),
                 epochs={0: 2, 1: 1})  # fmt: skip
    assert unfinished(whole, trials=1, seeds=2) == []
    for now, what in (
        (seen(row(0), epochs={}), "trial 0 is RUNNING"),
        (replace(whole, rows=[*whole.rows, row(2, "PRUNED")]), "2 of 1 trials"),
        (replace(whole, rows=whole.rows[:1]), "finalists have not the seeds"),
        (replace(whole, epochs={(0, 2): (1.0,), (1, 1): (1.0,)}), "trial 0 has the epochs [2]"),
        (replace(whole, epochs={(0, 1): (1.0,), (1, 1): (1.0,)}), "trial 0: 2 epochs, 1 kept"),
        (replace(whole, rows=[replace(whole.rows[0], state="FAIL", reason="error")]),
         "trial 0 failed: error"),
    ):  # fmt: skip
        assert any(said.startswith(what) for said in unfinished(now, 1, 2)), what


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosSearch]:
    """A real search in the middle."""
    before, path = Path.cwd(), tmp_path_factory.mktemp("chaos") / "0"
    search = ChaosSearch(path, trials=8, seed=3)
    os.chdir(path)
    with patch.object(SearchObserver, "tick", interrupt_after(3)):
        assert search_here(*WORDS) == 130
    yield search
    os.chdir(before)


def test_a_real_run_is_seen_and_judged_as_the_search_did(interrupted: ChaosSearch) -> None:
    now = look(interrupted.run)
    assert len(now.rows) >= 8
    assert now.epochs
    assert now.repeated == []
    assert any(row.state != "RUNNING" for row in now.rows)
    assert lost(NOTHING, now) == lost(now, look(interrupted.run)) == []
    plan = make_plan(settings_from([*interrupted.extra, *WORDS]))
    tables = [shards.read(file) for file in sorted(interrupted.run.glob("shards/*.parquet"))]
    batches = [shards.to_reports(table) for table in tables]
    assert judged(plan, now.rows, batches) == []
    (first, *_) = [row for row in now.rows if row.reason == "asha_rung"]
    other = replace(first, evidence={**first.evidence, "cutoff": -9.0})
    (said,) = judged(plan, [other if r.number == first.number else r for r in now.rows], batches)
    assert said.startswith(f"trial {first.number} is PRUNED for asha_rung")


def test_what_breaks_is_said(interrupted: ChaosSearch, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.chaos.searches.STEPS", 16)
    interrupted.check_now()
    assert interrupted.broken == []
    for file in (*interrupted.run.glob("*.parquet"), *interrupted.run.glob("shards/*.parquet")):
        file.unlink()
    interrupted.check_now()
    assert "in session 0: trial 0, epoch 1 is missing" in interrupted.broken
    figures = {
        "faults": 3, "searches": 1, "sessions": 4, "seconds": 9.0, "trials": 8, "steps_again": 0,
        "ends": {"asha_rung": 8}, "steps_between_checkpoints": 304, "broken": interrupted.broken,
    }  # fmt: skip
    said = line("drivers", figures)
    assert said.startswith("drivers: 3 in 1 searches and 4 sessions, 9 s; 8 trials (asha_rung 8)")
    assert said.endswith(f"{len(interrupted.broken)} broken")
