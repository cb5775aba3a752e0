"""A run that goes on with other `epochs` or fewer `trials`: said, and nothing done is rewritten."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.load import load_run
from analysis.ranking import note_sentences
from analysis.statistics.snooping.luck_line import luck_line
from search.pruning.asha import JudgedAt
from search.session import provenance
from search.session.observer import SearchObserver
from search.status import latest_session
from search.study.trials import TrialRecord
from tests.fixtures import tiny
from tests.fixtures.here import interrupt_after

SPACE = tiny.SPACE.replace("return {", 'return {"train/patience": 0, ')
WORDS = tiny.WORDS | {"trials": 12, "finalist_seeds": 2, "rungs": "1"}
JUDGED = ["number", "kind", "parent", "state", "stop_reason", "stop_epoch", "stop_evidence",
          "epochs", "sharpe", "params.train/epochs"]  # fmt: skip


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve trials of three epochs each, judged after one."""
    folder = tmp_path_factory.mktemp("begun")
    tiny.write_inputs(folder, space=SPACE)
    tiny.search(folder, WORDS)
    return folder


def again(begun: Path, home: Path, **words: object) -> tuple[Path, str]:
    shutil.copytree(begun, home)
    return tiny.search_and_listen(home, {"name": "x", "resume": "true", **words})


def described(run: Path) -> Any:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def rows(run: Path) -> Any:
    trials = tiny.table(run, "trials")
    return trials[trials["kind"] != "baseline"].set_index("number", drop=False)


def line_of(run: Path, trials: int) -> float:
    data = described(run)["data"]
    return luck_line(trials, data["validation_periods"], data["periods_per_year"])


def flat(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize("epochs", [2, 5])
def test_other_epochs_are_said_in_plan_record_and_ranking(
    epochs: int, begun: Path, tmp_path: Path
) -> None:
    run, said = again(begun, tmp_path / "home", epochs=epochs, trials=15)
    plan, _, end = flat(said).partition("Luck line")
    assert "12 trials of at most 3 epochs have ended and stay as they were judged; " in plan
    assert f"what is trained from now on has at most {epochs}" in plan
    lengths = sorted([(3, 12), (epochs, 3)])
    sentence = (
        "Trained for different lengths, since the search went on with other epochs: "
        + ", ".join(f"{count} trials for at most {length} epochs" for length, count in lengths)
        + ". They are ranked together."
    )
    assert sentence in end
    assert sentence in note_sentences(load_run(run))
    (session,) = described(run)["resumed"]
    assert session["epochs"] == epochs
    assert session["rungs"] == [1, epochs]
    assert session["trials"] == 15
    assert described(run)["begun_with"] == {"trials": 12, "epochs": 3, "rungs": [1, 3]}
    assert (described(run)["epochs"], described(run)["rungs"]) == (epochs, [1, epochs])
    assert described(run)["settings"]["epochs"] == epochs
    assert latest_session(described(run))[1] == [1, epochs]
    new = rows(run).query("kind == 'search'").iloc[12:]
    assert set(new["params.train/epochs"]) == {epochs}


@pytest.mark.parametrize("epochs", [2, 5])
def test_what_was_done_stays_as_it_was_judged(epochs: int, begun: Path, tmp_path: Path) -> None:
    before = rows(begun / "runs" / "x")
    run, _ = again(begun, tmp_path / "home", epochs=epochs, trials=15, finalist_seeds=3)
    after = rows(run)
    done = after.loc[before.index]
    pd.testing.assert_frame_equal(done[JUDGED], before[JUDGED])
    for _, seed in after.query("kind == 'seed'").iterrows():
        parent = after.loc[seed["parent"]]
        assert seed["params.train/epochs"] == parent["params.train/epochs"], "as long as its parent"
        assert seed["epochs"] == parent["epochs"]


def test_nothing_is_said_where_nothing_is_other(begun: Path, tmp_path: Path) -> None:
    run, said = again(begun, tmp_path / "home", trials=13)
    assert "resumed" not in said
    assert "Trained for different lengths" not in flat(said)
    assert len(described(run)["resumed"]) == 1


def test_fewer_trials_than_there_are_leave_the_luck_line(begun: Path, tmp_path: Path) -> None:
    before = described(begun / "runs" / "x")
    run, said = again(begun, tmp_path / "home", trials=5)
    assert "trials=5 is fewer than the 12 that are there" in flat(said)
    assert "Luck line: 12 useless trials" in flat(said)
    assert described(run)["luck_line"] == before["luck_line"] == pytest.approx(line_of(run, 12))
    assert len(rows(run).query("kind == 'search'")) == 12


def test_a_dry_run_says_it_too(begun: Path, tmp_path: Path) -> None:
    shutil.copytree(begun, tmp_path / "home")
    words = {"name": "x", "resume": "true", "dry_run": "true", "epochs": 5, "trials": 5}
    _, said = tiny.search_and_listen(tmp_path / "home", words)
    assert "12 trials of at most 3 epochs have ended" in flat(said)
    assert "trials=5 is fewer than the 12" in flat(said)
    assert "Luck line: 12 useless trials" in flat(said)
    assert described(tmp_path / "home" / "runs" / "x")["resumed"] == []


@pytest.mark.parametrize(
    ("trials", "expected"),
    [
        (12, "Expected: nothing is left to train."),
        (5, "Expected: nothing is left to train."),
        # Rungs 1 and 3: one for 1 epoch, a quarter of it for 2 more and for one seed of 3.
        (13, "Expected of what is left: 2 epochs, 9 steps of "),
    ],
)
def test_a_dry_run_expects_what_is_left(
    trials: int, expected: str, begun: Path, tmp_path: Path
) -> None:
    shutil.copytree(begun, tmp_path / "home")
    words = {"name": "x", "resume": "true", "dry_run": "true", "trials": trials}
    _, said = tiny.search_and_listen(tmp_path / "home", words)
    assert expected in flat(said)


@pytest.mark.parametrize(("epochs", "shards"), [(3, 2), (3, 9), (24, 2)])
def test_an_interrupted_run_with_other_epochs_ends_every_trial_at_an_end_of_its_own(
    epochs: int, shards: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rungs 1, 4, 16, 20: some stand at epoch 4 as the search is told that 3 are enough."""
    tiny.write_inputs(tmp_path, space=SPACE)
    words = {key: value for key, value in WORDS.items() if key != "rungs"} | {"epochs": 20}
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", interrupt_after(shards))
        tiny.search(tmp_path, words, status=130)
    before = rows(tmp_path / "runs" / "x")
    live = before.query("state == 'RUNNING'")["epochs"].tolist()
    assert max(live) > 3 or shards > 2
    run = tiny.search(tmp_path, {"name": "x", "resume": "true", "epochs": epochs})
    trials = rows(run)
    assert set(trials["state"]) <= {"COMPLETE", "PRUNED"}
    for number, trial in trials.iterrows():
        reached = 0 if number not in before.index else before.loc[number, "epochs"]
        ended = number in before.index and before.loc[number, "state"] != "RUNNING"
        own = 20 if ended or reached >= epochs else epochs
        if trial["kind"] == "seed":
            own = trials.loc[trial["parent"], "params.train/epochs"]
        assert trial["params.train/epochs"] == own
        assert trial["epochs"] == trial["stop_epoch"] <= own
        if trial["stop_reason"] == "completed":
            assert trial["epochs"] == own
            assert (run / "trials" / str(number) / "model.safetensors").is_file()


def test_seconds_of_a_killed_session_count_until_a_trial_last_began_or_ended(
    tmp_path: Path,
) -> None:
    begun = datetime(2026, 1, 1, 10, tzinfo=UTC)
    again = begun + timedelta(hours=5)

    def trial(number: int, started: datetime, ended: datetime | None) -> TrialRecord:
        state = "COMPLETE" if ended else "RUNNING"
        facts: dict[str, Any] = {}
        return TrialRecord(
            number, "search", None, {}, 0, state, None, {}, None, {}, facts, started, ended
        )

    record = {"started": begun.isoformat(), "resumed": [], "wall_s": 7.5, "state": "running"}
    rows = [trial(0, begun + timedelta(seconds=3), begun + timedelta(seconds=40)),
            trial(1, begun + timedelta(seconds=52), None)]  # fmt: skip
    for resumed, state, seconds in (
        ([], "running", 7.5 + 52),
        ([], "ended", 7.5),
        ([{"at": again.isoformat()}], "running", 7.5),  # killed before a trial began
    ):
        whole = {**record, "resumed": resumed, "state": state, "epochs": 3, "rungs": [1, 3]}
        whole |= {"data": {}, "split": {}, "settings": {}, "space": {}}
        (tmp_path / "run.json").write_text(json.dumps(whole), encoding="utf-8")
        found = provenance.sessions(tmp_path).with_killed(rows)
        assert (found.wall_s, found.killed) == (seconds, None)


def test_the_record_of_an_older_run_folder_is_read(tmp_path: Path) -> None:
    """Its `resumed` holds times only; its top has the rungs of its latest session."""
    when = ["2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"]
    old = {"started": when[0], "resumed": [when[1]], "epochs": 3, "rungs": [1, 3]}
    whole = {**old, "data": {}, "split": {}, "settings": {}, "space": {}}
    (tmp_path / "run.json").write_text(json.dumps(whole), encoding="utf-8")
    sessions = provenance.sessions(tmp_path)
    assert sessions.judged() == [JudgedAt(0, (1, 3))]
    begun_with = {"epochs": 3, "rungs": [1, 3]}
    resumed = [{"at": when[1]}]
    assert sessions.record() == {
        "started": when[0], "begun_with": begun_with, "resumed": resumed, "wall_s": 0.0
    }  # fmt: skip
    for record in (old, {**sessions.record(), "rungs": [1, 3]}):
        begun, rungs = latest_session(record)
        assert (begun.isoformat(), list(rungs)) == (when[1], [1, 3])
