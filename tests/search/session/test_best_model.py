"""A model that is damaged or gone: made again from its checkpoint or seed, or said to be lost."""

import os
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import chdir
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from safetensors.torch import load_file

from search.session.observer import SearchObserver
from tests.fixtures.here import interrupt_after, search_here
from tests.fixtures.searches import MARKET, table, write_space
from trainable import predict
from trainable.training.loop import Training
from trainable.training.member import Member
from trainable.worker import model_files

WORDS = (
    *MARKET, "space=tiny.py", "trials=6", "finalist_seeds=2", "rungs=1,2,4", "cohort=4",
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
def test_a_finalist_without_a_model_trains_again_to_the_same(
    run: Path, harm: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    before, model = table(run, "predictions"), load_file(run / "best" / predict.MODEL)
    numbers = finalists(run)
    assert len(numbers) >= 2
    (run / "predictions.parquet").unlink()
    for number in numbers:
        harm(run / "trials" / str(number))
    capsys.readouterr()
    assert search_here(*AGAIN) == 0
    said = capsys.readouterr().err
    for number in numbers:
        assert f"trials/{number}/" in said
    assert said.count("made again") == len(numbers)
    after = table(run, "predictions")
    keys = ["number", "timestamp", "symbol"]
    assert after[keys].equals(before[keys])
    np.testing.assert_allclose(after["prediction"], before["prediction"], atol=1e-5)
    again = load_file(run / "best" / predict.MODEL)
    assert all(again[name].allclose(tensor, atol=1e-4) for name, tensor in model.items())
    assert search_here(*AGAIN) == 0  # and is kept
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("epochs", "loss"), [(1, 1.0), (0, 1.01)])
def test_what_does_not_train_to_the_same_is_lost_and_all_else_is_written(
    run: Path, capsys: pytest.CaptureFixture[str], epochs: int, loss: float
) -> None:
    number, trials = best(run), table(run, "trials")
    (run / "predictions.parquet").unlink()
    (run / "trials.parquet").unlink()
    gone(run / "trials" / str(number))
    real = model_files._trained

    def another(*args: Any) -> Member:
        member = real(*args)
        member.best_epoch += epochs
        assert member.best_val_loss is not None
        member.best_val_loss *= loss
        return member

    capsys.readouterr()
    with patch.object(model_files, "_trained", another):
        assert search_here(*AGAIN) == 2
    said = capsys.readouterr().err.splitlines()
    (line,) = [line for line in said if line.startswith("error: ")]
    assert f"trials/{number}/model.safetensors is damaged or gone" in line
    assert "go on with resume=true; everything else has been written" in line
    assert table(run, "trials")["number"].equals(trials["number"])
    kept = set(table(run, "predictions")["number"])
    assert kept == set(finalists(run)) - {number}
    assert not (run / "trials" / str(number) / predict.MODEL).exists()
    assert search_here(*AGAIN) == 0  # it can be made, after all
    assert set(table(run, "predictions")["number"]) == {*kept, number}


def test_a_trial_that_was_resumed_with_more_epochs_is_made_again_with_these(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    fixed = ("fix.schedule/name=warmup_cosine", "fix.schedule/warmup_steps=2")
    words = (*MARKET, "space=tiny.py", "trials=1", "finalist_seeds=1", "name=done", *fixed)
    with patch.object(SearchObserver, "tick", interrupt_after(0)):
        assert search_here(*words) == 130
    assert search_here(*AGAIN, "epochs=6") == 0
    run = Path("runs/done")
    model, (number,) = load_file(run / "best" / predict.MODEL), finalists(run)
    assert table(run, "epochs")["epoch"].max() == 6
    gone(run / "trials" / str(number))
    assert search_here(*AGAIN, "epochs=6") == 0
    again = load_file(run / "best" / predict.MODEL)
    assert all(again[name].allclose(tensor, atol=1e-4) for name, tensor in model.items())


def test_interrupted_it_makes_nothing_again_and_says_so(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run / "predictions.parquet").unlink()
    for number in finalists(run):
        gone(run / "trials" / str(number))
    real = model_files._trained

    def interrupted(*args: Any) -> Member:
        os.kill(os.getpid(), signal.SIGINT)
        return real(*args)

    def advance(*_: object) -> None:
        raise AssertionError("it trains")

    with (
        patch.object(model_files, "_trained", interrupted),
        patch.object(Training, "advance", advance),
    ):
        capsys.readouterr()
        with pytest.raises(KeyboardInterrupt):
            search_here(*AGAIN)
        shown = capsys.readouterr()
        assert shown.err.count("it is made again") == 1
        assert "was not made again, since the search was interrupted: go on with" in shown.out
        with patch.object(SearchObserver, "tick", interrupt_after(0)):
            assert search_here(*AGAIN, "trials=8") == 130
        shown = capsys.readouterr()
        assert "made again" not in shown.err
        assert "was not made again, since the search was interrupted" in shown.out
    assert search_here(*AGAIN) == 0
    assert set(table(run, "predictions")["number"]) >= set(finalists(run))
