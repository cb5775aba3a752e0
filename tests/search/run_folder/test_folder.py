"""The run folder: refused in one line where it cannot work, and nothing left behind."""

import errno
import fcntl
import json
import os
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from search.run_folder import folder, lock
from search.run_folder.folder import RunFolder
from trainable.cli.errors import UserError
from trainable.io import atomic
from trainable.io.checksums import checked


def kept(path: Path) -> None:
    (path / "run.json").write_text("{}")


def test_a_new_run_makes_its_folder_and_lets_go_at_the_end(tmp_path: Path):
    with RunFolder.create(tmp_path / "runs", "1.10") as run:
        assert run.path == tmp_path / "runs" / "1.10"
        assert run.name == "1.10"
        assert not run.resumed
        owner = json.loads((run.path / lock.LOCK).read_text())
        assert owner["pid"] == os.getpid()
        assert run.trial(7) == run.path / "trials" / "7"
        assert run.trial(7).is_dir()
    assert not (run.path / lock.LOCK).exists()
    assert not list(run.path.rglob("*.tmp"))


def test_an_existing_run_needs_resume(tmp_path: Path):
    with RunFolder.create(tmp_path, "x") as run:
        kept(run.path)
    with pytest.raises(UserError) as error:
        RunFolder.create(tmp_path, "x")
    assert str(error.value) == "run 'x' exists; add resume=true to go on, or choose another name"
    with RunFolder.create(tmp_path, "x", resume=True) as run:
        assert run.resumed


def test_resuming_a_missing_run_offers_the_closest(tmp_path: Path):
    with pytest.raises(UserError, match=r"no run 'x' to resume: .*runs holds none"):
        RunFolder.create(tmp_path / "runs", "x", resume=True)
    assert not (tmp_path / "runs").exists()
    for name in ("conservative-1", "medium-1"):
        with RunFolder.create(tmp_path, name) as run:
            kept(run.path)
    with pytest.raises(UserError, match="did you mean 'conservative-1'"):
        RunFolder.create(tmp_path, "conservativ-1", resume=True)


def test_one_driver_at_a_time(tmp_path: Path):
    with RunFolder.create(tmp_path, "x") as run:
        kept(run.path)
        with pytest.raises(UserError, match=rf"driven by process {os.getpid()} on "):
            RunFolder.create(tmp_path, "x", resume=True)
        assert json.loads((run.path / lock.LOCK).read_text())["pid"] == os.getpid()
    RunFolder.create(tmp_path, "x", resume=True).close()


@pytest.mark.parametrize("content", [None, "", '{"pid": 12', "[1]"])
def test_the_lock_of_a_dead_process_of_this_host_is_taken_over(tmp_path: Path, content: str | None):
    dead = json.dumps({"pid": 2**22 + 1, "host": socket.gethostname()})
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / lock.LOCK).write_text(dead if content is None else content)
    with RunFolder.create(tmp_path, "x", resume=True) as run:
        assert json.loads((run.path / lock.LOCK).read_text())["pid"] == os.getpid()


def test_the_lock_of_another_host_is_respected(tmp_path: Path):
    (tmp_path / "x").mkdir()
    file = tmp_path / "x" / lock.LOCK
    file.write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    with pytest.raises(UserError, match=r"process 1 on elsewhere; .* remove .*driver.lock"):
        RunFolder.create(tmp_path, "x", resume=True)
    assert json.loads(file.read_text())["host"] == "elsewhere"


def test_a_full_disk_at_the_start_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def full(path: Path, content: bytes) -> None:
        path.write_bytes(content[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folder, "write_bytes", full)
    with pytest.raises(UserError) as error:
        RunFolder.create(tmp_path / "a" / "runs", "x")
    assert str(error.value) == (
        f"cannot write to {tmp_path}/a/runs/x: No space left on device; "
        "free some space there, or choose another folder with runs_dir=PATH"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_at_resume_removes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with RunFolder.create(tmp_path, "x") as run:
        kept(run.path)

    def full(path: Path, content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(folder, "write_bytes", full)
    with pytest.raises(UserError, match="No space left"):
        RunFolder.create(tmp_path, "x", resume=True)
    assert [p.name for p in run.path.iterdir()] == ["run.json"]


def test_a_read_only_runs_dir_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def read_only(self: Path, *_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", read_only)
    with pytest.raises(UserError, match=r"Read-only file system; .* runs_dir=PATH"):
        RunFolder.create(tmp_path / "runs", "x")


def test_a_runs_dir_that_is_a_file_is_named(tmp_path: Path):
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(UserError, match=r"runs is no folder; choose another folder"):
        RunFolder.create(tmp_path / "runs", "x")
    assert (tmp_path / "runs").read_text() == "not a folder"


def test_discard_removes_what_holds_nothing_and_only_that(tmp_path: Path):
    run = RunFolder.create(tmp_path / "a" / "runs", "x")
    (run.path / "study.log").write_text("asked, nothing trained")
    assert run.discard()
    assert list(tmp_path.iterdir()) == []
    run = RunFolder.create(tmp_path, "x")
    kept(run.path)
    assert not run.discard()
    assert (run.path / "run.json").exists()
    run = RunFolder.create(tmp_path, "x", resume=True)
    (run.path / "run.json").unlink()
    assert not run.discard()  # it was there before: not ours to remove
    assert run.path.exists()


@dataclass(frozen=True)
class Part:
    where: Path


def test_json_is_strict_and_knows_our_types(tmp_path: Path):
    with RunFolder.create(tmp_path, "x") as run:
        run.write_json(
            "run.json",
            {
                "n": np.int64(3),
                "x": np.float32(0.5),
                "a": np.arange(2),
                "t": datetime(2026, 1, 2, tzinfo=UTC),
                "p": Part(Path("data/é")),
            },
        )
        assert checked(json.loads((run.path / "run.json").read_text())) == {
            "n": 3,
            "x": 0.5,
            "a": [0, 1],
            "t": "2026-01-02T00:00:00+00:00",
            "p": {"where": "data/é"},
        }
        with pytest.raises(ValueError, match="JSON compliant"):
            run.write_json("run.json", {"n": float("nan")})
        with pytest.raises(TypeError, match="object"):
            run.write_json("run.json", {"n": object()})
        assert "n" in json.loads((run.path / "run.json").read_text())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with RunFolder.create(tmp_path, "x") as run:
        run.write_parquet("t.parquet", pd.DataFrame({"number": [1]}))

        def full(path: Path, content: bytes) -> None:
            path.write_bytes(b"half")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(atomic, "write_bytes", full)
        with pytest.raises(UserError, match=r"t\.parquet: No space left on device; .*resume=true"):
            run.write_parquet("t.parquet", pd.DataFrame({"number": [2]}))
        assert list(pd.read_parquet(run.path / "t.parquet")["number"]) == [1]
        assert not list(run.path.glob("*.tmp")) + list(run.path.glob(".*.tmp"))


def test_several_drive_a_run_whose_study_can_be_shared(tmp_path: Path):
    with RunFolder.create(tmp_path, "x", shared=True) as run:
        kept(run.path)
        with RunFolder.create(tmp_path, "x", resume=True, shared=True) as other:
            assert run.driver != other.driver
            assert [driver["pid"] for driver in lock.drivers_of(run.path)] == [os.getpid()] * 2
            assert lock.dead_drivers(run.path) == []
        assert len(lock.drivers_of(run.path)) == 1
    assert lock.drivers_of(run.path) == []


def test_drivers_that_died_on_this_host_are_known_and_others_left_alone(tmp_path: Path):
    with RunFolder.create(tmp_path, "x", shared=True) as run:
        for name, host in (("dead", socket.gethostname()), ("far", "elsewhere")):
            owner = json.dumps({"pid": 2**22 + 1, "host": host})
            (run.path / f"driver-{name}.lock").write_text(owner)
        (run.path / "driver-torn.lock").write_text("")
        assert lock.dead_drivers(run.path) == ["dead"]
        lock.forget_others(run.path, run.driver)
        assert [p.name for p in run.path.glob("*.lock")] == [f"driver-{run.driver}.lock"]


@pytest.mark.parametrize("error", [None, errno.ENOLCK, errno.EACCES])
def test_a_lock_on_nfs_is_judged_and_where_it_cannot_be_its_driver_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: int | None
):
    def flock(file: Any, _: int) -> None:
        read_only = fcntl.fcntl(file, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY
        if wrong := errno.EBADF if read_only else error:
            raise OSError(wrong, os.strerror(wrong))

    file = tmp_path / "driver-dead.lock"
    file.write_text(json.dumps({"pid": 2**22 + 1, "host": socket.gethostname()}))
    monkeypatch.setattr(fcntl, "flock", flock)
    if error is None:
        lock.check_alone(tmp_path, tmp_path / "driver-mine.lock")
        assert lock.dead_drivers(tmp_path) == ["dead"]
    else:
        assert lock.dead_drivers(tmp_path) == []
        with pytest.raises(UserError, match="by process"):
            lock.check_alone(tmp_path, tmp_path / "driver-mine.lock")
