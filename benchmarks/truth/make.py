"""Makes the learning curves that the other commands of this folder replay; takes hours.

    python -m benchmarks.truth.make FOLDER [--markets 4] [--configurations 100] [--jobs 2]

So many markets of each kind, a folder each; those that are there already are kept.
"""

import argparse
import multiprocessing
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import optuna
import torch

from benchmarks.truth import curves
from benchmarks.truth.markets import KINDS, make_market
from trainable.cli.commands import status_of


def main(argv: Sequence[str]) -> int:
    """Makes the markets that are not there yet."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth.make", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--markets", type=int, default=4)
    parser.add_argument("--configurations", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args(argv)
    wanted = [(kind, seed) for seed in range(args.markets) for kind in KINDS]
    missing = [each for each in wanted if not (args.folder / "{}-{}".format(*each)).exists()]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.jobs, mp_context=spawn) as pool:
        made = [pool.submit(make, args.folder, *each, args.configurations) for each in missing]
        for each in made:
            print(each.result(), flush=True)
    return 0


def make(folder: Path, kind: str, seed: int, configurations: int) -> str:
    """Makes one market's curves; returns what to say of it."""
    torch.set_num_threads(1)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    name, begun = f"{kind}-{seed}", time.monotonic()
    dataset, truth = make_market(kind, seed)
    params = curves.draw_configurations(configurations, seed)
    unfinished = folder / f".{name}"
    shutil.rmtree(unfinished, ignore_errors=True)
    curves.write(curves.train(dataset, truth, name, params), unfinished)
    unfinished.rename(folder / name)
    size = sum(file.stat().st_size for file in (folder / name).iterdir())
    return f"{name}: {time.monotonic() - begun:.0f} s, {size / 1e6:.1f} MB"


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
