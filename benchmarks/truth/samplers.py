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
from benchmarks.truth.outcomes import Searches, gain, mean_of, searches, shown
from benchmarks.truth.replay import Setup
from search.sampler.strategies import SAMPLERS
from trainable.cli.commands import status_of

BASE, OURS = "random", "tpe"
TRIALS = (64, 32)
SLOW, FEW = ("gp",), 1


def name_of(sampler: str, trials: int) -> str:
    """Returns the name of a setup."""
    return f"{trials} trials, {sampler}"


SETUPS = {
    name_of(sampler, trials): Setup("ranks", trials=trials, sampler=sampler)
    for trials in TRIALS
    for sampler in SAMPLERS
}


def main(argv: Sequence[str]) -> int:
    """Replays the searches, prints the table and writes the JSON file, the quick samplers first."""
    args = arguments("samplers", __doc__, argv)
    record = machine.Record(args.out, "benchmarks.truth.samplers", argv)
    slow = {name: setup for name, setup in SETUPS.items() if setup.sampler in SLOW}
    quick = {name: setup for name, setup in SETUPS.items() if name not in slow}
    found: Searches = {}
    rows: list[dict[str, Any]] = []
    print(f"{'':20} epochs  best asked  true Sharpe of the choice, over random and over tpe")
    for setups in (quick, *({name: slow[name]} for name in reversed(slow))):
        count = args.searches if setups is quick else min(FEW, args.searches)
        found |= searches(args.folder, setups, count, args.jobs)
        for name, setup in setups.items():
            rows.append(row_of(setup, found, count))
            print(f"{name:20} {line(rows[-1])}", flush=True)
        record.save({"rows": rows})
    return 0


def row_of(setup: Setup, found: Searches, count: int) -> dict[str, Any]:
    """Returns the figures of a setup; gains are over as many searches of others."""
    assert setup.sampler is not None
    each = found[name_of(setup.sampler, setup.trials)]
    row: dict[str, Any] = {"sampler": setup.sampler, "trials": setup.trials, "searches": count}
    for figure in ("epochs", "best", "chosen", "regret"):
        row[figure], row[f"{figure}_error"] = mean_of(each, lambda o, f=figure: getattr(o, f))
    for other in (BASE, OURS):
        of_other = found[name_of(other, setup.trials)]
        base = {market: those[:count] for market, those in of_other.items()}
        row[f"over_{other}"], row[f"over_{other}_error"] = gain(each, base)
    return row


def line(row: dict[str, Any]) -> str:
    """Returns a row for the screen."""
    over = "; ".join(shown(row[f"over_{o}"], row[f"over_{o}_error"]) for o in (BASE, OURS))
    return f"{row['epochs']:6.0f}  {row['best']:10.2f}  {row['chosen']:.2f} ({over})"


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
