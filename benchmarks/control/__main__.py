"""What the search itself costs: real study, sampler, pruner, reports and tables, no training.

    python -m benchmarks.control [--trials 1000,10000] [--ways here,tune] [--profile] [--out FILE]

`here` trains in this process, `tune` under Ray Tune with a trainable that does nothing.
Each measurement is a process of its own. `--profile` prints what dominates and keeps no figures.
"""

import argparse
import cProfile
import json
import os
import pstats
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
from optuna.storages import JournalStorage
from rich.console import Console

import search.session.finish
from analysis.load import Run
from analysis.ranking import rank
from benchmarks import machine, memory
from benchmarks.control import noop
from benchmarks.control.stopwatch import Stopwatch
from search.backend.base import Backend
from search.backend.local import Local
from search.backend.ray_tune import RayTune
from search.planning.plan import Plan, make_plan
from search.pruning.pruner import Pruner
from search.run_folder.folder import RunFolder
from search.run_folder.reports import ReportStore
from search.scheduling.controller import Controller
from search.session.runner import Session, run_search
from search.settings.reading import settings_from
from search.settings.settings import SearchSettings
from search.space.loading import load_space
from search.study.journal import Journal
from search.study.prefetch import Prefetcher
from search.study.study import SearchStudy
from trainable.cli.commands import status_of
from trainable.cli.errors import look_up

BARS, SYMBOLS, SEED = 1000, 20, 0
PLACES = 2  # cohorts at once without Ray, as on two cores
STORING = (
    "create_new_trial", "set_trial_intermediate_value", "set_trial_user_attr",
    "set_trial_state_values", "get_all_trials", "get_trial",
)  # fmt: skip
TIMED: tuple[tuple[Any, str, str], ...] = (
    (SearchStudy, "ask", "ask"),
    (SearchStudy, "add", "tell"),
    (SearchStudy, "report", "tell"),
    (SearchStudy, "finish", "tell"),
    (SearchStudy, "rows", "storage"),
    *((JournalStorage, name, "storage") for name in STORING),
    (Journal, "flush", "storage"),
    (Pruner, "judge", "pruner"),
    (ReportStore, "add", "reports"),
    (Controller, "on_reports", "controller"),
    (noop.NoopWorker, "step", "training"),
    (Local, "run", "loop"),
    (RayTune, "run", "loop"),
    (Session, "finish", "tables"),
)
WAYS = {"here": "in this process", "tune": "under Ray Tune"}


def main(argv: Sequence[str]) -> int:
    """Runs every size in every way, each in a process of its own; prints and stores the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=machine.numbers, default=[1000, 10_000], metavar="N,N")
    parser.add_argument("--ways", type=lambda text: text.split(","), default=list(WAYS))
    parser.add_argument("--epochs", type=int, default=noop.EPOCHS)
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "control.json")
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    for way in args.ways:
        look_up(WAYS, way, "way")
    if args.alone or args.profile:
        print(json.dumps(measure(args.trials[0], args.ways[0], args.epochs, args.profile)))
        return 0
    record, runs = machine.Record(args.out, "benchmarks.control", argv), []
    for trials in args.trials:
        for way in args.ways:
            words = ["--trials", trials, "--ways", way, "--epochs", args.epochs]
            runs.append(machine.alone("benchmarks.control", "--alone", *words))
            _show(runs[-1])
            record.save({"others_cpu_seconds": record.others(), "runs": runs})
    return 0


def measure(trials: int, way: str, epochs: int = noop.EPOCHS, profile: bool = False) -> dict:
    """Runs one search of no-op trials; returns what it cost.

    Args:
        trials: searched configurations; the seeds of finalists come on top.
        way: a key of `WAYS`.
        epochs: of a trial that is never stopped; the rungs are 1, 4 and the last.
        profile: print the functions that took longest, in the main and in the asking thread.
    """
    watch = Stopwatch()
    with tempfile.TemporaryDirectory(prefix="asharpe-control-") as folder, ExitStack() as stack:
        stack.enter_context(_without_models())
        stack.enter_context(watch.on(*TIMED))
        if profile:
            stack.enter_context(_profiled())
        plan = _plan(folder, trials, epochs)
        before = memory.resident()
        cpu, wall = time.process_time(), time.perf_counter()
        with _backend(way, plan.settings) as backend:
            backend.start()
            done = run_search(plan, None, backend, Console(quiet=True))
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        assert done is not None
        rows = {"trials": len(done.trials), "epochs": len(done.epochs)}
        fsync_ms = _fsync_ms(Path(folder))
    parts = sorted(watch.spent.items(), key=lambda item: -item[1].cpu_s)
    control = sum(part.cpu_s for label, part in parts if label != "training")
    return {
        "way": way,
        "trials": trials,
        "epochs": epochs,
        "rows": rows,
        "validation": dict(zip(("periods", "rows"), noop.sizes(plan.dataset), strict=True)),
        "wall_s": round(wall, 2),
        "wall_ms_per_trial": _per_trial(wall, trials),
        "cpu_s": round(cpu, 2),
        "cpu_ms_per_trial": _per_trial(cpu, trials),
        "control_ms_per_trial": _per_trial(control, trials),
        "parts_ms_per_trial": {
            label: {
                "cpu": _per_trial(part.cpu_s, trials),
                "wall": _per_trial(part.wall_s, trials),
                "calls": part.calls,
            }
            for label, part in parts
        },
        "peak_mib": round(memory.peak() / 2**20, 1),
        "peak_above_start_mib": round((memory.peak() - before) / 2**20, 1),
        "fsync_ms": fsync_ms,
    }


def _plan(folder: str, trials: int, epochs: int) -> Plan:
    words = ["data=synthetic", f"data.synthetic.bars={BARS}", f"data.synthetic.symbols={SYMBOLS}",
             "name=noop", f"runs_dir={folder}", f"trials={trials}", f"seed={SEED}",
             f"epochs={epochs}"]  # fmt: skip
    rungs = [rung for rung in (1, 4) if rung < epochs]
    settings = settings_from([*words, f"rungs={','.join(map(str, [*rungs, epochs]))}"])
    return make_plan(settings, space=load_space(noop.space, epochs=epochs))


def _backend(way: str, settings: SearchSettings) -> Backend:
    """Returns the back end of a way; neither trains anything."""
    if way == "tune":
        return RayTune(settings, noop.NoopTrial)
    return Local(PLACES, noop.noop_worker)


@contextmanager
def _without_models() -> Iterator[None]:
    """Ranks without the models of finalists, which nothing has trained."""
    with (
        patch.object(search.session.finish, "export_best", _rank_only),
        patch.object(search.session.finish, "without_predictions", lambda run: []),
    ):
        yield


def _rank_only(folder: RunFolder, models: object, run: Run, plan: object) -> None:
    rank(run)  # there is no model to export, but the ranking that chooses it is made


@contextmanager
def _profiled(most: int = 30) -> Iterator[None]:
    """Prints the functions that took longest, of this thread and of the one that asks."""
    here, asking = cProfile.Profile(time.thread_time), cProfile.Profile(time.thread_time)
    asks: Callable[[Prefetcher], None] = Prefetcher._run

    def profiled(self: Prefetcher) -> None:
        asking.runcall(asks, self)

    with patch.object(Prefetcher, "_run", profiled):
        here.enable()
        try:
            yield
        finally:
            here.disable()
    for name, profile in ((threading.current_thread().name, here), ("asking", asking)):
        print(f"thread {name}", file=sys.stderr)
        pstats.Stats(profile, stream=sys.stderr).strip_dirs().sort_stats("tottime").print_stats(
            most
        )


def _fsync_ms(folder: Path) -> float:
    """Returns the median milliseconds of one appended line that reaches this disk."""
    seconds = []
    with (folder / "probe").open("ab") as file:
        for _ in range(50):
            begun = time.perf_counter()
            file.write(b"x" * 500)
            file.flush()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - begun)
    return round(1e3 * float(np.median(seconds)), 3)


def _per_trial(seconds: float, trials: int) -> float:
    return round(1e3 * seconds / trials, 3)


def _show(run: dict[str, Any]) -> None:
    print(
        f"{run['trials']:,} trials {WAYS[run['way']]}: {run['wall_ms_per_trial']:.1f} ms a trial "
        f"({run['control_ms_per_trial']:.1f} ms CPU in control), peak {run['peak_mib']:.0f} MiB "
        f"({run['peak_above_start_mib']:.0f} above the start)"
    )
    for label, part in run["parts_ms_per_trial"].items():
        print(f"  {label:10} {part['cpu']:8.2f} ms CPU {part['wall']:8.2f} ms wall")


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
