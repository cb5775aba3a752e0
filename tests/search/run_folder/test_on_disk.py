"""A file of a run is on the disk before it takes its name, and its name is before anybody goes on.

A machine that loses power in between would leave a name without content.
"""

import os
import stat
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.fixtures import tiny
from trainable.io.atomic import write_new


class Event(NamedTuple):
    """A file or folder that was waited for, or a file that took a name."""

    what: str
    inode: int
    path: Path | None = None


@pytest.fixture(scope="module")
def events(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Event]]:
    """A whole search, and what it asked of the disk."""
    folder = tmp_path_factory.mktemp("disk")
    tiny.write_inputs(folder)
    seen: list[Event] = []
    with pytest.MonkeyPatch.context() as patch:
        plain_sync = os.fsync

        def sync(descriptor: int) -> None:
            plain_sync(descriptor)
            seen.append(Event("sync", os.fstat(descriptor).st_ino))

        patch.setattr(os, "fsync", sync)
        patch.setattr(os, "fdatasync", sync)
        for name in ("replace", "rename", "link"):
            patch.setattr(os, name, noting(name, getattr(os, name), seen))
        run = tiny.search(folder, tiny.WORDS | {"rungs": "1,2"})
    return run, seen


def noting(name: str, plain: Any, seen: list[Event]) -> Any:
    def moved(source: Any, target: Any, *args: Any, **more: Any) -> None:
        file = Path(source).lstat()
        plain(source, target, *args, **more)
        if stat.S_ISREG(file.st_mode):  # Optuna's lock is a link
            seen.append(Event(name, file.st_ino, Path(target).absolute()))

    return moved


def moves(events: tuple[Path, list[Event]]) -> dict[Path, list[int]]:
    """Where in the course of events each file of the run took its name."""
    run, seen = events
    found: dict[Path, list[int]] = {}
    for i, event in enumerate(seen):
        if event.path is not None and run in event.path.parents:
            found.setdefault(event.path.relative_to(run), []).append(i)
    return found


def test_everything_of_a_run_takes_its_name_when_it_is_whole(
    events: tuple[Path, list[Event]],
) -> None:
    names = {str(path) for path in moves(events)}
    assert {"run.json", "trials.parquet", "epochs.parquet", "returns.parquet",
            "predictions.parquet"} <= names  # fmt: skip
    assert sum(name.startswith("shards/") for name in names) >= 3
    assert any(name.startswith("best/") for name in names)


def test_a_file_is_on_the_disk_before_it_takes_its_name(events: tuple[Path, list[Event]]) -> None:
    _, seen = events
    for path, times in moves(events).items():
        for i in times:
            before = [event.inode for event in seen[:i] if event.what == "sync"]
            assert seen[i].inode in before, path


def test_its_name_is_on_the_disk_before_the_next_one(events: tuple[Path, list[Event]]) -> None:
    """The folder is waited for before any other file of the run takes its name."""
    run, seen = events
    times = sorted(i for found in moves(events).values() for i in found)
    for i, following in zip(times, [*times[1:], len(seen)], strict=True):
        path = seen[i].path
        assert path is not None
        if not path.parent.exists():  # shards go when there are tables
            assert path.parent == run / "shards"
            assert any(event.what == "sync" for event in seen[i + 1 : following])
            continue
        folder = path.parent.stat().st_ino
        assert Event("sync", folder) in seen[i + 1 : following], path


def test_the_study_is_on_the_disk_after_every_entry(events: tuple[Path, list[Event]]) -> None:
    run, seen = events
    inode = (run / "study.log").stat().st_ino
    assert seen.count(Event("sync", inode)) >= 3


def test_a_file_that_several_may_write_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    plain_sync, plain_link = os.fsync, os.link

    def sync(descriptor: int) -> None:
        plain_sync(descriptor)
        done.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")

    def link(*args: Any, **more: Any) -> None:
        plain_link(*args, **more)
        done.append("name")

    monkeypatch.setattr(os, "fsync", sync)
    monkeypatch.setattr(os, "link", link)
    assert write_new(tmp_path / "a", b"ours", "d1")
    assert done == ["file", "name", "folder"]
    assert not write_new(tmp_path / "a", b"theirs", "d2")
    assert (tmp_path / "a").read_bytes() == b"ours"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
