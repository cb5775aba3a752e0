"""python -m search.confirm: planted signals are confirmed, noise is not, and nothing is lost."""

import json
import shutil
import signal
from collections.abc import Callable
from contextlib import chdir
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
from optuna import Trial

from analysis.load import Run, load_run
from analysis.ranking import rank, summarise
from analysis.statistics.e_value import e_process
from analysis.verdict.confirm_folder import kept_confirmation, kept_sentences
from search import confirm_run, launch
from search.backend.local import Local
from search.confirm import main
from search.confirmation import gate as gate_module
from search.confirmation import jobs as jobs_module
from search.confirmation import session as session_module
from search.confirmation.finalists import Finalist
from search.confirmation.jobs import Job, Key, baseline_keys, do, key_of, missing_jobs
from search.confirmation.tables import ConfirmTables
from search.run_folder.openings import LEDGER, NOTED, noted, openings
from tests.fixtures import tiny
from tests.fixtures.panels import panel
from tests.fixtures.reports import Page
from tests.fixtures.searches import started
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.data.folds.folds import FoldSettings, folds_of

SYMBOLS = tuple(f"S{k:02}" for k in range(10))
WORDS = tiny.WORDS | {
    "trials": "3", "epochs": "2", "steps_per_epoch": "20", "finalist_seeds": "2",
    "pruning": "none",
}  # fmt: skip
FEW = ("top=2", "seeds=2", "walk=3", "groups=0", "symbols=false", "workers=1")


def make(folder: Path, noise: bool) -> Path:
    """A folder with a search that has ended, on a market with a planted signal or without."""
    frame = tiny.bars(400, symbols=SYMBOLS)
    if noise:
        frame["hint"] = np.random.default_rng(7).normal(size=len(frame)).round(6)
    tiny.write_inputs(folder, frame)
    tiny.search(folder, WORDS)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("planted"), noise=False)


@pytest.fixture
def home(made: Path, tmp_path: Path) -> Path:
    """A fresh copy of the planted search."""
    return shutil.copytree(made, tmp_path / "home")


def confirm(folder: Path, *words: str, run: str = "x") -> int:
    with chdir(folder):
        return status_of(lambda: main([f"runs/{run}", *(words or FEW)]))


def trainings(folder: Path) -> Any:
    return pd.read_parquet(folder / "runs/x/confirm/trainings.parquet")


def returns(folder: Path) -> Any:
    return pd.read_parquet(folder / "runs/x/confirm/returns.parquet")


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return " ".join(capsys.readouterr().out.split())


def test_a_planted_signal_is_confirmed_on_every_kind_of_fold(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("top=2", "seeds=1", "walk=3", "groups=3", "test_groups=2", "workers=1", "gate=false")
    assert confirm(home, *words) == 0
    text = said(capsys)
    assert "2 finalists × 1 seed × 8 folds: 16 trainings; about " in text
    assert "Too good, so look for a leak first: " in text
    who = "both finalists together, 1 seed each in equal"
    assert f"More than chance, as a leak is too (p < 0.001): {who}" in text
    assert "On the gate" not in text
    assert not (home / "runs" / LEDGER).exists()
    rows, daily = trainings(home), returns(home)
    assert set(rows["kind"]) == {"walk", "groups", "symbols"}
    assert (rows["state"] == "COMPLETE").all()
    assert len(rows) == 8 * (2 + 2)  # with ridge and equal weight
    for row in rows.to_dict("records"):
        own = daily[(daily["sha256"] == row["sha256"]) & (daily["seed"] == row["seed"])]
        own = own[(own["number"] == row["number"]) & (own["name"] == row["name"])]
        net = own["net_return"].to_numpy()
        assert row["sharpe"] == pytest.approx(net.mean() / net.std(ddof=1) * 252**0.5)
        assert own["day"].between(row["first"], row["last"]).all()
        assert own["day"].is_unique
    split = json.loads((home / "runs/x/run.json").read_text())["split"]
    assert daily["day"].max() < pd.Timestamp(split["gate"][0])
    assert rows.loc[rows["before"], "last"].max() < pd.Timestamp(split["valid"][0])
    median = rows[(rows["number"] >= 0) & (rows["kind"] == "groups")]["sharpe"].median()
    assert median > 3


def test_the_report_and_the_ranking_say_what_the_command_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In a run that had a report; also of fewer finalists than were confirmed before."""
    tiny.write_inputs(tmp_path, tiny.bars(400, symbols=SYMBOLS))
    tiny.search(tmp_path, WORDS | {"report": "true"})
    report = tmp_path / "runs/x/report.html"
    assert "Not confirmed: " in Page(report.read_text("utf-8")).text
    for words in (("top=2", *FEW[1:]), ("top=1", *FEW[1:], "gate=false")):
        capsys.readouterr()
        assert confirm(tmp_path, *words) == 0
        text = said(capsys)
        assert text.endswith("The report: runs/x/report.html")
        page = Page(report.read_text("utf-8")).text
        run = load_run(tmp_path / "runs/x")
        kept = kept_confirmation(run)
        assert kept is not None
        assert set(kept.asked.words) == set(words), "the usual settings are none of them"
        assert len(kept.asked.finalists) == int(words[0][-1])
        first = summarise(run).confirmed
        assert first == [kept_sentences(kept, rank(run), True)[0], *first[1:]]
        for sentence in kept_sentences(kept, rank(run), True):
            assert sentence in text
            assert " ".join(sentence.split()) in page
    assert len(first) == 3, "the gate was opened the first time"


def test_on_noise_nothing_beats_chance(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert confirm(make(tmp_path, noise=True)) == 0
    text = said(capsys)
    assert "Nothing beats chance (p = " in text
    assert "Not told from chance on these days alone (p = " in text


def test_with_a_trials_own_seed_the_last_fold_is_the_search_itself(home: Path) -> None:
    stored = tiny.table(home / "runs/x", "trials").set_index("number")
    best = json.loads((home / "runs/x/run.json").read_text())["best"]
    own = int(stored.loc[best, "seed"])
    with patch.object(session_module, "new_seeds", lambda search, count: [own]):
        assert confirm(home, "top=1", *FEW[1:], "gate=false") == 0
    rows = trainings(home).query("number >= 0 and fold == 'walk-3'")
    assert stored.loc[best, "ranking_epoch"] == rows["epochs"].item()
    assert rows["sharpe"].item() == pytest.approx(stored.loc[best, "sharpe"], rel=1e-3)
    assert rows["ic"].item() == pytest.approx(stored.loc[best, "ic"], rel=1e-3)
    net = returns(home).query("number >= 0").merge(rows[["sha256"]])["net_return"].to_numpy()
    assert net == pytest.approx(
        tiny.returns_of(home / "runs/x", best).to_numpy(), rel=1e-2, abs=1e-5
    )
    ridge = trainings(home).query("name == 'ridge' and fold == 'walk-3'")["sharpe"].item()
    table = stored[stored["params.model/name"] == "ridge"]
    assert ridge == pytest.approx(table["sharpe"].item())


def test_what_was_trained_is_not_trained_again(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert confirm(home, *FEW, "gate=false") == 0
    before = trainings(home)
    capsys.readouterr()
    with patch.object(jobs_module, "train_on_each", forbidden):
        assert confirm(home, *FEW, "gate=false") == 0
        assert "12 trainings, 12 of which are there already." in said(capsys)
        assert confirm(home, "top=1", "seeds=1", *FEW[2:], "gate=false") == 0
    assert len(trainings(home)) == len(before)
    assert confirm(home, "top=2", "seeds=3", *FEW[2:], "gate=false") == 0
    assert "18 trainings, 12 of which are there already" in said(capsys)
    after = trainings(home)
    assert after.iloc[: len(before)].equals(before)
    assert len(after) == len(before) + 6


def test_what_was_trained_for_other_folds_is_what_these_folds_say(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The validation part is the last of three walk-forward folds, or of five."""

    def walked(*words: str) -> str:
        capsys.readouterr()
        every = ("top=2", "seeds=1", "groups=0", "symbols=false", "gate=false", "workers=1")
        assert confirm(home, *words, *every) == 0
        return said(capsys).partition("trainings")[2].partition(". ")[2]

    fresh = walked("walk=5")
    assert "before the validation dates" in fresh
    assert "4 walk-forward folds" in fresh
    shutil.rmtree(home / "runs/x/confirm")
    three = walked("walk=3")
    assert walked("walk=5") == fresh
    assert walked("walk=3") == three


def forbidden(*arguments: object) -> Any:
    raise AssertionError("it trained again")


def test_the_gate_is_logged_before_it_is_looked_at_and_once(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logged: list[int] = []

    def look(*arguments: object) -> Any:
        logged.append(len(openings(home / "runs")))
        raise KeyboardInterrupt  # as a kill would

    with patch.object(gate_module, "scoring", look), pytest.raises(KeyboardInterrupt):
        confirm(home)
    assert logged == [1]
    assert not (home / "runs/x/confirm/gate.json").exists()
    capsys.readouterr()
    assert confirm(home) == 0
    text = said(capsys)
    assert "opened before" not in text
    (opening,) = openings(home / "runs")
    run = json.loads((home / "runs/x/run.json").read_text())
    assert run[NOTED] == noted(opening, home / "runs")
    assert confirm(home) == 0
    again = said(capsys)
    assert "The gate was opened for these finalists already; this is what it said." in again
    assert text[text.index("On the gate") :] == again[again.index("On the gate") :]
    assert len(openings(home / "runs")) == 1
    assert tiny.search(home, WORDS | {"resume": "true"})  # a session that goes on keeps the note
    assert json.loads((home / "runs/x/run.json").read_text())[NOTED] == run[NOTED]


def test_what_the_gate_says_is_recomputed_from_the_stored_models(home: Path) -> None:
    assert confirm(home) == 0
    stored = json.loads((home / "runs/x/confirm/gate.json").read_text())
    (opening,) = openings(home / "runs")
    frame = pd.read_csv(home / "bars.csv")
    close = tiny.wide(frame, "close")
    forward = close.shift(-1) / close - 1
    first, last = (pd.Timestamp(stored["gate"][key]) for key in ("first", "last"))
    book = []
    for number in stored["numbers"]:
        known = tiny.predicted(home / f"runs/x/trials/{number}", frame)
        known = known.loc[first:last].iloc[:-1]  # the last label would end in the sealed test
        book.append(tiny.earned(known, forward))
    net = np.mean(book, axis=0)
    assert len(net) == stored["gate"]["book"]["days"]
    ratio = net.mean() / net.std(ddof=1) * 252**0.5
    assert stored["gate"]["book"]["sharpe"] == pytest.approx(ratio, rel=1e-3)
    members = [tiny.returns_of(home / "runs/x", number) for number in stored["numbers"]]
    deviation = np.mean(members, axis=0).std(ddof=1)
    assert opening.record["deviation"] == pytest.approx(deviation)
    early = returns(home).merge(trainings(home).query("before and number >= 0"))
    walked = early.groupby("day")["net_return"].mean()
    expected = walked.mean() / walked.std(ddof=1)
    assert opening.record["expected"] == pytest.approx(expected, rel=1e-2)
    values = e_process(net, deviation, opening.record["expected"])
    assert stored["gate"]["e"] == pytest.approx(values[-1], rel=1e-2)
    assert stored["gate"]["highest"] == pytest.approx(max(1.0, values.max()), rel=1e-2)
    days, path = zip(*stored["gate"]["path"], strict=True)
    assert path == pytest.approx(values, rel=1e-2)
    assert list(days) == close.loc[first:last].index[:-1].strftime("%Y-%m-%d").to_list()


def test_a_second_run_on_the_same_dates_is_told_of_the_first(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also where the file has another name and form."""
    assert confirm(home) == 0
    pd.read_csv(home / "bars.csv").to_parquet(home / "other.parquet")
    tiny.search(home, WORDS | {"name": "y", "data.path": "other.parquet", "seed": "5"})
    capsys.readouterr()
    assert confirm(home, run="y") == 0
    text = said(capsys)
    first, second = openings(home / "runs")
    assert f"opened before: once, on {first.record['at'][:10]} by run x." in text
    assert "divided by 2 since it is opening 2 of these dates" in text
    assert second.record["before"] == first.hash
    assert second.record["sha256"] != first.record["sha256"]
    (home / "runs" / LEDGER).unlink()
    (home / "runs/y/confirm/gate.json").unlink()
    with patch.object(jobs_module, "train_on_each", forbidden):  # it is told before
        assert confirm(home, "top=1", "seeds=9", *FEW[2:], run="y") == 2
    assert "lacks the opening that run 'x' made" in capsys.readouterr().err
    assert confirm(home, *FEW, "gate=false", run="y") == 0


@pytest.mark.parametrize(
    ("file", "valid", "words", "expected"),
    [
        (
            "bars.csv",
            290,
            (),
            ("Searched on, as validation dates of later: whoever saw that ranking",),
        ),
        (
            "again.csv",
            350,
            (),
            ("Trained on, as training dates of later: whoever uses what was learned",),
        ),
        (
            "again.csv",
            350,
            ("gate=false",),
            ("Trained on, as ", "Scored on, as dates of folds that confirmed "),
        ),
    ],
)
def test_whoever_read_these_dates_is_named(
    home: Path,
    file: str,
    valid: int,
    words: tuple[str, ...],
    expected: tuple[str, ...],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Also of a file that was written anew."""
    (home / "again.csv").write_text((home / "bars.csv").read_text() + "\n")
    days = sorted(pd.read_csv(home / "bars.csv")["timestamp"].unique())
    later = {
        "data.valid_from": days[valid],
        "data.gate_from": days[375],
        "data.test_from": days[390],
    }
    tiny.search(home, WORDS | {"name": "later", "trials": "1", "data.path": file} | later)
    if words:
        few = ("top=1", "seeds=1", *FEW[2:], *words)
        assert confirm(home, *few, run="later") == 0
    capsys.readouterr()
    assert confirm(home, "top=1", "seeds=1", *FEW[2:]) == 0
    text = said(capsys)
    for sentence in expected:
        assert sentence in text
    assert text.count("has seen some of these dates") == len(expected)


@pytest.mark.parametrize("data", [{"data.horizon": "2"}, {"data.lag": "1"}])
def test_another_label_of_the_same_dates_is_a_second_opening(
    home: Path, data: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Also of a file that was written anew."""
    assert confirm(home, "top=1", "seeds=1", *FEW[2:]) == 0
    (home / "again.csv").write_text((home / "bars.csv").read_text() + "\n")
    about = {"name": "y", "data.path": "again.csv", "trials": "1"}
    tiny.search(home, WORDS | about | data)
    capsys.readouterr()
    assert confirm(home, "walk=0", "groups=0", "symbols=false", run="y") == 0
    assert "These dates were opened before: once, " in said(capsys)
    stored = json.loads((home / "runs/y/confirm/gate.json").read_text())
    assert stored["gate"]["turn"] == 2


def test_one_symbol_is_confirmed_over_time_and_the_gate_needs_no_folds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny.write_inputs(tmp_path, tiny.bars(900, symbols=("AA",)))
    tiny.search(tmp_path, WORDS | {"trials": "2", "finalist_seeds": "1"})
    capsys.readouterr()
    assert confirm(tmp_path, "walk=0", "groups=0", "symbols=false") == 0
    text = said(capsys)
    assert "0 folds: 0 trainings. On the gate, " in text
    (opening,) = openings(tmp_path / "runs")
    assert opening.record["expected"] == 0.0
    assert confirm(tmp_path, "walk=3", "groups=4", "seeds=1", "workers=1") == 0
    text = said(capsys)
    assert "Left out: " in text
    assert "symbols: 1 is too few to hold half of them out" in text
    rows = trainings(tmp_path)
    assert set(rows["kind"]) == {"walk", "groups"}
    assert rows.query("number >= 0")["ic"].notna().all()
    assert rows.query("number >= 0 and kind == 'walk'")["ic"].median() > 0.1
    assert len(openings(tmp_path / "runs")) == 1


def test_a_lost_model_opens_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    number = json.loads((home / "runs/x/run.json").read_text())["best"]
    (home / f"runs/x/trials/{number}/model.safetensors").unlink()
    assert confirm(home) == 2
    assert "model.safetensors does not exist" in capsys.readouterr().err
    assert openings(home / "runs") == []
    assert len(trainings(home)) == 3 * (4 + 2)


def test_interrupted_it_keeps_what_has_ended_and_says_what_goes_on(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    add = ConfirmTables.add

    def once(self: ConfirmTables, *arguments: Any) -> None:
        add(self, *arguments)
        if len(self.done) > 2:
            signal.raise_signal(signal.SIGINT)

    with patch.object(ConfirmTables, "add", once):
        assert confirm(home) == 130
    text = said(capsys)
    assert f"this goes on: python -m search.confirm runs/x {' '.join(FEW)}" in text
    kept = len(trainings(home))
    assert 2 < kept < 18
    assert openings(home / "runs") == []
    assert confirm(home) == 0
    assert len(trainings(home)) == 18
    assert "On the gate" in said(capsys)


def test_killed_it_leaves_no_process_and_goes_on(home: Path) -> None:
    """With processes of its own, whose results are those of one."""
    words = (*FEW[:-2], "symbols=true", "workers=2", "gate=false")
    table = home / "runs/x/confirm/trainings.parquet"
    with started(home, "runs/x", *words, program=("-m", "search.confirm")) as command:
        command.until(table.exists)
        command.send(signal.SIGKILL)
        command.wait()
        assert command.survivors() == set()
        assert "Traceback" not in command.err
    kept = trainings(home)
    assert len(kept) >= 1
    assert confirm(home, *words[:-2], "workers=1", "gate=false") == 0
    whole = trainings(home)
    assert whole.iloc[: len(kept)].equals(kept)
    assert len(whole) == 5 * (4 + 2)
    shutil.rmtree(home / "runs/x/confirm")
    assert confirm(home, *words[:-2], "workers=1", "gate=false") == 0
    keys = ["number", "name", "seed", "fold"]
    one, other = (rows.sort_values(keys)["sharpe"].to_numpy() for rows in (whole, trainings(home)))
    assert one == pytest.approx(other)


def test_a_batch_larger_than_its_fold_is_told_and_left_out() -> None:
    rng = np.random.default_rng(0)
    market = panel(rng.normal(size=(600, 2)), features=rng.normal(size=(600, 2, 3)))
    (fold, *_), _ = folds_of(market, FoldSettings(walk=2, groups=0, symbols=False))
    keys = tuple(Key(number, "trial", 1, fold.sha256, 1) for number in (3, 4))
    params = tuple({"train/batch_size": size} for size in (32, 1000))
    job = Job((fold.name,) * 2, keys, params)
    found = do(job, {fold.name: fold}, "cpu", lambda: None)
    several = {outcome.key.number: outcome for some in found for outcome in some}
    assert several[3].state == "COMPLETE"
    assert several[4].state == "FAIL"
    assert several[4].reason == "a batch of 1000 is more than 298 rows"
    assert several[4].scored is None


def finalist(number: int, hidden: str, epochs: int) -> Finalist:
    params = {"model/hidden_dims": hidden, "train/batch_size": 32, "train/epochs": 9}
    return Finalist(number, number, params, epochs, 0.1)


@pytest.mark.parametrize("processes", [1, 2, 16])
def test_members_of_one_shape_train_together_and_every_process_has_some(processes: int) -> None:
    rng = np.random.default_rng(0)
    market = panel(rng.normal(size=(900, 4)), features=rng.normal(size=(900, 4, 3)))
    folds, _ = folds_of(market, FoldSettings(walk=3, groups=4, test_groups=2))
    finalists = [finalist(3, "8", 2), finalist(4, "16", 3), finalist(5, "8", 9)]
    done = {key_of(finalists[0], 1, folds[0]), *baseline_keys(folds[0])}
    jobs = missing_jobs(finalists, [1, 2], folds, done, processes)
    keys = [key for job in jobs for key in job.keys]
    assert len(keys) == len(set(keys))
    expected = {key_of(one, seed, fold) for one in finalists for seed in (1, 2) for fold in folds}
    expected |= {key for fold in folds for key in baseline_keys(fold)}
    assert set(keys) == expected - done
    cohorts = [job for job in jobs if job.params is not None]
    assert jobs[: len(cohorts)] == cohorts
    assert len(cohorts) >= 2 * processes
    assert max(len(job.keys) for job in cohorts) <= 32
    rows = {fold.name: len(fold.dataset.train_rows) for fold in folds}
    sha = {fold.name: fold.sha256 for fold in folds}
    work = []
    for job in cohorts:
        assert job.params is not None
        assert len({params["model/hidden_dims"] for params in job.params}) == 1
        assert [sha[name] for name in job.folds] == [key.fold for key in job.keys]
        each = [key.epochs * rows[name] for name, key in zip(job.folds, job.keys, strict=True)]
        assert each == sorted(each, reverse=True)
        work.append(sum(each))
    assert work == sorted(work, reverse=True)


def test_what_has_ended_is_told_before_the_rest_of_its_cohort_ends() -> None:
    rng = np.random.default_rng(0)
    market = panel(rng.normal(size=(600, 4)), features=rng.normal(size=(600, 4, 3)))
    folds, _ = folds_of(market, FoldSettings(walk=3, groups=0, symbols=False))
    keys = tuple(Key(3, "trial", seed, fold.sha256, 1) for fold in folds for seed in (1, 2))
    names = tuple(fold.name for fold in folds for _ in (1, 2))
    job = Job(names, keys, tuple({"train/seed": key.seed} for key in keys))
    by_name = {fold.name: fold for fold in folds}
    ended = [{one.fold for one in some} for some in do(job, by_name, "cpu", lambda: None)]
    assert ended == [{"walk-1"}, {"walk-2"}, {"walk-3"}]
    alone = [
        replace(job, folds=(name,), keys=(key,), params=({"train/seed": key.seed},))
        for name, key in zip(names, keys, strict=True)
    ]
    together = {one.key: one for some in do(job, by_name, "cpu", lambda: None) for one in some}
    for one in alone:
        ((result,),) = do(one, by_name, "cpu", lambda: None)
        assert result.scored is not None
        mine = together[result.key].scored
        assert mine is not None
        assert (mine.sharpe, mine.ic) == (result.scored.sharpe, result.scored.ic)
        assert np.array_equal(mine.returns, result.scored.returns)


def unfinished(folder: Path) -> None:
    file = folder / "runs/x/run.json"
    record = json.loads(file.read_text())
    del record["crc32"]
    file.write_text(json.dumps(record | {"interrupted": True}))


def damaged(folder: Path) -> None:
    (folder / "runs/x/confirm").mkdir()
    (folder / "runs/x/confirm/trainings.parquet").write_bytes(b"PAR1 no")


def from_python(folder: Path, source: str | None = None) -> None:
    """As `launch` leaves it: of a file, or of another source."""
    file = folder / "runs/x/run.json"
    record = json.loads(file.read_text())
    del record["crc32"]
    if source is not None:
        record["settings"]["data"] |= {"source": source, "path": None}
    file.write_text(json.dumps(record | {"arguments": None}))


def of_a_table(folder: Path) -> None:
    from_python(folder, "frame")


def placebo(folder: Path) -> None:
    """As `search.placebo` leaves it: without arguments, too."""
    from_python(folder)
    file = folder / "runs/x/run.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"placebo": {"number": 1}}))


def other_data(folder: Path) -> None:
    tiny.bars(400, seed=3, symbols=SYMBOLS).to_csv(folder / "bars.csv", index=False)


def nothing(folder: Path) -> None:
    """Leaves it as it is."""


@pytest.mark.parametrize(
    ("harm", "words", "expected"),
    [
        (nothing, ("top=0",), "top=0: expected at least 1"),
        (nothing, ("groups=2", "test_groups=2"), "leave nothing to learn from; groups=6 works"),
        (nothing, ("groups=20", "test_groups=10"), "make 184,756 folds"),
        (nothing, ("tpo=3",), "did you mean 'top'"),
        (nothing, ("trials=9",), "trials"),
        (nothing, ("data.path=none.csv",), "none.csv"),
        (unfinished, FEW, "its search has not ended; go on with it first: python -m search.run"),
        (of_a_table, FEW, "with data (a table) of a Python program"),
        (placebo, FEW, "is a placebo: its labels were moved"),
        (damaged, FEW, "trainings.parquet is damaged"),
        (other_data, FEW, "cannot go on with other content of"),
    ],
)
def test_what_cannot_be_confirmed_is_refused_in_one_line(
    home: Path,
    harm: Callable[[Path], None],
    words: tuple[str, ...],
    expected: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    harm(home)
    assert confirm(home, *words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert expected in line
    assert not (home / "runs" / LEDGER).exists()


def test_it_names_its_keys_and_needs_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    text = said(capsys)
    for key in ("top", "seeds", "walk", "groups", "test_groups", "symbols", "gate", "workers"):
        assert f" {key} " in text
    with pytest.raises(UserError, match="no run folder named"):
        main(["top=3"])


def tiny_space(trial: Trial) -> dict[str, object]:
    """Three networks that are trained in no time."""
    trial.suggest_float("optimizer/lr", 1e-3, 1e-2, log=True)
    return {
        "model/name": "mlp", "model/hidden_dims": "8", "optimizer/name": "adamw",
        "train/batch_size": 64, "schedule/warmup_steps": 5,
    }  # fmt: skip


def launched(folder: Path, space: Any, data: object, **more: Any) -> Run:
    """A search from Python, without Ray."""
    settings = {"trials": 3, "epochs": 2, "steps_per_epoch": 20, "finalist_seeds": 1}
    settings |= {"report": False}
    with chdir(folder):
        run = launch(
            space, data, backend=lambda settings: Local(), name="x", pruning="none",
            **settings, **more,
        )  # fmt: skip
    assert run is not None
    return load_run(folder / "runs/x")


FEW_HERE: dict[str, Any] = {
    "top": 2, "seeds": 2, "walk": 3, "groups": 0, "symbols": False, "gate": False,
}  # fmt: skip


def test_a_search_of_a_table_and_a_function_is_confirmed_from_python(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = tiny.bars(400, symbols=SYMBOLS)
    run = launched(tmp_path, tiny_space, frame)
    capsys.readouterr()
    rows = confirm_run(run, frame, space=tiny_space, **FEW_HERE)
    assert "2 finalists × 2 seeds × 3 folds: 12 trainings; " in said(capsys)
    assert len(rows) == len(trainings(tmp_path)) == 3 * (4 + 2)
    with patch.object(jobs_module, "train_on_each", forbidden):
        again = confirm_run(str(run.folder), frame, space=tiny_space, **FEW_HERE)
    assert again.equals(rows)
    assert confirm(tmp_path) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "data (a table) and space (a function) of a Python program" in line
    assert "search.confirm_run('runs/x', data=…, space=…)" in line
    with pytest.raises(UserError, match="data \\(a table\\) and space"):
        confirm_run(run, frame)
    other = tiny.bars(400, seed=3, symbols=SYMBOLS)
    with pytest.raises(UserError, match="cannot go on with other content of data="):
        confirm_run(run, other, space=tiny_space)
    with pytest.raises(UserError, match="seeds=0: expected at least 1"):
        confirm_run(run, frame, space=tiny_space, seeds=0)
    with pytest.raises(UserError, match="did you mean 'top'"):
        confirm_run(run, frame, space=tiny_space, tpo=2)


def test_a_search_from_python_of_files_is_confirmed_by_the_command(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is where it was started by a command, and from Python, too."""
    assert confirm(home, *FEW, "gate=false") == 0
    expected = trainings(home)
    shutil.rmtree(home / "runs/x/confirm")
    from_python(home)
    assert confirm(home, *FEW, "gate=false") == 0
    keys = ["number", "name", "seed", "fold", "sharpe", "ic"]
    assert trainings(home)[keys].equals(expected[keys])
    (home / "bars.csv").rename(home / "moved.csv")
    shutil.rmtree(home / "runs/x/confirm")
    capsys.readouterr()
    assert confirm(home, *FEW, "gate=false") == 2
    assert "bars.csv" in capsys.readouterr().err
    with chdir(home):
        rows = confirm_run("runs/x", "moved.csv", **FEW_HERE)
    assert rows[keys].equals(expected[keys])
