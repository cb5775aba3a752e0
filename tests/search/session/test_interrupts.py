"""A search that is interrupted, killed, or loses a worker: resumed, it equals one that was not."""

import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from search.run import main
from search.session.interrupts import ONE_WISH_S, SIGNALS, Interrupts
from search.session.observer import SearchObserver
from tests.fixtures.here import interrupt_after, once_after, search_here
from tests.fixtures.searches import (
    LIGHT,
    MARKET,
    SEARCH_LOCALLY,
    TINY,
    Search,
    check_whole,
    command,
    contents,
    process_of,
    run,
    started,
    table,
    write_space,
)
from trainable.cli.errors import UserError

# Many cohorts of two: enough reports to be interrupted between.
SLOW = (
    "steps_per_epoch=400", "epochs=6", "rungs=2,6", "finalist_seeds=1", "trials=10", "cohort=2",
    *LIGHT,
)  # fmt: skip


def reported(search: Search, folder: Path, shards: int) -> None:
    """Waits until so many batches of reports are on disk."""
    search.until(lambda: len(list(folder.glob("shards/[0-9]*.parquet"))) >= shards)


def epochs_kept(folder: Path) -> set[tuple[int, int]]:
    epochs = table(folder, "epochs")
    return set(zip(epochs["number"], epochs["epoch"], strict=True))


def interrupted(search: Search, folder: Path, number: signal.Signals, to_group: bool) -> None:
    """Sends a signal and checks the clean end that follows."""
    begun = time.monotonic()
    search.send(number, to_group)
    assert search.wait() == 130, search.err
    assert time.monotonic() - begun < 30  # Ray's own end is most of it
    assert search.survivors() == set()
    assert contents(search.tmp) == []
    check_interrupted(folder, search)


def check_interrupted(folder: Path, said: Any) -> None:
    """Checks what an interrupted search said, its `out` and `err`, and what it left."""
    assert said.err == "", said.err
    assert f"next  python -m search.run name={folder.name} resume=true" in said.out
    trials = table(folder, "trials")
    running = trials[trials["state"] == "RUNNING"]
    assert len(running)
    assert set(running["stop_reason"]) == {"interrupted"}
    assert json.loads((folder / "run.json").read_text())["interrupted"] is True


@pytest.mark.timeout(900)  # four sessions, the first with Ray
def test_without_a_worker_interrupted_twice_and_killed_it_ends_as_if_nothing_had_been(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    restored: None,
) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # these tests may themselves run under nohup
    write_space(tmp_path)
    hiding = ("random.py", "getopt.py")  # workers import the second one late
    for name in hiding:
        write_space(tmp_path, "raise SystemExit('it hides a module of Python')", name)
    folder = tmp_path / "runs" / "long"
    words = [*MARKET, *SLOW, "space=tiny.py", "name=long"]
    again = ["name=long", "resume=true"]
    with started(tmp_path, *words, long_tmp=True) as search:
        reported(search, folder, 1)
        of_ray = Path(command(process_of(search, "search.backend.cluster") or 0).split("\0")[4])
        assert of_ray.is_dir()
        # It imported torch while it waited, and Ray did not end it as Tune reserved its core.
        assert len(list(of_ray.glob("session_latest/logs/worker-*.out"))) == 1
        search.until(lambda: process_of(search, "ray::ResourceTrainable") is not None)
        os.kill(process_of(search, "ray::ResourceTrainable") or 0, signal.SIGKILL)
        reported(search, folder, len(list(folder.glob("shards/*"))) + 1)
        interrupted(search, folder, signal.SIGINT, to_group=True)
        assert not of_ray.exists()
    assert "A worker was lost: its trials go on from their checkpoints." in search.out
    first = epochs_kept(folder)
    assert first

    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"'long' exists; add resume=true"):
        main(words)

    for name in hiding:  # from `python -c`, as the next is started, they do
        (tmp_path / name).unlink()
    with started(tmp_path, *again, program=SEARCH_LOCALLY) as search:
        have = len(list(folder.glob("shards/*")))
        reported(search, folder, have + 1)
        search.send(signal.SIGKILL)
        assert search.wait() == -signal.SIGKILL

    def closed() -> None:  # the terminal
        os.kill(os.getpid(), signal.SIGHUP)

    have = len(list(folder.glob("shards/*.parquet")))
    with patch.object(SearchObserver, "tick", once_after(have + 1, closed)):
        assert search_here(*again) == 130
    check_interrupted(folder, capfd.readouterr())
    assert first < epochs_kept(folder)

    assert search_here(*again) == 0
    rows = check_whole(folder, searched=10)
    assert set(rows["state"]) <= {"COMPLETE", "PRUNED"}
    assert first < epochs_kept(folder)
    described = json.loads((folder / "run.json").read_text())
    assert len(described["resumed"]) == 3
    assert described["interrupted"] is False
    assert contents(tmp_path) == ["runs", "tiny.py"]


def test_a_worker_that_hangs_is_ended_and_only_the_culprit_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A checkpoint on a file system that does not answer, played by a pipe that nobody fills."""
    write_space(tmp_path)
    folder = tmp_path / "runs" / "stuck"
    unjudged = ("steps_per_epoch=300", "epochs=6", "rungs=6", "finalist_seeds=1", "trials=5",
                "cohort=2", "checkpoint_steps=150")  # fmt: skip
    monkeypatch.chdir(tmp_path)
    with patch.object(SearchObserver, "tick", interrupt_after(2)):
        assert search_here(*MARKET, *unjudged, "space=tiny.py", "name=stuck", *LIGHT) == 130
    trials = table(folder, "trials").set_index("number")
    saved = {int(path.parent.name) for path in folder.glob("trials/*/checkpoint-*")}
    culprit = min(number for number in saved if trials.loc[number, "state"] == "RUNNING")
    for path in folder.glob(f"trials/{culprit}/checkpoint-*"):
        path.unlink()
        os.mkfifo(path)
    search = run(tmp_path, "name=stuck", "resume=true", "patience_s=8")
    rows = check_whole(folder, searched=5).set_index("number")
    assert rows.loc[culprit, "stop_reason"] == "hung"
    assert set(rows.drop(index=culprit)["state"]) <= {"COMPLETE", "PRUNED"}
    assert f"hung: trials {culprit}; see runs/stuck/trials/{culprit}/error.txt" in search.out
    where = (folder / "trials" / str(culprit) / "error.txt").read_text()
    assert "checkpoint.py" in where
    assert "no sign of life for 8 s" in where


@pytest.fixture
def restored() -> Iterator[None]:
    """Puts the handlers of signals back."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_somebody_swallows_before_the_search_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restored: None, number: signal.Signals
) -> None:
    monkeypatch.chdir(tmp_path)
    swallow = f"""import os, time
try:
    os.kill(os.getpid(), {int(number)})
    time.sleep(20)
except KeyboardInterrupt:
    pass
"""
    write_space(tmp_path, TINY.replace("EPOCHS", swallow + "EPOCHS"))
    signal.signal(number, signal.SIG_DFL)  # these tests may themselves run under nohup
    with pytest.raises(KeyboardInterrupt):
        search_here(*MARKET, "space=tiny.py")
    assert contents(tmp_path) == ["tiny.py"]


def test_a_hang_up_that_was_ignored_at_the_start_stays_so(restored: None) -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # by nohup
    with Interrupts(at_once=True) as interrupts:
        os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.asked is None
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_signals_that_come_together_are_one_wish(
    restored: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`timeout` sends its signal twice; of a closed terminal the kernel and the shell tell."""
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with Interrupts() as interrupts:
        for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGHUP):
            os.kill(os.getpid(), number)
        now += 10 * ONE_WISH_S
        os.kill(os.getpid(), signal.SIGHUP)
        assert interrupts.asked == "SIGTERM"
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGTERM)


def test_handlers_of_somebody_else_stay(restored: None) -> None:
    heard: list[int] = []
    signal.signal(signal.SIGUSR1, lambda number, frame: heard.append(number))
    with Interrupts(at_once=True) as interrupts:
        os.kill(os.getpid(), signal.SIGUSR1)
    assert (heard, interrupts.asked) == ([signal.SIGUSR1], None)
