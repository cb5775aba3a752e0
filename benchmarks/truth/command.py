"""What the commands of this folder have in common: their arguments, and processes for the work."""

import argparse
import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TypeVar

from benchmarks import machine

T = TypeVar("T")
R = TypeVar("R")


def arguments(name: str, doc: str | None, argv: Sequence[str]) -> argparse.Namespace:
    """Returns `folder`, `searches`, `jobs` and `out` of the command `benchmarks.truth.NAME`.

    Args:
        name: of the command.
        doc: what it does; its help.
        argv: its arguments.
    """
    command = f"python -m benchmarks.truth.{name}"
    parser = argparse.ArgumentParser(
        prog=command, description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="what benchmarks.truth.make made")
    parser.add_argument("--searches", type=int, default=10, help="of each setup on each market")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--out", type=Path, default=machine.RESULTS / f"truth_{name}.json")
    return parser.parse_args(argv)


def in_processes(work: Callable[[T], R], items: Sequence[T], jobs: int) -> list[R]:
    """Returns what some work makes of each item, in their order.

    Args:
        work: a function of a module.
        items: what it is done on.
        jobs: processes at once; with one it is done in this process.
    """
    if jobs == 1:
        return [work(item) for item in items]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, mp_context=spawn) as pool:
        return list(pool.map(work, items))
