"""Searches planted markets, and keeps the run folders with what is true of their finalists.

    python -m benchmarks.truth.skill.make FOLDER [--none 100] [--each 25] [--jobs 2]
        [--searches default,optuna,asha]

So many markets without a signal and of each other kind. Real searches, a process each, without
Ray; FOLDER/SEARCH/KIND-SEED is the run folder of one, with `truth.json` beside its tables. Those
that are there already are kept.
"""

import argparse
import contextlib
import io
import json
import multiprocessing
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch

from analysis.load import Run
from benchmarks.truth import curves
from benchmarks.truth.markets import KINDS, Book, make_market, plant
from search.api import launch
from search.backend.local import Local
from trainable import predict
from trainable.cli.commands import status_of
from trainable.cli.errors import look_up

EPOCHS = 25
SEARCHES: dict[str, dict[str, Any]] = {
    "default": {},
    # What is usual without this project: nothing is stopped, or ASHA stops by the Sharpe ratio, and
    # the highest Sharpe ratio of a single training is chosen.
    "optuna": {"sampler": "optuna:TPESampler", "pruning": "none", "finalist_seeds": 1},
    "asha": {"sampler": "optuna:TPESampler", "pruning": "objective", "finalist_seeds": 1},
}
TRUTH = "truth.json"


def main(argv: Sequence[str]) -> int:
    """Makes the searches that are not there yet."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truth.skill.make",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--none", type=int, default=100, help="markets without a signal")
    parser.add_argument("--each", type=int, default=25, help="markets of each other kind")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--searches", type=lambda text: text.split(","), default=[*SEARCHES])
    args = parser.parse_args(argv)
    for name in args.searches:
        look_up(SEARCHES, name, "search")
    numbers = {kind: args.none if kind == "none" else args.each for kind in KINDS}
    wanted = [
        (search, kind, seed)
        for seed in range(max(numbers.values()))
        for kind, number in numbers.items()
        if seed < number
        for search in args.searches
    ]
    missing = [each for each in wanted if not folder_of(args.folder, *each).exists()]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(args.jobs, mp_context=spawn) as pool:
        made = [pool.submit(make, args.folder, *each) for each in missing]
        for each in made:
            print(each.result(), flush=True)
    return 0


def folder_of(folder: Path, search: str, kind: str, seed: int) -> Path:
    """Returns the run folder of a search."""
    return folder / search / f"{kind}-{seed}"


def make(folder: Path, search: str, kind: str, seed: int) -> str:
    """Searches one market; returns what to say of it."""
    torch.set_num_threads(1)
    begun = time.monotonic()
    target = folder_of(folder, search, kind, seed)
    unfinished = target.parent / ".unfinished" / target.name
    shutil.rmtree(unfinished, ignore_errors=True)
    planted = plant(kind, seed)
    own, parts = planted.settings, ("valid_from", "gate_from", "test_from")
    dates = {f"data_{name}": getattr(own, name) for name in parts}
    columns = {"data_features": own.features, "data_target": own.target}
    with contextlib.redirect_stdout(io.StringIO()):
        run = launch(
            curves.space,
            planted.frame,
            backend=lambda settings: Local(),
            name=unfinished.name,
            runs_dir=str(unfinished.parent),
            epochs=EPOCHS,
            seed=seed,
            deterministic=True,
            data_horizon=own.horizon,
            data_lag=own.lag,
            **columns,
            **dates,
            **SEARCHES[search],
        )
    assert run is not None
    numbers, book = finalists_book(run, kind, seed)
    record = {"numbers": numbers, "mean": book.mean.tolist(), "cov": book.covariance.tolist()}
    (unfinished / TRUTH).write_text(json.dumps(record), encoding="utf-8")
    for needless in ("trials", "best"):
        shutil.rmtree(unfinished / needless, ignore_errors=True)
    unfinished.rename(target)
    return f"{search} {target.name}: {time.monotonic() - begun:.0f} s"


def finalists_book(run: Run, kind: str, seed: int) -> tuple[list[int], Book]:
    """Returns the numbers of the finalists and their seeds, and what is true of their positions."""
    dataset, truth = make_market(kind, seed)
    rows = dataset.rows_of("test")
    kinds = run.trials["kind"] != "baseline"
    complete = run.trials.loc[kinds & (run.trials["state"] == "COMPLETE")]
    numbers = [int(n) for n in complete["number"]]
    predictions = [
        predict.load(run.folder / "trials" / str(number)).predict(dataset, rows)
        for number in numbers
    ]
    if not numbers:
        return [], Book(np.zeros(0), np.zeros((0, 0)))
    return numbers, truth.book(np.array(predictions))


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
