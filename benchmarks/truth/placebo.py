"""Whether p-values of placebo searches are uniform where there is nothing, and small where not.

    python -m benchmarks.truth.placebo FOLDER [--kind none] [--markets 100] [--placebos 9]
        [--jobs 1] [--out FILE]

A small search of each market, and its placebos, by the way that a person has them. FOLDER/KIND-SEED
is the run folder of one. What is there already is kept, and a market that was left halfway goes on.
"""

import argparse
import contextlib
import io
import multiprocessing
import shutil
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import torch

from analysis.load import load_run
from analysis.ranking import rank
from analysis.verdict.placebo import placebos, read_placebos
from analysis.verdict.skill import skill
from benchmarks import machine
from benchmarks.truth.markets import KINDS, plant
from search.api import launch
from search.backend.local import Local
from trainable.cli.commands import status_of

SETTINGS: dict[str, Any] = {
    "trials": 8,
    "epochs": 3,
    "steps_per_epoch": 16,
    "rungs": (1, 3),
    "reduction_factor": 2,
    "finalist_seeds": 2,
    "deterministic": True,
}
RESAMPLES = 20_000  # of the largest deviation from uniform
LEVEL = 0.1  # the smallest p that nine placebos can show


@dataclass(frozen=True)
class Market:
    """The p-values of one market: of the winner, of the choice, and of the verdict's own test."""

    best: float
    choice: float
    verdict: float


def space(trial: optuna.Trial) -> dict[str, Any]:
    """Suggests linear-like and small networks that learn in some dozen steps."""
    trial.suggest_categorical("model/hidden_dims", ["4", "16"])
    trial.suggest_float("model/dropout", 0.0, 0.3)
    trial.suggest_float("optimizer/lr", 3e-4, 3e-2, log=True)
    constants = {"model/name": "mlp", "optimizer/name": "adamw", "loss/name": "huber"}
    return constants | {"train/batch_size": 256, "train/patience": 0}


def main(argv: Sequence[str]) -> int:
    """Searches the markets that are not there yet, prints the shares and writes the JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truth.placebo",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kind", choices=[*KINDS], default="none")
    parser.add_argument("--markets", type=int, default=100)
    parser.add_argument("--placebos", type=int, default=9)
    parser.add_argument("--jobs", type=int, default=1, help="processes at once")
    parser.add_argument("--out", type=Path, help="default: results/truth_placebo_KIND.json")
    args = parser.parse_args(argv)
    out = args.out or machine.RESULTS / f"truth_placebo_{args.kind}.json"
    record = machine.Record(out, "benchmarks.truth.placebo", argv)
    spawn = multiprocessing.get_context("spawn")
    found = []
    with ProcessPoolExecutor(args.jobs, mp_context=spawn) as pool:
        made = [
            pool.submit(search, args.folder, args.kind, seed, args.placebos)
            for seed in range(args.markets)
        ]
        for seed, each in enumerate(made):
            one, seconds = each.result()
            found.append(one)
            print(f"{args.kind}-{seed}: {one}, {seconds:.0f} s", flush=True)
    said = {name: figures([getattr(one, name) for one in found], args.placebos)
            for name in ("best", "choice")}  # fmt: skip
    said["verdict"] = {"at most 0.05": float(np.mean([one.verdict <= 0.05 for one in found]))}
    for name, each in said.items():
        print(name, ", ".join(f"{what} {value:.3f}" for what, value in each.items()))
    p_values = {name: [getattr(one, name) for one in found] for name in ("best", "choice")}
    record.save({"kind": args.kind, "figures": said, "p": p_values})
    return 0


def search(folder: Path, kind: str, seed: int, count: int) -> tuple[Market, float]:
    """Searches one market with its placebos; returns its p-values, and the seconds it took."""
    torch.set_num_threads(1)
    begun = time.monotonic()
    target = folder / f"{kind}-{seed}"
    if not target.is_dir() or len(read_placebos(load_run(target))) < count:
        _search(target, kind, seed, count)
    run = load_run(target)
    beside, tested = placebos(run, rank(run)), skill(run)
    assert beside is not None
    market = Market(beside.p_best, beside.p_choice, 1.0 if tested is None else tested.p)
    return market, time.monotonic() - begun


def _search(target: Path, kind: str, seed: int, count: int) -> None:
    planted = plant(kind, seed)
    own, unfinished = planted.settings, target.parent / ".unfinished" / target.name
    parts = ("valid_from", "gate_from", "test_from", "features", "target", "horizon", "lag")
    with contextlib.redirect_stdout(io.StringIO()):
        launch(
            space,
            planted.frame,
            backend=lambda settings: Local(),
            name=unfinished.name,
            runs_dir=str(unfinished.parent),
            resume=unfinished.is_dir(),
            seed=seed,
            placebo=count,
            **{f"data_{name}": getattr(own, name) for name in parts},
            **SETTINGS,
        )
    for needless in ("trials", "best", "placebos"):  # `placebos.json` says what they found
        shutil.rmtree(unfinished / needless, ignore_errors=True)
    unfinished.rename(target)


def figures(p: Sequence[float], count: int) -> dict[str, float]:
    """Returns how far p-values are from uniform on 1/(B + 1) … 1, and how many are small.

    The largest deviation of the shares up to each value from what is due (Kolmogorov–Smirnov), with
    its own p by simulation: the usual table is for a continuous distribution.

    Args:
        p: of each market.
        count: B, placebos of each.
    """
    values = np.arange(1, count + 2) / (count + 1)
    deviation = _deviation(np.asarray(p)[None], values)[0]
    rng = np.random.default_rng(0)
    uniform = rng.choice(values, size=(RESAMPLES, len(p)))
    as_far = (_deviation(uniform, values) >= deviation - 1e-12).sum()
    return {
        "markets": float(len(p)),
        "mean": float(np.mean(p)),
        "at most 0.1": float(np.mean(np.asarray(p) <= LEVEL + 1e-12)),
        "largest deviation": float(deviation),
        "its p": float((1 + as_far) / (1 + RESAMPLES)),
    }


def _deviation(p: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Returns the largest deviation [S] of samples [S, M] from uniform on the values."""
    shares = np.stack([(p <= value + 1e-12).mean(axis=1) for value in values], axis=1)
    return np.abs(shares - values).max(axis=1)


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
