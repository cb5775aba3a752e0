"""What each sampler is worth, on curves whose truth is known.

    python -m benchmarks.truth.samplers FOLDER [--searches 5] [--jobs 2] [--out FILE]

FOLDER is what `benchmarks.truth.make` made. A sampler suggests from the space that the table was
drawn from, and its trial gets the nearest configuration of the table that no trial has yet. Of
samplers that need long for a suggestion there are at most `FEW` searches on each market.
"""

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import machine
from benchmarks.truth.command import arguments
from benchmarks.truth.outcomes import gain, mean_of, searches, shown
from benchmarks.truth.replay import Setup
from search.sampler.strategies import SAMPLERS
from trainable.cli.commands import status_of

BASE, OURS = "random", "tpe"
TRIALS = (64, 32)
SLOW, FEW = ("gp",), 2


def name_of(sampler: str, trials: int) -> str:
    """Returns the name of a setup."""
    return f"{trials} trials, {sampler}"


SETUPS = {
    name_of(sampler, trials): Setup("ranks", trials=trials, sampler=sampler)
    for trials in TRIALS
    for sampler in SAMPLERS
}


def main(argv: Sequence[str]) -> int:
    """Replays the searches, prints the table and writes the JSON file."""
    args = arguments("samplers", __doc__, argv)
    record = machine.Record(args.out, "benchmarks.truth.samplers", argv)
    slow = {name: setup for name, setup in SETUPS.items() if setup.sampler in SLOW}
    quick = {name: setup for name, setup in SETUPS.items() if name not in slow}
    found = searches(args.folder, quick, args.searches, args.jobs)
    found |= searches(args.folder, slow, min(FEW, args.searches), args.jobs)
    rows = []
    print(f"{'':20} epochs  best asked  true Sharpe of the choice, over random and over tpe")
    for name, setup in SETUPS.items():
        each = found[name]
        count = len(next(iter(each.values())))
        row: dict[str, Any] = {"sampler": setup.sampler, "trials": setup.trials, "searches": count}
        for figure in ("epochs", "best", "chosen", "regret"):
            row[figure], row[f"{figure}_error"] = mean_of(each, lambda o, f=figure: getattr(o, f))
        for other in (BASE, OURS):
            of_other = found[name_of(other, setup.trials)]
            base = {market: those[:count] for market, those in of_other.items()}
            row[f"over_{other}"], row[f"over_{other}_error"] = gain(each, base)
        rows.append(row)
        over = [shown(row[f"over_{o}"], row[f"over_{o}_error"]) for o in (BASE, OURS)]
        print(
            f"{name:20} {row['epochs']:6.0f}  {row['best']:10.2f}  {row['chosen']:.2f} "
            f"({over[0]}; {over[1]})"
        )
    record.save({"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
