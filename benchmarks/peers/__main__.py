"""Optuna alone and this project on the same planted markets: what each says, and what is true.

    python -m benchmarks.peers [--markets 5] [--trials 64] [--epochs 12] [--out FILE]

The markets have a signal, or none; both sides search the same space, in which high learning rates
explode, over as many configurations and at most as many epochs. Each search is a process of its
own, start-up included. Prints the table of the README. Ray Tune's side is `benchmarks.search`.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.load import Run, load_run
from analysis.ranking import rank
from analysis.verdict.skill import skill
from benchmarks import machine
from benchmarks.peers.space import EPOCHS
from benchmarks.peers.table import KINDS, SIDES, source, table
from benchmarks.processes import Usage, run
from benchmarks.truth.markets import plant
from benchmarks.truth.skill.make import finalists_book
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError

BROKEN = ("nan_explosion", "collapsed")
SPACE = Path(__file__).parent / "space.py"


def main(argv: Sequence[str]) -> int:
    """Searches, prints the table and writes the JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--markets", type=int, default=5, help="of each kind")
    parser.add_argument("--trials", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "peers.json")
    args = parser.parse_args(argv)
    if min(args.markets, args.trials, args.epochs) < 1:
        raise UserError("--markets, --trials and --epochs are at least 1")
    record = machine.Record(args.out, "benchmarks.peers", argv)
    searches: dict[str, dict[str, list[dict[str, Any]]]] = {
        kind: {side: [] for side in SIDES} for kind in KINDS
    }
    work = {"trials": args.trials, "epochs": args.epochs}
    for seed in range(args.markets):
        for kind, sides in searches.items():
            sides["optuna"].append(plain(kind, seed, args.trials, args.epochs))
            sides["asharpe"].append(ours(kind, seed, args.trials, args.epochs))
            for side, name in SIDES.items():
                last = sides[side][-1]
                print(f"{kind}-{seed}, {name}: {last['seconds']} s", file=sys.stderr, flush=True)
    record.save({"work": work, "searches": searches})
    result = json.loads(args.out.read_text(encoding="utf-8"))
    print(f"{table(result)}\n\n{source(result)}")
    return 0


def plain(kind: str, seed: int, trials: int, epochs: int) -> dict[str, Any]:
    """Searches a market with Optuna alone; returns what it says, what is true, what it took."""
    words = ["-m", "benchmarks.peers.plain", kind, str(seed)]
    words += ["--trials", str(trials), "--epochs", str(epochs)]
    with tempfile.TemporaryDirectory(prefix="asb") as name:
        log = Path(name) / "log"
        used = _run(words, Path(name), log)
        found = json.loads(log.read_text(encoding="utf-8").splitlines()[-1])
    return {"seed": seed, **found, **_took(used)}


def ours(kind: str, seed: int, trials: int, epochs: int) -> dict[str, Any]:
    """Searches a market with this project; returns what it says, what is true, what it took."""
    planted = plant(kind, seed)
    settings = planted.settings
    # A short name: the paths of Ray's sockets have a limit of 107 bytes.
    with tempfile.TemporaryDirectory(prefix="asb", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        planted.frame.to_parquet(folder / "market.parquet", index=False)
        words = [
            f"space={SPACE}",
            f"data.path={folder / 'market.parquet'}",
            f"data.features={settings.features}",
            f"data.target={settings.target}",
            f"data.valid_from={settings.valid_from}",
            f"data.gate_from={settings.gate_from}",
            f"data.test_from={settings.test_from}",
            f"trials={trials}",
            f"epochs={epochs}",
            f"seed={seed}",
            f"name={kind}",
            f"runs_dir={folder / 'runs'}",
            "dashboard=false",
        ]
        used = _run(["-m", "search.run", *words], folder, folder / "log")
        found = findings(load_run(folder / "runs" / kind), kind, seed)
    return {"seed": seed, **found, **_took(used)}


def findings(run: Run, kind: str, seed: int) -> dict[str, Any]:
    """Returns what a run of a planted market says at its end, and beside it what is true.

    As of `plain.findings`; further `book` and `book_true` are of all finalists in equal shares,
    `found` is whether the verdict is *more than chance*, and `p` its p. The winner is what ranks
    first; `claimed` and `true` are means over its seeds.
    """
    searched = run.searched
    broken = searched.loc[searched["stop_reason"].isin(BROKEN)]
    evidence = [json.loads(text) for text in broken["stop_evidence"]]
    tested, ranking = skill(run), rank(run).dropna(subset=["sharpe_mean"])
    found: dict[str, Any] = {
        "configurations": len(searched),
        "epochs": int(np.nansum(run.trials["epochs"].to_numpy(dtype=float))),
        "broken": len(broken),
        "told": sum(bool(each) for each in evidence),
        "broken_reasons": broken["stop_reason"].value_counts().to_dict(),
        "claimed": None,
        "true": None,
        "book": None,
        "book_true": None,
        "found": tested is not None and tested.found,
        "p": None if tested is None else tested.p,
    }
    if tested is None or ranking.empty:
        return found
    numbers, book = finalists_book(run, kind, seed)
    place = {number: at for at, number in enumerate(numbers)}
    first = ranking.to_dict("records")[0]
    members = tested.ensemble.members
    truly = [book.sharpe([place[number]]) for number in members[int(first["number"])]]
    every = [place[number] for each in members.values() for number in each]
    return found | {
        "claimed": float(first["sharpe_mean"]),
        "true": float(np.mean(truly)),
        "book": tested.ensemble.sharpe,
        "book_true": book.sharpe(every),
    }


def _run(words: Sequence[str], folder: Path, log: Path) -> Usage:
    env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"TMPDIR": str(folder)}
    used = run([sys.executable, *words], env, machine.ROOT, log)
    if used.status != 0:
        last = (log.read_text(encoding="utf-8", errors="replace").splitlines() or [""])[-1]
        raise UserError(f"python {machine.shown(words)} ended with status {used.status}: {last}")
    return used


def _took(used: Usage) -> Mapping[str, float]:
    others = round(used.others_cpu_seconds, 1)
    taken = {"seconds": round(used.seconds, 1), "cpu_seconds": round(used.cpu_seconds, 1)}
    return {**taken, "others_cpu_seconds": others}


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
