"""What each rule of the rungs is worth, on curves whose truth is known.

    python -m benchmarks.truth.pruning FOLDER [--searches 10] [--jobs 2] [--out FILE]

FOLDER is what `benchmarks.truth.make` made. Each rule searches the same trials of each market, in
the same order; then as many trials as cost what the first rule costs.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.truth.outcomes import Searches, gain, mean_of, searches
from benchmarks.truth.replay import NEVER_FLAT, WARMUP_ENDS, Setup
from trainable.cli.commands import status_of

TWICE = 2 * (WARMUP_ENDS - 1) + 1  # the first epoch after twice the warm-up
CONFIGURATIONS = 100  # of a market of `benchmarks.truth.make`
FIRST = (1, WARMUP_ENDS, TWICE)
SETUPS = {"objective from 3": Setup("objective", WARMUP_ENDS, flat=NEVER_FLAT)} | {
    f"{rule} from {first}": Setup(rule, first, flat=NEVER_FLAT)
    for rule in ("objective", "ic", "rank_ic", "loss", "ranks", "racing", "signal")
    for first in FIRST
}
SETUPS["none"] = Setup("none", flat=NEVER_FLAT)
SETUPS |= {
    f"constant {epochs} epochs, loss": Setup(
        "loss", rungs=(epochs, 50), reduction_factor=16, flat=NEVER_FLAT
    )
    for epochs in (5, 10)
}


def main(argv: Sequence[str]) -> int:
    """Replays the searches, prints the table and writes the JSON file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.truth.pruning", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--searches", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "truth_pruning.json")
    args = parser.parse_args(argv)
    record = machine.Record(args.out, "benchmarks.truth.pruning", argv)
    first = next(iter(SETUPS))
    full = searches(args.folder, SETUPS, args.searches, args.jobs)
    rows = table(full, first)
    print("64 trials each")
    show(rows)
    budget = rows[0]["epochs"]
    equal = {
        row["rule"]: replace(
            SETUPS[row["rule"]],
            trials=min(CONFIGURATIONS, max(4, round(64 * budget / row["epochs"]))),
        )
        for row in rows
    }
    rows_equal = table(searches(args.folder, equal, args.searches, args.jobs), first)
    for row in rows_equal:
        row["trials"] = equal[row["rule"]].trials
    print("\nas many trials as cost the same")
    show(rows_equal)
    settings = {name: asdict(setup) for name, setup in SETUPS.items()}
    record.save({"setups": settings, "same_trials": rows, "same_epochs": rows_equal})
    return 0


def table(found: Searches, first: str) -> list[dict[str, Any]]:
    """Returns a row for each setup; gains are over the setup named `first`."""
    rows = []
    for name, each in found.items():
        row: dict[str, Any] = {"rule": name, "trials": 64}
        row["epochs"], _ = mean_of(each, lambda one: one.epochs)
        row["chosen"], row["chosen_error"] = mean_of(each, lambda one: one.chosen)
        row["gain"], row["gain_error"] = gain(each, found[first])
        row["regret"], row["regret_error"] = mean_of(each, lambda one: one.regret)
        row["best_stopped"], _ = mean_of(each, lambda one: one.best_stopped)
        rows.append(row)
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Prints the rows."""
    print(f"{'rule':28} trials epochs  true Sharpe of the choice   regret  best 5 % stopped")
    for row in rows:
        print(
            f"{row['rule']:28} {row['trials']:6} {row['epochs']:6.0f}  {row['chosen']:5.2f} "
            f"({row['gain']:+.3f} ± {row['gain_error']:.3f})     {row['regret']:6.3f}  "
            f"{row['best_stopped']:5.0%}"
        )


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
