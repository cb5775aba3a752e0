"""A place for the trials' files: whole files, on any file system."""

import pickle
from pathlib import Path

import pytest
from pyarrow import fs

from trainable.cli.errors import UserError
from trainable.io.file_store import FileStore


def memory(tmp_path: Path) -> FileStore:
    """A file system that is not the local one, as pyarrow sees it."""
    return FileStore(fs.SubTreeFileSystem(str(tmp_path), fs.LocalFileSystem()), "bucket/run")


@pytest.fixture(params=["path", "url", "other"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    where = tmp_path / "bucket" / "run"
    where.mkdir(parents=True)
    if request.param == "other":
        return memory(tmp_path)
    return FileStore.of(where if request.param == "path" else f"file://{where}/")


def test_files_are_written_read_renamed_and_removed(place: FileStore, tmp_path: Path) -> None:
    assert place.names() == []
    place.write("b", b"two")
    place.write("a", b"one")
    place.write("a", b"new")
    assert place.names() == ["a", "b"]
    assert place.read("a") == b"new"
    assert (tmp_path / "bucket" / "run" / "a").read_bytes() == b"new"
    place.rename("a", "b")
    assert place.names() == ["b"]
    assert place.read("b") == b"new"
    assert place.has("b")
    assert not place.has("a")
    place.remove("b")
    assert place.names() == []
    with pytest.raises(OSError, match="b"):
        place.read("b")


def test_a_folder_is_cleared_whether_it_is_there_or_not(place: FileStore, tmp_path: Path) -> None:
    place.write("a", b"")
    trial = place.within("trials", 7)
    (tmp_path / "bucket" / "run" / "trials" / "7").mkdir(parents=True)
    trial.write("b", b"")
    place.within("trials").clear()
    assert trial.names() == []
    assert place.names() == ["a"]
    place.within("missing").clear()
    assert not (tmp_path / "bucket" / "run" / "missing").exists()


def test_a_folder_within_is_made_when_first_written_to(tmp_path: Path) -> None:
    trial = FileStore.of(tmp_path).within("trials", 7)
    assert trial.names() == []
    assert not trial.has("x")
    trial.write("x", b"")
    assert (tmp_path / "trials" / "7" / "x").read_bytes() == b""
    assert FileStore.of(tmp_path).within("trials").names() == []  # folders are no files


def test_a_file_is_there_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = FileStore.of(tmp_path)
    place.write("a", b"old")

    def fail(*args: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(place, "rename", fail)
    with pytest.raises(OSError, match="No space"):
        place.write("a", b"new")
    assert place.read("a") == b"old"


def test_a_place_travels_to_the_workers(tmp_path: Path) -> None:
    place = pickle.loads(pickle.dumps(FileStore.of(tmp_path).within("trials")))  # noqa: S301
    place.write("a", b"one")
    assert (tmp_path / "trials" / "a").read_bytes() == b"one"


def test_a_relative_path_is_where_the_driver_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    place = FileStore.of("runs")
    monkeypatch.chdir("/")
    place.write("a", b"one")
    assert (tmp_path / "runs" / "a").exists()


@pytest.mark.parametrize("url", ["nfs://user:secret@host/x", "s3://", "file://relative"])
def test_a_url_that_no_file_system_has(url: str) -> None:
    with pytest.raises(UserError, match="names no folder on a file system") as caught:
        FileStore.of(url)
    assert "secret" not in str(caught.value)
