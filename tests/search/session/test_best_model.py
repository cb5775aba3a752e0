"""A finalist's model that is damaged or gone: it is named, and everything else is written."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from unittest.mock import patch

import pytest
from safetensors.torch import load_file

from search.session.observer import SearchObserver
from tests.fixtures.here import interrupt_after, search_here
from tests.fixtures.searches import MARKET, table, write_space
from trainable import predict

WORDS = (
    *MARKET, "space=tiny.py", "trials=6", "finalist_seeds=2", "rungs=1,2,4", "cohort=4",
    "report=false",
    "checkpoint_steps=8", "name=done",
)  # fmt: skip
AGAIN = ("name=done", "resume=true")


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("done")
    write_space(path)
    with chdir(path):
        assert search_here(*WORDS) == 0
    return path


@pytest.fixture
def run(done: Path, tmp_path: Path) -> Iterator[Path]:
    """A fresh copy of a finished run, in the present folder."""
    home = tmp_path / "home"
    shutil.copytree(done, home)
    with chdir(home):
        yield Path("runs/done")


def finalists(run: Path) -> list[int]:
    trials = table(run, "trials")
    ended = trials.query("state == 'COMPLETE' and kind != 'baseline'")
    return ended["number"].tolist()


def best(run: Path) -> int:
    return predict.load(run / "best").facts["number"]


def gone(trial: Path) -> None:
    shutil.rmtree(trial)


def only_model_gone(trial: Path) -> None:
    (trial / predict.MODEL).unlink()
    for file in trial.glob("checkpoint-*"):
        file.unlink()


def flipped(trial: Path) -> None:
    content = bytearray((trial / predict.MODEL).read_bytes())
    content[len(content) // 2] ^= 1
    (trial / predict.MODEL).write_bytes(content)


def empty(trial: Path) -> None:
    for file in trial.iterdir():
        if file.is_file():
            file.write_bytes(b"")


@pytest.mark.parametrize("harm", [gone, only_model_gone, flipped, empty])
def test_a_finalist_whose_model_is_lost_is_named_and_the_ranking_stands(
    run: Path, harm: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    trials = table(run, "trials")
    kept, (number, *_) = set(finalists(run)), sorted(set(finalists(run)) - {best(run)})
    exported = run / "best/members" / str(best(run)) / predict.MODEL
    model = load_file(exported)
    (run / "predictions.parquet").unlink()
    (run / "trials.parquet").unlink()
    copy = shutil.copytree(run / "trials" / str(number), run.parent / "copy")
    harm(run / "trials" / str(number))
    capsys.readouterr()
    assert search_here(*AGAIN) == 2
    shown = capsys.readouterr()
    (line,) = shown.err.splitlines()
    assert line.startswith("error: ")
    assert f"trials/{number}/" in line
    assert "restore the file from a copy and go on with resume=true" in line
    assert " ranks first: " in shown.out
    assert table(run, "trials")["number"].equals(trials["number"])
    assert set(table(run, "predictions")["number"]) == kept - {number}
    again = load_file(exported)
    assert all(again[name].equal(tensor) for name, tensor in model.items())
    shutil.rmtree(run / "trials" / str(number), ignore_errors=True)
    shutil.copytree(copy, run / "trials" / str(number))
    assert search_here(*AGAIN) == 0
    assert set(table(run, "predictions")["number"]) == kept


def test_the_winners_lost_model_is_named_and_what_was_exported_stays(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = best(run)
    flipped(run / "trials" / str(number))
    (run / "trials.parquet").unlink()  # else nothing is left to do, and nothing is looked at
    capsys.readouterr()
    assert search_here(*AGAIN) == 2
    line = capsys.readouterr().err
    assert f"trials/{number}/{predict.MODEL}" in line
    assert "the ranking stands and everything else has been written" in line
    assert best(run) == number


def test_interrupted_it_names_the_lost_model_and_how_to_go_on(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    number = best(run)
    gone(run / "trials" / str(number))
    capsys.readouterr()
    with patch.object(SearchObserver, "tick", interrupt_after(0)):
        assert search_here(*AGAIN, "trials=8") == 130
    shown = capsys.readouterr()
    assert shown.err == ""
    assert f"trials/{number}" in shown.out
    assert "python -m search.run name=done resume=true" in shown.out
