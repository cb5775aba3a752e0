"""Runs a whole program and measures it: wall seconds, CPU seconds and peak memory of its processes.

Ray's daemons and workers are not children that the program waits for, so that the operating system
adds their figures to nobody's; they are read from /proc while they run.
"""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu import GpuWatch
from trainable.cli.errors import UserError

PROC = Path("/proc")
INTERVAL_S = 0.2  # between two looks: a process that ends in between loses up to so much CPU time
PATIENCE_S = 20.0  # for daemons to end by themselves after their program
TICK = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")

Process = tuple[int, int]  # id and start time, since ids are used again


@dataclass(frozen=True)
class Usage:
    """What a program used.

    Attributes:
        status: exit status; negative: the signal that ended it.
        seconds: wall time, start-up included.
        cpu_seconds: user and system time of all its processes.
        peak_mib: peak of all processes' own memory together, and once the largest shared part
            (libraries, object store).
        largest_mib: peak resident memory of the largest single process, shared parts included.
        processes: how many were seen.
        others_cpu_seconds: what the rest of the machine used meanwhile, the kernel and this
            watcher included; a measurement next to a busy neighbour is worth little.
        gpu_busy: percent of the time of the first GPU, from the first to the last look that found
            it busy; None without one.
    """

    status: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    largest_mib: float
    processes: int
    others_cpu_seconds: float
    gpu_busy: float | None


def run(command: Sequence[str], env: Mapping[str, str], folder: Path, log: Path) -> Usage:
    """Runs a program to its end, and waits for the daemons that it leaves.

    Args:
        command: the program and its arguments.
        env: its whole environment.
        folder: where it runs.
        log: takes its standard output and error.

    Raises:
        UserError: there is no /proc to read, or nvidia-smi fails.
    """
    if not (PROC / "self" / "stat").exists():
        raise UserError("processes are measured from /proc, which only Linux has")
    busy, begun = busy_seconds(), time.perf_counter()
    with log.open("wb") as out:
        started = subprocess.Popen(
            command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
    tree = _Tree(started.pid)
    ended = threading.Event()
    watcher = threading.Thread(target=_watch, args=(tree, ended), daemon=True)
    watcher.start()
    gpu = GpuWatch()
    try:
        with gpu:
            _, status, used = os.wait4(started.pid, 0)
            seconds = time.perf_counter() - begun
        code = os.waitstatus_to_exitcode(status)
        started.returncode = code  # Popen need not wait any more
    finally:
        ended.set()
        watcher.join()
        tree.end(0.0 if started.returncode is None else PATIENCE_S)
    cpu_seconds = max(tree.cpu_seconds, used.ru_utime + used.ru_stime)
    return Usage(
        status=code,
        seconds=seconds,
        cpu_seconds=cpu_seconds,
        peak_mib=tree.peak / 2**20,
        largest_mib=tree.largest / 2**20,
        processes=len(tree.ticks),
        others_cpu_seconds=max(0.0, busy_seconds() - busy - cpu_seconds),
        gpu_busy=gpu.busy(),
    )


class _Tree:
    """A process and all that descend from it, also those whose parent has ended by now."""

    def __init__(self, root: int) -> None:
        self.root = root
        self.ticks: dict[Process, int] = {}
        self.alive: set[Process] = set()
        self.peak = self.largest = 0

    @property
    def cpu_seconds(self) -> float:
        """CPU time of all processes seen, each without its children."""
        return sum(self.ticks.values()) / TICK

    def look(self) -> None:
        """Reads what is alive."""
        found = {pid: stat for pid in _ids() if (stat := _stat(pid)) is not None}
        mine = {p: found[p[0]] for p in self.alive if p[0] in found and found[p[0]].start == p[1]}
        if not self.ticks and self.root in found:
            mine[self.root, found[self.root].start] = found[self.root]
        ids = {pid for pid, _ in mine}
        fresh = True
        while fresh:
            fresh = {p: s for p, s in found.items() if s.parent in ids and p not in ids}
            mine |= {(pid, stat.start): stat for pid, stat in fresh.items()}
            ids |= fresh.keys()
        self.alive = set(mine)
        self.ticks |= {process: stat.ticks for process, stat in mine.items()}
        memory = [_memory(pid) for pid in ids]
        own = sum(resident - shared for resident, shared in memory)
        self.peak = max(self.peak, own + max((shared for _, shared in memory), default=0))
        self.largest = max(self.largest, *(resident for resident, _ in memory), 0)

    def end(self, patience: float) -> None:
        """Waits until all have ended; those that have not after `patience` seconds are killed."""
        deadline = time.monotonic() + patience
        self.look()
        while self.alive and time.monotonic() < deadline:
            time.sleep(INTERVAL_S)
            self.look()
        for pid, start in self.alive:
            stat = _stat(pid)
            if stat is not None and stat.start == start:
                os.kill(pid, signal.SIGKILL)
        while self.alive:
            time.sleep(INTERVAL_S / 10)
            self.look()


def family(root: int) -> set[int]:
    """Returns the processes that descend from one, whose parents are all alive."""
    parents = {pid: stat.parent for pid in _ids() if (stat := _stat(pid)) is not None}
    found: set[int] = set()
    fresh = {root}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def command_of(pid: int) -> str:
    """Returns the command line of a process; empty where it has ended."""
    try:
        return (PROC / str(pid) / "cmdline").read_bytes().decode(errors="replace")
    except OSError:
        return ""


@dataclass(frozen=True)
class _Stat:
    parent: int
    ticks: int
    start: int


def _watch(tree: _Tree, ended: threading.Event) -> None:
    while not ended.is_set():
        tree.look()
        ended.wait(INTERVAL_S)


def busy_seconds() -> float:
    """Returns the CPU seconds of the whole machine since it started, without idling."""
    words = (PROC / "stat").read_text(encoding="utf-8").splitlines()[0].split()[1:9]
    user, nice, system, _, _, *interrupts = map(int, words)
    return (user + nice + system + sum(interrupts)) / TICK


def _ids() -> list[int]:
    return [int(name) for name in os.listdir(PROC) if name.isdigit()]  # noqa: PTH208 - quicker


def _stat(pid: int) -> _Stat | None:
    """Returns what /proc says of a process; None for one that has ended."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The name, in parentheses, may hold anything; 3: state, 4: parent, 14 and 15: user and system
    # time, 22: start (proc_pid_stat(5)).
    words = text.rpartition(")")[2].split()
    if words[0] == "Z":
        return None
    return _Stat(int(words[1]), int(words[11]) + int(words[12]), int(words[19]))


def _memory(pid: int) -> tuple[int, int]:
    """Returns resident and shared bytes of a process; zeros for one that has ended."""
    try:
        words = (PROC / str(pid) / "statm").read_text(encoding="utf-8").split()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    return int(words[1]) * PAGE, int(words[2]) * PAGE
