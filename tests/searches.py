"""Searches as a person starts them: a process, its descendants, what it leaves."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

ROOT = Path(__file__).parent.parent
MARKET = ("data=synthetic", "data.synthetic.bars=400", "data.synthetic.symbols=6")
LIGHT = ("dashboard=false", "max_concurrent=1")  # fewer processes to start
TINY = '''"""Networks that train in no time."""

EPOCHS = 4


def space(trial):
    trial.suggest_categorical("model/hidden_dims", ["8", "16-8"])
    trial.suggest_float("model/dropout", 0.0, 0.2)
    trial.suggest_float("optimizer/lr", 3e-4, 1e-2, log=True)
    return {"model/name": "mlp", "train/batch_size": 64}
'''


@dataclass
class Search:
    """One command and its end; `tmp` is its own temporary folder, short for Ray's sockets."""

    process: subprocess.Popen[str]
    tmp: Path
    begun: float = field(default_factory=time.monotonic)
    seen: set[int] = field(default_factory=set)
    out: str = ""
    err: str = ""

    def wait(self, timeout_s: float = 120) -> int:
        """Waits for the end; returns the exit status."""
        self.out, self.err = self.process.communicate(timeout=timeout_s)
        return self.process.returncode

    def until(self, true: Callable[[], object], timeout_s: float = 60) -> None:
        """Waits until something is so, and notes all processes started until then."""
        deadline = time.monotonic() + timeout_s
        while not true():
            assert self.process.poll() is None, self.process.communicate()
            assert time.monotonic() < deadline, "it never came"
            time.sleep(0.02)
        self.seen |= descendants(self.process.pid)

    def send(self, number: signal.Signals, to_group: bool = False) -> None:
        """Sends a signal to the process, or like a terminal to all of its group."""
        if to_group:
            os.killpg(self.process.pid, number)
        else:
            self.process.send_signal(number)

    def survivors(self, but: str = "\0\0", timeout_s: float = 20) -> set[int]:
        """Returns the noted processes that are still there after some seconds, but those named."""
        deadline = time.monotonic() + timeout_s
        left = self.seen
        while left and time.monotonic() < deadline:
            left = {pid for pid in left if _alive(pid) and but not in command(pid)}
            time.sleep(0.05)
        return left


@contextmanager
def started(
    folder: Path,
    *words: str,
    env: Mapping[str, str] = os.environ,
    program: Sequence[str] = ("-m", "search.run"),
) -> Iterator[Search]:
    """Starts `python -m search.run` in a folder; in the end nothing of it is left."""
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp", ignore_cleanup_errors=True) as tmp:
        process = subprocess.Popen(
            [sys.executable, *program, *words],
            cwd=folder,
            env={**env, "TMPDIR": tmp, "PYTHONPATH": str(ROOT), "COLUMNS": "120"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        search = Search(process, Path(tmp))
        try:
            yield search
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()


def run(folder: Path, *words: str) -> Search:
    """Runs a search to its end, and checks that it leaves no process and no temporary file."""
    with started(folder, *words) as search:
        search.until(lambda: bool(process_of(search, "raylet")))
        assert search.wait() == 0, search.err + search.out
        assert search.err == "", search.err
        assert search.survivors() == set()
        left = contents(search.tmp)
        assert left == [], left
    return search


def process_of(search: Search, name: str) -> int | None:
    """Returns a descendant whose command line holds `name`."""
    for pid in descendants(search.process.pid):
        if name in command(pid):
            return pid
    return None


def command(pid: int) -> str:
    """Returns the command line of a process; empty where it has just ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


def descendants(pid: int) -> set[int]:
    """Returns the processes that descend from this one."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(entry.name))
    found: set[int] = set()
    todo = [pid]
    while todo:
        new = children.get(todo.pop(), [])
        found.update(new)
        todo += new
    return found


def table(folder: Path, name: str) -> Any:
    """Reads a table of a run folder as a frame, which pyright understands too little of."""
    return pd.read_parquet(folder / f"{name}.parquet")


def check_whole(folder: Path, searched: int) -> Any:
    """Checks that every trial has one end and every epoch one row; returns the searched trials."""
    trials, epochs = table(folder, "trials"), table(folder, "epochs")
    trained = trials[trials["kind"] != "baseline"]
    assert sorted(trained["number"]) == list(range(len(trained)))
    rows = trained[trained["kind"].isin(["search", "enqueued"])]
    assert len(rows) == searched
    assert set(trained["state"]) <= {"COMPLETE", "PRUNED", "FAIL"}
    assert trained["stop_reason"].notna().all()
    assert not epochs.duplicated(["number", "epoch"]).any()
    for number, rows_of in epochs.groupby("number"):
        assert rows_of["epoch"].tolist() == list(range(1, len(rows_of) + 1)), number
        ends = trained.loc[trained["number"] == number, "epochs"]
        assert ends.tolist() == [len(rows_of)], number
    return rows


def write_space(folder: Path, text: str = TINY, name: str = "tiny.py") -> None:
    """Writes a space file."""
    (folder / name).write_text(text, encoding="utf-8")


def contents(folder: Path) -> Sequence[str]:
    """Names in a folder."""
    return sorted(path.name for path in folder.iterdir())


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
