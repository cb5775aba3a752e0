"""Temporary folders: short enough for Ray, and removed once their process is dead, not before."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from search.backend import scratch_folder
from search.backend.local_ray import LONGEST
from search.backend.scratch_folder import ScratchFolder
from tests.fixtures.searches import ROOT, contents
from trainable.cli.errors import UserError

HOLD = """import os, signal, subprocess, sys
from search.backend.scratch_folder import ScratchFolder
made = ScratchFolder()
(made.path / "content").mkdir()
(made.path / "content" / "file").write_text("x")
child = None
if sys.argv[1:]:
    words = [sys.executable, "-c", "import time; time.sleep(60)"]
    child = subprocess.Popen(words, pass_fds=[made.lock], stdout=subprocess.DEVNULL)
print(made.path, child.pid if child else 0, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def tmp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Returns the only place for temporary folders."""
    place = tmp_path / "tmp"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    monkeypatch.setattr(scratch_folder, "PLACES", ())
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    return place


def holding(tmp: Path, *words: str) -> tuple[subprocess.Popen[str], Path, int]:
    """Starts a process that has a temporary folder; with a word, a child that holds it too."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, *words],
        env={**os.environ, "TMPDIR": str(tmp), "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    path, child = process.stdout.readline().split()
    return process, Path(path), int(child)


def killed(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def test_what_a_kill_leaves_goes_with_the_next_start_and_what_lives_stays(tmp: Path) -> None:
    dead, of_dead, _ = holding(tmp)
    alive, of_alive, _ = holding(tmp)
    orphan, of_orphan, child = holding(tmp, "with a child")
    killed(dead)
    killed(orphan)
    (tmp / "asharpe-other").mkdir()  # of somebody else: it has no lock of ours
    (tmp / "asharpe-file").touch()
    (tmp / "asharpe-link").symlink_to(of_alive)
    try:
        with ScratchFolder() as made:
            found = set(contents(tmp))
            assert {of_alive.name, of_orphan.name, made.path.name} < found
            assert {"asharpe-other", "asharpe-file", "asharpe-link"} < found
            assert of_dead.name not in found
        assert made.path.name not in contents(tmp)
    finally:
        os.kill(child, signal.SIGKILL)
        killed(alive)
    deadline = 100
    while of_orphan.exists() and deadline:
        ScratchFolder().remove()
        deadline -= 1
    assert contents(tmp) == ["asharpe-file", "asharpe-link", "asharpe-other"]


def test_a_folder_is_for_its_owner_only(tmp: Path) -> None:
    with ScratchFolder() as made:
        assert made.path.parent == tmp
        assert made.path.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("length", [39, 60, 100])
def test_a_long_temporary_folder_gives_way_to_one_that_fits(
    tmp: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, length: int
) -> None:
    long = tmp / ("x" * length)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with tempfile.TemporaryDirectory(prefix="p", dir="/tmp") as short:
        monkeypatch.setattr(scratch_folder, "PLACES", (short,))
        with ScratchFolder(LONGEST) as made:
            assert made.path.parent == Path(short)
            assert len(os.fsencode(made.path)) <= LONGEST
        assert contents(Path(short)) == contents(long) == []


def test_its_length_counts_in_bytes_as_ray_names_its_sockets() -> None:
    socket = "/session_2026-11-29_12-34-56_123456_4194304/sockets/plasma_store"
    assert LONGEST + len(socket) == (103 if sys.platform == "darwin" else 107)


def test_nowhere_to_go(tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scratch_folder, "PLACES", ("/proc",))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp / ("ü" * 40)))
    with pytest.raises(UserError, match=r"is too long; /proc: .*; set TMPDIR to .* at most 26 cha"):
        ScratchFolder(LONGEST)
