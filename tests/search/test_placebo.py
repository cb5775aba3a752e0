"""Placebo searches: what they train on, what is kept of them, and that a kill loses nothing."""

import json
import os
import re
import shutil
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, chdir
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.load import load_run
from analysis.ranking import rank, summary_sentences
from analysis.statistics.snooping.cross_fit import cross_fit
from analysis.tries import Tries
from search import placebo as command
from search.api import launch
from search.backend.base import Cluster
from search.backend.local import Local
from search.run_folder.folder import RunFolder
from search.session import placebos
from search.session.interrupts import Interrupted
from search.session.observer import SearchObserver
from search.settings.settings import SearchSettings
from search.status import placebo_lines, read_status, snapshot
from tests.fixtures import tiny
from tests.fixtures.here import search_here
from tests.fixtures.searches import started
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.placebo import placebo
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.training.loop import Training

WORDS = tiny.WORDS | {
    "epochs": 2, "rungs": "2", "deterministic": "true", "enqueue": "hand.json"
}  # fmt: skip
PLACEBO_LOCALLY = (
    "-c",
    "from search.backend import local, ray_tune; "
    "ray_tune.RayTune = lambda settings: local.Local(); "
    "import runpy; runpy.run_module('search.placebo', run_name='__main__')",
)


def local(settings: SearchSettings) -> Local:
    return Local()


def market() -> pd.DataFrame:
    return tiny.bars(500)  # a validation part longer than features reach back


def write_inputs(home: Path, space: str = tiny.SPACE) -> None:
    tiny.write_inputs(home, market(), space)
    (home / "hand.json").write_text('[{"optimizer/lr": 0.00321}]', encoding="utf-8")


def train(home: Path, *words: str, run: str = "runs/x", status: int = 0) -> Path:
    """Does what `python -m search.placebo runs/x` does, in a folder."""
    with chdir(home):
        assert status_of(lambda: command.main([run, *words], local)) == status
    return home / run


def record(run: Path) -> Any:
    return json.loads((run / "run.json").read_text(encoding="utf-8"))


def entries(run: Path) -> list[dict[str, Any]]:
    """What `placebos.json` says, without how long it took."""
    found = json.loads((run / "placebos.json").read_text(encoding="utf-8"))["placebos"]
    return [{key: value for key, value in one.items() if key != "wall_s"} for one in found]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A folder with a search and its three placebos, and what it said."""
    home = tmp_path_factory.mktemp("placebo")
    write_inputs(home)
    _, said = tiny.search_and_listen(home, WORDS | {"placebo": 3})
    return home, re.sub(r"\s+", " ", said)


@pytest.fixture
def home(base: tuple[Path, str], tmp_path: Path) -> Path:
    return shutil.copytree(base[0], tmp_path / "home")


def alone(home: Path) -> Path:
    """The run as it was before its placebos."""
    shutil.rmtree(home / "runs" / "x" / "placebos")
    (home / "runs" / "x" / "placebos.json").unlink()
    return home / "runs" / "x"


def test_a_placebo_is_the_same_search_scored_on_moved_returns(base: tuple[Path, str]) -> None:
    run = base[0] / "runs" / "x"
    real, seeds = record(run), set()
    for number in (1, 2, 3):
        folder = run / "placebos" / f"{number:02d}"
        made = record(folder)
        assert made["placebo"] == {"run": "x", "number": number, "of": 3}
        same = ("trials", "epochs", "objective", "pruning", "finalist_seeds", "try_default")
        assert all(made["settings"][key] == real["settings"][key] for key in same)
        assert (made["rungs"], made["split"]) == (real["rungs"], real["split"])
        kinds = tiny.table(folder, "trials")["kind"].to_list()
        assert kinds == ["enqueued", "search", "search"], "no baselines"
        assert not (folder / "best").exists()
        seeds.add(made["settings"]["seed"])
    assert len(seeds | {real["settings"]["seed"]}) == 4
    folder = run / "placebos" / "02"
    data = DataSettings()
    dataset = build_dataset(market_from_frame(market(), data), data)
    moved = placebo(dataset, record(folder)["settings"]["seed"])
    forward, before = (
        pd.DataFrame(each.forward_returns, pd.Index(dataset.timestamps), dataset.symbols)
        for each in (moved, dataset)
    )
    number = int(tiny.table(folder, "trials").query("state == 'COMPLETE'")["number"].iloc[0])
    kept = tiny.returns_of(folder, number).to_numpy()
    predictions = tiny.predictions_of(folder, number)
    assert kept == pytest.approx(tiny.earned(predictions, forward).to_numpy(), abs=1e-7)
    assert kept != pytest.approx(tiny.earned(predictions, before).to_numpy(), abs=1e-3)


def test_what_they_found_is_kept_and_said(base: tuple[Path, str]) -> None:
    home, said = base
    run = home / "runs" / "x"
    found = []
    for number in (1, 2, 3):
        one = load_run(run / "placebos" / f"{number:02d}")
        returns = [one.daily_returns(n) for n in one.searched["number"]]
        choice = cross_fit(np.column_stack([r for r in returns if r is not None]), 252)
        assert choice is not None
        best = rank(one)["sharpe_shrunk"].max()
        effort = {"trials": 3, "epochs": 2, "finalist_seeds": 1, "patience_trials": None,
                  "trained": 3, "rows": 3, "lost": 0}  # fmt: skip
        figures = {"best": pytest.approx(best), "choice": pytest.approx(choice.sharpe)}
        found.append({"number": number, **effort, **figures})
    assert entries(run) == found
    real = rank(load_run(run))["sharpe_shrunk"].iloc[0]
    higher = sum(one["best"] >= real for one in entries(run))
    sentence = (
        f"Placebo: {higher} of 3 searches of the same data with labels moved in time "
        f"and over symbols had a winner as good ({real:.2f}, shrunk; p = {(1 + higher) / 4:.2f})"
    )
    assert sentence in said
    assert "3 placebos cannot show a p below 0.25; 19 can show 0.05." in said
    assert [one for one in summary_sentences(load_run(run)) if one.startswith(sentence)]
    assert "placebo after it 3 searches like this one, labels moved away" in said
    assert "3 placebo searches to train, each as long as the search itself, " in said
    assert "placebo 2 of 3 | 3 of 3 configurations" in said
    assert re.search(r"Placebo 3 of 3: (its winner has|no trial)", said)
    (first, *_) = summary_sentences(load_run(run / "placebos" / "01"))
    assert first.startswith("This is a placebo: ")


def test_they_are_no_tries_and_have_none(home: Path) -> None:
    run = tiny.search(home, WORDS | {"name": "second", "seed": 1})
    assert load_run(run).tries == Tries(3, {"x": 3})
    assert load_run(home / "runs" / "x").tries == Tries(3, {"second": 3})
    first = home / "runs" / "x" / "placebos" / "01"
    assert load_run(first).tries == Tries(3, {})
    shutil.copytree(first, home / "runs" / "copy")
    assert load_run(run).tries == Tries(3, {"x": 3}), "wherever it is"
    assert load_run(home / "runs" / "copy").tries == Tries(3, {})


def test_those_that_have_ended_are_not_trained_again(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = home / "runs" / "x"
    before = [(run / "placebos" / f"0{n}" / "run.json").read_bytes() for n in (1, 2, 3)]
    kept = entries(run)
    (run / "placebos.json").unlink()  # as a kill before it is written leaves them
    train(home, "placebos=3")
    assert entries(run) == kept
    train(home, "placebos=4")
    assert "1 placebo search to train, each as long as the earlier ones" in capsys.readouterr().out
    assert entries(run)[:3] == kept
    assert [one["number"] for one in entries(run)] == [1, 2, 3, 4]
    assert before == [(run / "placebos" / f"0{n}" / "run.json").read_bytes() for n in (1, 2, 3)]


def interrupt_in(number: int) -> Callable[[SearchObserver], None]:
    """Returns a `SearchObserver.tick` that interrupts this placebo after its first reports."""

    def tick(self: SearchObserver) -> None:
        which = self.plan.placebo
        shards = list(self.folder.path.glob("shards/*.parquet"))
        if which is not None and which.number == number and shards:
            self.interrupts.asked = "SIGINT"
            raise Interrupted("SIGINT")

    return tick


def test_one_that_was_interrupted_goes_on_as_if_it_had_not_been(
    base: tuple[Path, str],
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    alone(home)
    with monkeypatch.context() as patched:
        patched.setattr(SearchObserver, "tick", interrupt_in(2))
        run = train(home, "placebos=3", status=130)
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "Interrupted in placebo 2 of 3, 2 to go." in said
    assert re.search(r"next python -m search.placebo \S+/runs/x placebos=3", said)
    assert [one["number"] for one in entries(run)] == [1]
    assert "1 placebo cannot show a p below 0.50" in " ".join(summary_sentences(load_run(run)))
    (line,) = placebo_lines(run, [])
    assert line.startswith("1 of 3 placebos has ended. Nobody trains the others. Next: python -m ")
    with RunFolder.create(run / "placebos", "02", resume=True):
        _, line = placebo_lines(run, [])
        assert re.match(rf"Placebo 2 of 3 is trained by process {os.getpid()}: python -m ", line)
    second = read_status(run / "placebos" / "02")
    assert snapshot(second, second.rows[0].started).name == "x, placebo 2 of 3"
    train(home, "placebos=3")
    assert entries(run) == entries(base[0] / "runs" / "x")
    assert placebo_lines(run, []) == ["3 of 3 placebos have ended."]


def test_a_signal_while_labels_are_moved_trains_no_placebo_any_more(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, moved = alone(home), placebos.placebo_plan

    def hears(*arguments: Any) -> Any:
        signal.raise_signal(signal.SIGINT)
        return moved(*arguments)

    with monkeypatch.context() as patched:
        patched.setattr(placebos, "placebo_plan", hears)
        train(home, "placebos=3", status=130)
    assert not list(run.glob("placebos/*/trials.parquet"))
    train(home, "placebos=1")
    assert [one["number"] for one in entries(run)] == [1]


def test_a_kill_loses_no_more_than_that_of_a_search_does(
    base: tuple[Path, str], home: Path
) -> None:
    run = alone(home)
    with started(home, "runs/x", "placebos=60", program=PLACEBO_LOCALLY) as search:
        search.until(lambda: (run / "placebos" / "02" / "study.log").exists())
        search.send(signal.SIGKILL)
        search.wait()
    train(home, "placebos=3")
    assert entries(run)[:3] == entries(base[0] / "runs" / "x")


def test_placebos_of_fewer_trials_do_not_count_until_they_go_on(home: Path) -> None:
    run = tiny.search(home, {"name": "x", "resume": "true", "trials": 4, "placebo": 0})
    said = " ".join(summary_sentences(load_run(run)))
    assert "Placebo:" not in said
    assert "3 placebos are not counted, having searched with other trials, epochs, seeds" in said
    train(home, "placebos=2")
    assert [one["trials"] for one in entries(run)] == [4, 4, 3]
    assert len(tiny.table(run / "placebos" / "02", "trials")) == 4
    assert "of 2 searches of the same data" in " ".join(summary_sentences(load_run(run)))


def lose_the_device(self: Training, *args: Any, **more: Any) -> None:
    raise RuntimeError("CUDA error: device lost")


@pytest.mark.parametrize("files", [None, "files"])
def test_placebos_that_failed_with_the_machine_are_no_evidence_and_trained_anew(
    files: str | None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_inputs(tmp_path)
    run = tiny.search(tmp_path, WORDS | ({} if files is None else {"storage_path": files}))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Training, "advance", lose_the_device)
        train(tmp_path, "placebos=2")
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "Placebo 1 of 2: it does not count: 3 of 3 trainings failed with the machines" in said
    assert [(one["trained"], one["lost"]) for one in entries(run)] == [(0, 3)] * 2
    (line,) = placebo_lines(run, [])
    assert line.startswith(
        "2 of 2 placebos have ended. 2 of them do not count: the search was another, or machines "
        "failed. Nobody trains the others. Next: "
    )
    (sentence,) = [one for one in summary_sentences(load_run(run)) if "lacebo" in one]
    assert sentence.startswith("2 placebos are not counted, since machines failed and less of them")
    trials = (run if files is None else tmp_path / "files" / "x") / "placebos" / "01" / "trials"
    (trials / "0").mkdir(parents=True, exist_ok=True)
    (trials / "0" / "checkpoint.safetensors").write_bytes(b"of before")
    train(tmp_path, "placebos=2")
    said = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert "2 placebo searches to train, each as long as the search itself" in said
    assert [(one["trained"], one["lost"]) for one in entries(run)] == [(3, 0)] * 2
    assert "of 2 searches of the same data" in " ".join(summary_sentences(load_run(run)))
    left = [*run.glob("placebos/*/trials/*/error.txt"), *trials.glob("*/checkpoint.safetensors")]
    assert not left


def test_a_search_of_limited_time_gets_placebos_of_as_many_trials_without_a_limit(
    tmp_path: Path,
) -> None:
    write_inputs(tmp_path)
    tiny.search(tmp_path, WORDS | {"trials": 2, "time_budget_s": 3600})
    words = {"name": "x", "resume": "true", "trials": 99, "time_budget_s": 1e-6}
    run = load_run(tiny.search(tmp_path, words))
    trained = sum(row["epochs"] >= 1 for row in run.searched_rows)
    assert 2 <= trained < 99
    train(tmp_path, "placebos=1")
    made = run.folder / "placebos" / "01"
    assert record(made)["settings"]["time_budget_s"] is None
    assert tiny.table(made, "trials")["epochs"].to_list() == [2] * trained
    assert [(one["trials"], one["trained"]) for one in entries(run.folder)] == [(trained, trained)]
    assert "of 1 search of the same data" in " ".join(summary_sentences(run))
    tiny.search(tmp_path, words | {"trials": trained + 1, "time_budget_s": 3600})
    assert "Placebo:" not in " ".join(summary_sentences(load_run(run.folder)))
    train(tmp_path, "placebos=1")
    assert [one["trained"] for one in entries(run.folder)] == [trained + 1]


class Counted(Local):
    """Counts its connections."""

    connections = 0

    def connect(self) -> AbstractContextManager[Cluster]:
        Counted.connections += 1
        return super().connect()


def test_from_python_with_a_table_in_one_connection(base: tuple[Path, str], tmp_path: Path) -> None:
    frame, space = market(), base[0] / "tiny.py"
    left_out = ("space", "data.path")
    words: dict[str, Any] = {
        key.replace(".", "_"): value for key, value in WORDS.items() if key not in left_out
    }
    words |= {"runs_dir": str(tmp_path), "enqueue": str(base[0] / "hand.json")}
    run = launch(space, frame, backend=lambda settings: Counted(), placebo=1, **words)
    assert run is not None
    assert Counted.connections == 1
    same = entries(base[0] / "runs" / "x")[0]
    assert entries(run.folder) == [same | {key: pytest.approx(same[key], rel=1e-5)
                                           for key in ("best", "choice")}]  # fmt: skip
    with pytest.raises(UserError, match=r"launch\(…, name='x', resume=True, placebo=2\)"):
        command.main([str(run.folder), "placebos=2"], local)
    again = launch(space, frame, backend=local, placebo=2, **words, resume=True)
    assert again is not None
    assert [one["number"] for one in entries(again.folder)] == [1, 2]


def test_files_on_another_disk_are_of_each_placebo_alone(base: tuple[Path, str], tmp_path: Path):
    write_inputs(tmp_path)
    words = WORDS | {"name": "a", "trials": 1, "placebo": 2, "storage_path": "files"}
    tiny.search(tmp_path, words)
    models = [file.read_bytes() for file in tmp_path.glob("files/a/**/trials/0/model.safetensors")]
    assert len(models) == len({*models}) == 3
    assert (tmp_path / "files" / "a" / "placebos" / "02" / "trials" / "0").is_dir()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runs/x", "placebos=0"], "placebos=0: expected 1 to 999"),
        (["runs/x", "trials=9"], "unknown setting 'trials'"),
        (["placebos=3"], "no run folder named; usage: python -m search.placebo runs/NAME"),
        (["runs/y"], "no run folder runs/y; runs holds x"),
    ],
)
def test_what_a_person_gets_wrong(
    words: list[str], said: str, base: tuple[Path, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with chdir(base[0]):
        assert status_of(lambda: command.main(words, local)) == 2
    assert said in capsys.readouterr().err


def test_labels_that_cannot_be_moved_are_refused_before_the_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_inputs(tmp_path, tiny.SPACE.replace('"4", ', '"4", "data/window": 18, '))
    with chdir(tmp_path):
        words = WORDS | {"placebo": 1}
        assert search_here(*(f"{key}={text}" for key, text in words.items())) == 2
    assert "no placebo: the validation part has labels on 74 bars" in capsys.readouterr().err
    assert not (tmp_path / "runs").exists()


def test_a_search_that_has_not_ended_gets_none(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = home / "runs" / "x"
    changed = record(run) | {"state": "interrupted"}
    del changed["crc32"]
    (run / "run.json").write_text(json.dumps(changed), encoding="utf-8")
    train(home, status=2)
    assert "its search has not ended" in capsys.readouterr().err
    (run / "placebos.json").write_text("{}", encoding="utf-8")
    assert "Placebo:" not in " ".join(summary_sentences(load_run(run)))


def test_a_dry_run_says_what_they_cost(base: tuple[Path, str]) -> None:
    _, said = tiny.search_and_listen(
        base[0], WORDS | {"name": "y", "placebo": 19, "dry_run": "true"}
    )
    assert "Its 19 placebos after it: about " in re.sub(r"\s+", " ", said)
