"""Whole searches with `regret=`: what is finished on the side, said in the end, and no more."""

import json
import re
import shutil
from contextlib import chdir
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.load import load_run
from analysis.ranking import luck, rank
from analysis.regret import regret_of, regret_sentences
from search.scheduling.regret_trials import lot
from search.session.observer import SearchObserver
from search.status import read_status, snapshot
from tests.fixtures import tiny
from tests.fixtures.here import interrupt_after, search_here
from tests.fixtures.searches import check_whole

FLAT = tiny.SPACE.replace(
    'suggest_float("optimizer/lr", 1e-3, 1e-2, log=True)',
    'suggest_categorical("optimizer/lr", [3e-7, 1e-6, 3e-3])',
)
WORDS = tiny.WORDS | {"trials": 16, "epochs": 5, "rungs": "1,3", "finalist_seeds": 2}
WORDS |= {"deterministic": "true", "regret": 0.6, "reduction_factor": 2}
TIMES = ["seconds", "started", "ended"]
METRICS = ["train_loss", "val_loss", "sharpe", "ic", "rank_ic", "lr", "grad_norm"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("regret")
    tiny.write_inputs(path)
    (path / "flat.py").write_text(FLAT, encoding="utf-8")
    tiny.bars(500).to_csv(path / "long.csv", index=False)
    return path


@pytest.fixture(scope="module")
def found(folder: Path) -> tuple[Path, str]:
    return tiny.search_and_listen(folder, WORDS | {"name": "with"})


@pytest.fixture(scope="module")
def run(found: tuple[Path, str]) -> Path:
    return found[0]


@pytest.fixture(scope="module")
def without(folder: Path) -> tuple[Path, str]:
    """Among other runs: on the same data, the luck line would count the trials of both."""
    words = WORDS | {"name": "without", "regret": 0, "runs_dir": "others"}
    return tiny.search_and_listen(folder, words)


@pytest.fixture(scope="module")
def plain(without: tuple[Path, str]) -> Path:
    return without[0]


def of_kind(run: Path, *kinds: str) -> Any:
    trials = tiny.table(run, "trials")
    return trials[trials["kind"].isin(kinds)].set_index("number", drop=False)


def stopped(run: Path) -> Any:
    trials = of_kind(run, "search")
    return trials[trials["stop_reason"].isin(["asha_rung", "flat_sharpe"])]


def chosen(run: Path, share: float, seed: int = 0) -> list[int]:
    return [n for n in stopped(run)["number"] if lot(seed, n) < share]


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def test_those_that_are_chosen_are_trained_again_to_their_end(run: Path) -> None:
    check_whole(run, 16)
    again, parents = of_kind(run, "regret"), of_kind(run, "search")
    assert sorted(again["parent"]) == chosen(run, 0.6)
    assert len(again) > 2
    assert set(again["state"]) == {"COMPLETE"}
    assert set(again["epochs"]) == {5}
    params = [column for column in again if column.startswith("params.")]
    for _, one in again.iterrows():
        parent = parents.loc[one["parent"]]
        pd.testing.assert_series_equal(one[params], parent[params], check_names=False)
        assert one["seed"] == parent["seed"]
    assert json.loads((run / "run.json").read_text(encoding="utf-8"))["counts"]["by_kind"][
        "regret"
    ] == len(again)


def test_one_begins_as_its_parent_did(run: Path) -> None:
    epochs = tiny.table(run, "epochs").set_index(["number", "epoch"])
    for number, one in of_kind(run, "regret").iterrows():
        first = epochs.loc[one["parent"]]
        assert len(first) < 5
        np.testing.assert_allclose(
            epochs.loc[number][METRICS].head(len(first)), first[METRICS], rtol=1e-4, atol=1e-6
        )


def test_nothing_else_changes(run: Path, plain: Path) -> None:
    assert of_kind(plain, "regret").empty
    searched, without = (of_kind(one, "search").drop(columns=TIMES) for one in (run, plain))
    pd.testing.assert_frame_equal(searched, without)
    pd.testing.assert_frame_equal(rank(load_run(run)), rank(load_run(plain)))
    assert luck(load_run(run)) == luck(load_run(plain))
    first = f"best/members/{load_run(run).run['best']}"
    for one in ("model.safetensors", "config.json"):
        assert (run / first / one).read_bytes() == (plain / first / one).read_bytes()
    keys = ["parent", "seed", "state", "stop_reason", "sharpe"]
    seeds, others = (
        of_kind(one, "seed").sort_values("seed")[keys].reset_index(drop=True)
        for one in (run, plain)
    )
    pd.testing.assert_frame_equal(seeds, others)


def test_the_end_says_how_often_one_would_have_entered(found: tuple[Path, str]) -> None:
    run, said = found
    (sentence,) = regret_sentences(load_run(run))
    assert sentence in flat(said)
    assert f"{len(of_kind(run, 'regret'))} of {len(stopped(run))} stopped trials" in sentence
    known = regret_of(load_run(run))
    assert known is not None
    finalists = rank(load_run(run)).query("state == 'COMPLETE'")["sharpe_shrunk"]
    assert known.places == min(5, len(finalists))
    shown = flat(said).partition("Luck line")[0]
    assert "finished on the side: about " in shown
    trained = of_kind(run, "search", "seed")["epochs"].sum()
    (saved,) = re.findall(r"\((\d+) of \d+ epochs trained", flat(said))
    assert int(saved) == trained
    assert "the seeds of finalists included, what was finished on the side not)" in flat(said)


def test_without_it_nothing_is_said(without: tuple[Path, str]) -> None:
    run, said = without
    assert regret_sentences(load_run(run)) == []
    assert "on the side" not in said
    assert "regret" not in said


def test_a_flat_trial_is_finished_too(folder: Path) -> None:
    words = WORDS | {
        "name": "flat", "space": "flat.py", "data.path": "long.csv", "epochs": 14, "rungs": "2",
        "pruning": "none", "regret": 1, "fix.train/patience": 0, "finalist_seeds": 1,
    }  # fmt: skip
    run, said = tiny.search_and_listen(folder, words)
    again = of_kind(run, "regret")
    assert set(stopped(run)["stop_reason"]) == {"flat_sharpe"}
    assert sorted(again["parent"]) == sorted(stopped(run)["number"])
    assert set(again["stop_reason"]) == {"completed"}
    assert set(again["epochs"]) == {14}
    count = len(again)
    assert f"Finished on the side: {count} of {count} stopped trials (flat: {count}); " in said


@pytest.mark.parametrize("shards", [4, 9, 11])
def test_a_search_that_was_interrupted_finishes_the_same(
    shards: int, folder: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = WORDS | {"name": f"cut{shards}"}
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", interrupt_after(shards))
        tiny.search(folder, words, status=130)
    again = tiny.search(folder, words | {"resume": "true"})
    drop = [*TIMES, "cohort"]
    found, wanted = (tiny.table(one, "trials").drop(columns=drop) for one in (again, run))
    pd.testing.assert_frame_equal(found, wanted)


def test_the_share_may_change_when_a_run_goes_on(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run.parents[1], tmp_path / "home")
    few = set(of_kind(run, "regret")["parent"])
    grown = tiny.search(tmp_path / "home", {"name": "with", "resume": "true", "regret": 1})
    assert sorted(of_kind(grown, "regret")["parent"]) == sorted(stopped(run)["number"])
    assert few < set(of_kind(grown, "regret")["parent"])
    settings = json.loads((grown / "run.json").read_text(encoding="utf-8"))["settings"]
    assert settings["regret"] == 1.0


def test_a_smaller_share_is_refused(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Who is stopped from then on would have another chance: no fair sample of all."""
    shutil.copytree(run.parents[1], tmp_path / "home")
    tiny.search(tmp_path / "home", {"name": "with", "resume": "true", "regret": 0.5}, status=2)
    assert "regret=0.5 is less than the 0.6 of run 'with' so far" in capsys.readouterr().err


def test_status_tells_of_what_is_to_finish(
    folder: Path, monkeypatch: pytest.MonkeyPatch, run: Path
) -> None:
    batches = tiny.table(run, "epochs").set_index("number")["batch"]
    first = int(batches.loc[of_kind(run, "regret")["number"].iloc[0]].min())
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", interrupt_after(first + 1))
        tiny.search(folder, WORDS | {"name": "amid"}, status=130)
    shown = snapshot(read_status(folder / "runs" / "amid"), datetime.now(UTC))
    assert shown.regret > 0
    assert shown.total == 16
    assert shown.done + shown.running == 16


def test_a_share_that_is_none_is_refused(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with chdir(folder):
        assert search_here("space=tiny.py", "data.path=bars.csv", "regret=5") == 2
    assert "regret=5.0 must be at least 0, at most 1; regret=0.05 works" in capsys.readouterr().err
