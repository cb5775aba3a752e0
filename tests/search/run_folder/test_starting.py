"""A driver killed before anything has begun: the next start takes its place, whatever it left."""

import json
import shutil
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from optuna.storages.journal import JournalFileBackend

from search import launch
from search.backend.local import Local
from search.run_folder import folder
from search.run_folder.folder import RunFolder
from search.run_folder.lock import LOCK, drivers_of
from search.run_folder.starting import RECORD, can_begin, start_in
from search.session.observer import SearchObserver
from search.study.study import SearchStudy
from tests.fixtures.here import interrupt_after, search_here
from tests.fixtures.searches import MARKET, check_whole, contents, table, write_space
from trainable.cli.errors import UserError
from trainable.io.file_store import FileStore

WORDS = (
    *MARKET, "space=tiny.py", "trials=3", "finalist_seeds=1", "rungs=4", "enqueue=hand.json",
    "seed=5", "name=x", "report=false",
)  # fmt: skip
RESUME = ("name=x", "resume=true")
BEGUN = "Nothing of run 'x' had begun: it begins now."
AT_ONCE = patch.object(SearchObserver, "tick", interrupt_after(0))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    Path("hand.json").write_text('[{"optimizer/lr": 0.001}]')
    return tmp_path


@contextmanager
def copied(run: Path, to: Path) -> Iterator[None]:
    """Copies a run folder as a kill would leave it, before and after whatever writes there."""

    def copy() -> None:
        if run.is_dir() and can_begin(run):
            gone_soon = shutil.ignore_patterns("study.log.lock*")  # another thread asks
            left = shutil.copytree(run, to / f"{len(contents(to)):03d}", ignore=gone_soon)
            if (left / "study.log").exists():
                (left / "study.log.lock").symlink_to("study.log")

    def around(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            copy()
            done = real(*args, **kwargs)
            copy()
            return done

        return call

    to.mkdir()
    with ExitStack() as stack:
        for owner, name in (
            (Path, "replace"), (FileStore, "rename"), (folder, "take_lock"),
            (folder, "write_bytes"),
            (JournalFileBackend, "append_logs"),
        ):  # fmt: skip
            stack.enter_context(patch.object(owner, name, around(getattr(owner, name))))
        yield


def distinct(folders: Path) -> list[Path]:
    """Leaves out those copies that hold as many bytes in the same files as another."""
    found = {}
    for path in sorted(folders.iterdir()):
        files = {
            str(f.relative_to(path)): f.is_file() and f.stat().st_size for f in path.rglob("*")
        }
        found.setdefault(json.dumps(files, sort_keys=True), path)
    return list(found.values())


def put(left: Path) -> Path:
    run = Path("runs/x")
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(left, run, symlinks=True)
    return run


def test_after_a_kill_at_any_moment_before_the_beginning_resume_begins(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with copied(Path("runs/x"), here / "left"), AT_ONCE:
        assert search_here(*WORDS) == 130
    asked = table(Path("runs/x"), "trials").query("kind != 'baseline'")
    lefts = distinct(here / "left")
    assert len(lefts) >= 8
    assert {name for left in lefts for name in contents(left)} >= {LOCK, RECORD, "study.log"}
    for left in lefts:
        run = put(left)
        assert can_begin(run)
        words = RESUME if (left / RECORD).exists() else (*WORDS, "resume=true")
        with AT_ONCE:
            assert search_here(*words) == 130, contents(left)
        shown = capsys.readouterr()
        assert shown.err == ""
        assert BEGUN in shown.out
        again = table(run, "trials").query("kind != 'baseline'")
        both = min(len(again), len(asked))  # asked in another thread
        for column in ("params.optimizer/lr", "kind"):
            assert again[column].tolist()[:both] == asked[column].tolist()[:both]
        assert not [file for file in run.rglob(".*")]
        assert LOCK not in contents(run)
        assert json.loads((run / RECORD).read_text())["state"] == "interrupted"
    put(lefts[-1])
    assert search_here(*WORDS) == 0  # as a new one
    check_whole(Path("runs/x"), searched=3)


def test_without_a_folder_nothing_is_resumed(capsys: pytest.CaptureFixture[str]) -> None:
    begin = "leave out resume=true to begin one"
    assert search_here(*WORDS, "resume=true") == 2
    assert f"no run 'x' to resume: runs holds none; {begin}" in capsys.readouterr().err
    Path("runs/ax").mkdir(parents=True)
    assert search_here(*WORDS, "resume=true") == 2
    assert f"did you mean 'ax'? Available: ax; {begin}" in capsys.readouterr().err
    assert contents(Path("runs")) == ["ax"]
    Path("runs/y").mkdir()
    assert search_here("name=y", "resume=true") == 2
    assert "give them again: space=NAME …" in capsys.readouterr().err
    assert contents(Path("runs/y")) == []


def test_from_python_it_begins_too(capsys: pytest.CaptureFixture[str]) -> None:
    RunFolder.create("runs", "x").start(None)  # whose lock is let go of with the object
    owner = {"pid": 2**22 + 1, "host": socket.gethostname()}
    Path("runs/x", LOCK).unlink()
    Path("runs/x", LOCK).write_text(json.dumps(owner))
    assert search_here(*RESUME) == 2
    assert "was started from Python" in capsys.readouterr().err
    made = {"data_synthetic": {"bars": 400, "symbols": 6}, "trials": 2, "finalist_seeds": 1}
    with AT_ONCE:
        run = launch(
            "tiny.py", "synthetic", backend=lambda _: Local(), name="x", resume=True, **made
        )
    assert run is not None
    assert BEGUN in capsys.readouterr().out
    assert run.run["state"] == "interrupted"


STARTS = (WORDS, (*WORDS, "resume=true"), RESUME)


@pytest.mark.parametrize(
    ("files", "words"),
    [
        *(([RECORD, "trials/mine.csv"], words) for words in STARTS),
        *zip(
            [["prices.csv"], [LOCK, "prices.csv"], [LOCK, "trials/0/a"],
             ["study.log"], ["driver-mine.lock"], [LOCK, "shards/notes.txt"]],
            2 * STARTS, strict=True,
        ),
    ],
)  # fmt: skip
def test_a_folder_with_files_of_somebody_else_is_left_alone(
    files: list[str], words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in files:
        file = Path("runs/x", name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"state": "starting", "arguments": [], "drivers": []}))
    before = {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")}
    assert search_here(*words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert "choose another name" in line
    assert {path: path.stat().st_mtime_ns for path in Path("runs").rglob("*")} == before


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("other", [False, True])
def test_a_driver_that_is_just_starting_is_left_alone(shared: bool, other: bool) -> None:
    with RunFolder.create("runs", "x", shared=shared) as starting:
        starting.start(["space=tiny.py"])
        before = contents(starting.path)
        said = r"driven by process \d+ on .*; wait for its end"
        if shared and other:
            said = r"just being started by process \d+ on .*; join it with resume=true in a min"
        with pytest.raises(UserError, match=f"'x' is {said}"):
            RunFolder.create("runs", "x", shared=other)
        assert contents(starting.path) == before
        assert len(drivers_of(starting.path)) == 1
    far = Path("runs/x/driver-01234567.lock")
    far.write_text(json.dumps({"pid": 1, "host": "elsewhere"}))
    with pytest.raises(UserError, match=r"by process 1 on elsewhere; .*remove runs/x/driv"):
        RunFolder.create("runs", "x", shared=other)
    assert contents(far.parent) == sorted([RECORD, far.name])


def test_a_folder_is_removed_with_its_lock_at_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path) -> None:
        raise SystemExit(str(path))

    run = RunFolder.create("runs", "x")
    run.start([])
    run.trial(0)
    monkeypatch.setattr(shutil, "rmtree", killed)
    with pytest.raises(SystemExit):
        run.discard()
    assert LOCK in contents(run.path)
    run.close()


def test_a_search_with_its_study_in_a_database_begins_again(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    url, mark = "storage=sqlite:///all.db", Path("store/x/trials/.here-{}")

    def killed(self: RunFolder, run: object) -> None:
        shutil.copytree(self.path, here / "left")
        shutil.copy("all.db", "left.db")
        raise KeyboardInterrupt(self.driver)

    with patch.object(RunFolder, "begin", killed), pytest.raises(KeyboardInterrupt) as error:
        search_here(*WORDS, url, "storage_path=store")
    assert not Path("store").exists()
    left = Path(str(mark).format(error.value))
    left.parent.mkdir(parents=True)
    left.touch()
    shutil.copy("left.db", "all.db")
    run = put(here / "left")
    wrong = UserError("the password is wrong")
    for _ in range(2):  # a mistake, or a kill, of who would go on: nothing is forgotten
        with patch.object(SearchStudy, "create", side_effect=wrong):
            assert search_here(*RESUME) == 2
        assert contents(run) == [RECORD]
    assert search_here(*RESUME, "trials=9", "dry_run=true") == 0
    start = start_in(run)
    assert start is not None
    assert [len(start.drivers), start.drivers[0]] == [3, str(error.value)]
    capsys.readouterr()
    with AT_ONCE:
        assert search_here(*RESUME) == 130
    assert BEGUN in capsys.readouterr().out
    assert not left.exists()
    assert start_in(run) is None
    assert json.loads((run / "run.json").read_text())["settings"]["trials"] == 3


def test_a_study_of_sqlite_in_the_run_folder_is_its_own(here: Path) -> None:
    def killed(self: RunFolder, run: object) -> None:
        shutil.copytree(self.path, here / "left")
        raise KeyboardInterrupt

    url = "storage=sqlite:///runs/x/study.db"
    with patch.object(RunFolder, "begin", killed), pytest.raises(KeyboardInterrupt):
        search_here(*WORDS, url)
    (put(here / "left") / "study.db-journal").touch()
    with AT_ONCE:
        assert search_here(*RESUME) == 130
    for mine in ("mine.db", "study.db-mine"):
        (put(here / "left") / mine).touch()
        assert search_here(*RESUME) == 2


def test_a_write_cut_short_in_a_begun_run_is_removed(monkeypatch: pytest.MonkeyPatch) -> None:
    run = RunFolder.create("runs", "x")
    run.begin({})
    run.close()
    for name in (".trials.parquet.12.tmp", ".probe.9.tmp", "best/.model.json.7.tmp"):
        (run.path / name).parent.mkdir(exist_ok=True)
        (run.path / name).write_text("half")
    mine = run.path / ".mine.tmp"
    mine.touch()
    RunFolder.create("runs", "x", resume=True).close()
    assert [path for path in run.path.rglob(".*")] == [mine]
