"""A disk that is full, or broken, at any write of a search: one line says which, and it can go on.

Of every function that writes, the first call fails, and a late one of those that write while trials
train; of the study half a line is then on the disk.
"""

import errno
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
from optuna.storages.journal import JournalFileBackend

from benchmarks.chaos.checks import NOTHING, look, lost
from search.monitor.tensorboard import EventFile
from search.run_folder import folder, lock
from search.session.observer import SearchObserver
from search.study.study import SearchStudy
from tests.fixtures.here import interrupt_after, search_here
from tests.fixtures.searches import LIGHT, MARKET, check_whole, started, write_space
from trainable.cli.errors import UserError
from trainable.io import atomic, checksums
from trainable.io.file_store import FileStore

WORDS = (
    "report=false",  # which is written last, and costs no search where it cannot be
    *MARKET, "space=tiny.py", "trials=5", "epochs=2", "finalist_seeds=1", "rungs=1,2", "cohort=3",
    "checkpoint_steps=8", "name=full",
)  # fmt: skip
SITES: dict[str, tuple[Any, str]] = {
    "bytes": (atomic, "write_bytes"),
    "probe": (folder, "write_bytes"),
    "sync": (os, "fsync"),
    "replace": (Path, "replace"),
    "mkdir": (Path, "mkdir"),
    "touch": (Path, "touch"),
    "event": (EventFile, "append"),
    "journal": (JournalFileBackend, "append_logs"),
    "sum": (checksums.os, "write"),
    "put": (FileStore, "write"),
    "rename": (FileStore, "rename"),
    "remove": (FileStore, "remove"),
    "lock": (lock.os, "pwrite"),
}

WHILE_IT_TRAINS = ("bytes", "sync", "replace", "event", "journal", "sum", "put", "remove")


class Disk:
    """Counts the calls that write, and lets one of them fail.

    Attributes:
        calls: so far, by site.
        failed: whether the chosen one did.
    """

    def __init__(self, site: str = "", nth: int = 0, number: int = errno.ENOSPC) -> None:
        self.site, self.nth, self.number = site, nth, number
        self.calls: Counter[str] = Counter()
        self.failed = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with ExitStack() as stack:
            for site, (owner, name) in SITES.items():
                counted = self._counted(site, getattr(owner, name))
                stack.enter_context(patch.object(owner, name, counted))
            yield

    def _counted(self, site: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            self.calls[site] += 1
            if (site, self.calls[site]) == (self.site, self.nth):
                self.failed = True
                if site == "journal":
                    with Path(args[0].path).open("ab") as file:
                        file.write(b'{"op_code":5,"wor')
                raise OSError(self.number, os.strerror(self.number))
            return real(*args, **kwargs)

        return call


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """How often each site writes in a whole search."""
    before, path, disk = Path.cwd(), tmp_path_factory.mktemp("whole"), Disk()
    os.chdir(path)
    write_space(path)
    with disk():
        assert search_here(*WORDS) == 0
    os.chdir(before)
    assert all(disk.calls[site] for site in SITES if site != "remove"), disk.calls
    return disk.calls


@pytest.mark.parametrize(
    ("site", "part"),
    [*((site, 0.0) for site in SITES), *((site, 0.7) for site in WHILE_IT_TRAINS)],
)
def test_a_write_that_fails_ends_the_search_in_one_line_and_nothing_is_lost(
    site: str,
    part: float,
    calls: Counter[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    number = (errno.EIO, errno.ENOSPC)[(len(site) + int(10 * part)) % 2]
    disk = Disk(site, 1 + int(part * (calls[site] - 1)), number)
    with disk():
        code = search_here(*WORDS)
    assert disk.failed
    err = capsys.readouterr().err
    left = tmp_path / "runs" / "full"
    assert code == 2, err
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert os.strerror(number) in line
    assert str(Path("runs/full")) in line
    assert not list(tmp_path.rglob("*.parquet.*.tmp"))
    before = look(left) if left.exists() else NOTHING
    words = ("name=full", "resume=true") if left.exists() else WORDS
    assert search_here(*words) == 0
    assert lost(before, look(left)) == []
    rows = check_whole(left, searched=5)
    assert set(rows["state"]) <= {"COMPLETE", "PRUNED"}


def test_after_a_failed_append_nothing_is_glued_to_half_a_line(tmp_path: Path) -> None:
    log = tmp_path / "study.log"
    study = SearchStudy.create(log, "s", seed=0)
    whole = log.read_bytes()
    with Disk("journal", 1)(), pytest.raises(UserError, match=r"cannot write .*study\.log"):
        study.enqueue({}, lambda trial: {"model/name": "mlp"})
    assert log.read_bytes() == whole
    with pytest.raises(UserError, match="No space left"):
        study.enqueue({}, lambda trial: {"model/name": "mlp"})
    assert log.read_bytes() == whole
    assert [json.loads(line) for line in log.read_bytes().splitlines()]
    assert SearchStudy.open(log, "s").rows() == []


def test_a_disk_that_stays_full_is_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    assert search_here(*WORDS) == 0
    before = look(tmp_path / "runs" / "full")
    capsys.readouterr()
    with Disk("probe", 1)():
        assert search_here("name=full", "resume=true", "trials=6") == 2
    assert "No space left" in capsys.readouterr().err
    assert lost(before, look(tmp_path / "runs" / "full")) == []


def test_a_worker_whose_disk_is_full_ends_the_search_which_goes_on_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real one: what the worker writes goes to a device that is always full."""
    monkeypatch.chdir(tmp_path)
    write_space(tmp_path)
    with patch.object(SearchObserver, "tick", interrupt_after(1)):
        assert search_here(*WORDS) == 130
    left = tmp_path / "runs" / "full"
    before = look(left)
    running = [left / "trials" / str(r.number) for r in before.rows if r.state == "RUNNING"]
    names = [f"checkpoint-{e:06d}-{s:09d}" for e in range(5) for s in (0, 8)]
    parts = [t / f".{name}.safetensors.tmp" for t in running for name in (*names, "model")]
    for part in parts:
        part.parent.mkdir(exist_ok=True)
        part.symlink_to("/dev/full")
    with started(tmp_path, "name=full", "resume=true", *LIGHT) as search:
        assert search.wait() == 2, search.err + search.out
        (line,) = search.err.splitlines()
    ending = "No space left on device; fix that and go on with resume=true"
    assert line in [f"error: cannot write {trial}: {ending}" for trial in running]
    assert lost(before, look(left)) == []
    for part in parts:
        part.unlink(missing_ok=True)
    assert search_here("name=full", "resume=true") == 0
    assert set(check_whole(left, searched=5)["state"]) <= {"COMPLETE", "PRUNED"}
