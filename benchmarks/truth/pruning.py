"""What each rule of the rungs is worth, on curves whose truth is known.

    python -m benchmarks.truth.pruning FOLDER [--searches 10] [--jobs 2] [--out FILE]

FOLDER is what `benchmarks.truth.make` made. Each rule searches the same trials of each market, in
the same order; then as many trials as cost what the first rule costs.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from benchmarks import machine
from benchmarks.truth.command import arguments
from benchmarks.truth.outcomes import Searches, figures, searches, shown
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
    args = arguments("pruning", __doc__, argv)
    record = machine.Record(args.out, "benchmarks.truth.pruning", argv)
    full = searches(args.folder, SETUPS, args.searches, args.jobs)
    rows = table(full, SETUPS)
    print("as many trials each")
    show(rows)
    equal = {row["rule"]: _at_cost(row, rows[0]["epochs"]) for row in rows}
    rows_equal = table(searches(args.folder, equal, args.searches, args.jobs), equal)
    print("\nas many trials as cost the same")
    show(rows_equal)
    settings = {name: asdict(setup) for name, setup in SETUPS.items()}
    record.save({"setups": settings, "same_trials": rows, "same_epochs": rows_equal})
    return 0


def _at_cost(row: dict[str, Any], epochs: float) -> Setup:
    """Returns the setup of a row, with as many trials as cost so many epochs."""
    trials = round(row["trials"] * epochs / row["epochs"])
    return replace(SETUPS[row["rule"]], trials=min(CONFIGURATIONS, max(4, trials)))


def table(found: Searches, setups: Mapping[str, Setup]) -> list[dict[str, Any]]:
    """Returns a row for each setup; gains are over the first."""
    rows = []
    first = next(iter(setups))
    for name, each in found.items():
        known = figures(each, found[first], ("epochs", "chosen", "regret", "best_stopped"))
        rows.append({"rule": name, "trials": setups[name].trials} | known)
    return rows


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Prints the rows."""
    print(f"{'rule':28} trials epochs  true Sharpe of the choice   regret  best 5 % stopped")
    for row in rows:
        print(
            f"{row['rule']:28} {row['trials']:6} {row['epochs']:6.0f}  {row['chosen']:5.2f} "
            f"({shown(row['gain'], row['gain_error'])})     {row['regret']:6.3f}  "
            f"{row['best_stopped']:5.0%}"
        )


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
