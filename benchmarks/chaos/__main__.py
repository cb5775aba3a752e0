"""python -m benchmarks.chaos: searches whose drivers, workers and machines are killed.

After every kill the run folder is compared with what it was before. Exit status 1: something broke.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.chaos.nodes import Machines
from benchmarks.chaos.searches import INTERVAL, STEPS, ChaosSearch
from benchmarks.processes import command_of, family
from trainable.cli.commands import status_of

DRIVER_S = (0.2, 7.0)  # seconds from its start, or its first report, until a driver is killed
WORKER_S = (0.3, 2.0)  # seconds between two searches for workers to kill
MACHINE_S = (1.0, 4.0)  # seconds from the work of a new machine to the next removal
WORK_S = 30.0  # seconds in which a new machine must get work
SWEEP_S = 90.0  # seconds in which Ray's agents notice that their cluster is gone
WORKER = "ray::ResourceTrainable"


def main(argv: Sequence[str]) -> int:
    """Kills processes of searches; prints and stores the result. Returns 1 where anything broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drivers", type=int, default=100, help="drivers to kill")
    parser.add_argument("--workers", type=int, default=200, help="worker processes to kill")
    parser.add_argument("--nodes", type=int, default=30, help="machines to take away")
    parser.add_argument("--trials", type=int, default=128, help="of each search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "chaos.json")
    args = parser.parse_args(argv)
    record = machine.Record(args.out, "benchmarks.chaos", argv)
    found: dict[str, dict[str, Any]] = {}
    for fault, count, kill in (
        ("drivers", args.drivers, kill_drivers),
        ("workers", args.workers, kill_workers),
        ("nodes", args.nodes, remove_nodes),
    ):
        if count > 0:
            with tempfile.TemporaryDirectory(prefix="asharpe-chaos-") as folder:
                found[fault] = _figures(kill, count, Path(folder), args.trials, args.seed)
            print(line(fault, found[fault]), flush=True)
            for what in found[fault]["broken"]:
                print(f"  {what}", flush=True)
            steps = {"checkpoint_steps": INTERVAL, "steps_per_epoch": STEPS}
            record.save({"others_cpu_seconds": record.others(), **steps, "faults": found})
    return int(any(figures["broken"] for figures in found.values()))


def kill_drivers(
    count: int, searches: Iterator[ChaosSearch], chance: random.Random
) -> Iterator[ChaosSearch]:
    """Kills the driver of a search at random moments and resumes it, until it ends by itself.

    Yields the search after each kill.
    """
    while count > 0:
        search = next(searches)
        while not search.ended and not search.broken:
            trains = chance.random() < 0.7
            with search.session() as process:
                if count > 0:
                    before = search.reports
                    while trains and process.poll() is None and search.reports == before:
                        time.sleep(0.05)
                    # Whatever it does by then: it starts, trains, or writes its tables.
                    _wait(process, chance.uniform(*DRIVER_S))
                    process.kill()
            if process.returncode == -signal.SIGKILL:
                count -= 1
                yield search


def kill_workers(
    count: int, searches: Iterator[ChaosSearch], chance: random.Random
) -> Iterator[ChaosSearch]:
    """Kills workers of a search, one or several at once; yields it after each kill."""
    while count > 0:
        search = next(searches)
        with search.session() as process:
            while process.poll() is None and count > 0:
                _wait(process, chance.uniform(*WORKER_S))
                for pid in chance.sample(alive := workers(process.pid), min(len(alive), count)):
                    if _killed(pid):
                        count -= 1
                        search.check_now()
                        yield search
                    if chance.random() < 0.5:  # one of them, or all at once
                        break


def remove_nodes(
    count: int, searches: Iterator[ChaosSearch], chance: random.Random
) -> Iterator[ChaosSearch]:
    """Removes one machine after another, with its folder, and adds a new one each time.

    Yields the search after each removal.
    """
    with Machines(2) as machines:
        while count > 0:
            search = next(searches)
            search.extra = [f"address={machines.address}"]
            with search.session(machines.environment) as process:
                while process.poll() is None and count > 0:
                    _at_work(process, machines, search)
                    _wait(process, chance.uniform(*MACHINE_S))
                    if process.poll() is None:
                        machines.replace(chance.randrange(len(machines)))
                        count -= 1
                        search.check_now()
                        yield search


def workers(root: int) -> list[int]:
    """Returns the processes below one that train."""
    return sorted(pid for pid in family(root) if command_of(pid).startswith(WORKER))


def line(fault: str, figures: dict[str, Any]) -> str:
    """Returns the figures of one kind of fault as one line."""
    ends = ", ".join(f"{reason} {n}" for reason, n in figures["ends"].items())
    return (
        f"{fault}: {figures['faults']} in {figures['searches']} searches and "
        f"{figures['sessions']} sessions, {figures['seconds']:.0f} s; {figures['trials']} trials "
        f"({ends}); reported steps trained again: at most {figures['steps_again']}; between two "
        f"checkpoints: at most {figures['steps_between_checkpoints']}; "
        f"{len(figures['broken'])} broken"
    )


def _figures(
    kill: Callable[[int, Iterator[ChaosSearch], random.Random], Iterator[ChaosSearch]],
    count: int,
    folder: Path,
    trials: int,
    seed: int,
) -> dict[str, Any]:
    searches: list[ChaosSearch] = []

    def more() -> Iterator[ChaosSearch]:
        while True:
            turn = len(searches)
            searches.append(ChaosSearch(folder / str(turn), trials, seed + turn))
            yield searches[-1]

    begun = time.monotonic()
    faults = sum(1 for _ in kill(count, more(), random.Random(seed)))
    deadline = time.monotonic() + SWEEP_S
    while (
        not all([search.remove_leftovers() for search in searches]) and time.monotonic() < deadline
    ):
        time.sleep(0.5)
    for search in searches:
        search.check_leftovers()
    rows = [row for search in searches for row in search.seen.rows]
    return {
        "faults": faults,
        "searches": len(searches),
        "sessions": sum(search.sessions for search in searches),
        "begun_anew": sum(search.begun_anew for search in searches),
        "seconds": round(time.monotonic() - begun, 1),
        "trials": len(rows),
        "epochs": sum(len(search.seen.epochs) for search in searches),
        "ends": dict(Counter(row.reason or "unfinished" for row in rows).most_common()),
        "steps_again": max(search.steps_again for search in searches),
        "steps_between_checkpoints": max(search.steps_apart for search in searches),
        "longest_wait_for_work_s": round(
            max((w for s in searches for w in s.waits), default=0.0), 1
        ),
        "broken": [what for search in searches for what in search.broken],
    }


def _at_work(process: "subprocess.Popen[bytes]", machines: Machines, search: ChaosSearch) -> None:
    """Waits until every machine trains; a machine that gets no work in time is an error."""
    begun = time.monotonic()
    while process.poll() is None:
        idle = [name for name, root in machines.roots().items() if not workers(root)]
        if not idle:
            search.waits.append(time.monotonic() - begun)
            return
        if time.monotonic() - begun > WORK_S * (2 if search.sessions == 1 else 1):
            search.broken.append(f"machine {idle[0]} has no work after {WORK_S:.0f} s")
            return
        time.sleep(0.1)


def _wait(process: "subprocess.Popen[bytes]", seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


def _killed(pid: int) -> bool:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
