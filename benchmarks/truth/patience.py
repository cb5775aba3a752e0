"""What it costs to ask for no more trials once they are not expected to be worth it.

    python -m benchmarks.truth.patience FOLDER [--searches 10] [--jobs 2] [--out FILE]

FOLDER is what `benchmarks.truth.make` made. The searches are those of the defaults, of all trials
that a market has; only `patience_trials` differs.
"""

import sys
from collections.abc import Sequence
from typing import Any

from benchmarks import machine
from benchmarks.truth.command import arguments
from benchmarks.truth.outcomes import figures, searches, shown
from benchmarks.truth.replay import Setup
from trainable.cli.commands import status_of

SETUPS = {"never": Setup("ranks", trials=100)} | {
    f"patience_trials={more}": Setup("ranks", trials=100, patience_trials=more)
    for more in (128, 64, 32)
}
FIGURES = ("trials", "epochs", "chosen")


def main(argv: Sequence[str]) -> int:
    """Replays the searches, prints a table for each kind of market and writes the JSON file."""
    args = arguments("patience", __doc__, argv)
    record = machine.Record(args.out, "benchmarks.truth.patience", argv)
    found = searches(args.folder, SETUPS, args.searches, args.jobs)
    first = next(iter(SETUPS))
    kinds = sorted({market.partition("-")[0] for market in found[first]})
    rows = []
    print(f"{'market':8} {'':22} trials  epochs  true Sharpe of the choice")
    for kind in ("all", *kinds):
        for name, by_market in found.items():
            each = {m: o for m, o in by_market.items() if kind in ("all", m.partition("-")[0])}
            base = {market: found[first][market] for market in each}
            row: dict[str, Any] = {"market": kind, "setup": name} | figures(each, base, FIGURES)
            rows.append(row)
            print(
                f"{kind:8} {name:22} {row['trials']:6.0f}  {row['epochs']:6.0f}  "
                f"{row['chosen']:5.2f} ({shown(row['gain'], row['gain_error'])})"
            )
    record.save({"rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
