"""What it is worth to train finalists again with other seeds, on curves whose truth is known.

    python -m benchmarks.truth.seeds FOLDER [--searches 10] [--jobs 2] [--out FILE]

FOLDER is what `benchmarks.truth.make` made. The searches are those of the defaults; only how many
seeds a configuration may race with differs.
"""

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import machine
from benchmarks.truth.command import arguments
from benchmarks.truth.outcomes import figures, searches, shown
from benchmarks.truth.replay import Setup
from trainable.cli.commands import status_of

SETUPS = {
    f"{trials} trials, at most {seeds} seeds": Setup("ranks", trials=trials, finalist_seeds=seeds)
    for trials in (64, 100)
    for seeds in (1, 2, 3, 4, 8)
}
FIGURES = ("epochs", "seed_epochs", "makespan", "chosen")


def main(argv: Sequence[str]) -> int:
    """Replays the searches, prints the table and writes the JSON file."""
    args = arguments("seeds", __doc__, argv)
    record = machine.Record(args.out, "benchmarks.truth.seeds", argv)
    found = searches(args.folder, SETUPS, args.searches, args.jobs)
    rows = []
    print(f"{'':30} epochs  of seeds  makespan  true Sharpe of the choice")
    for name, each in found.items():
        one = found[f"{name.partition(',')[0]}, at most 1 seeds"]
        row: dict[str, Any] = {"setup": name} | figures(each, one, FIGURES)
        rows.append(row)
        print(
            f"{name:30} {row['epochs']:6.0f}  {row['seed_epochs']:8.0f}  {row['makespan']:8.0f}  "
            f"{row['chosen']:.2f} ({shown(row['gain'], row['gain_error'])})"
        )
    record.save({"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
