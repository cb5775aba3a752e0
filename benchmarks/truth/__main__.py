"""How often a search claims skill where there is none, and finds what is there.

    python -m benchmarks.truth FOLDER [--search default] [--jobs 2] [--out FILE]

FOLDER is what `benchmarks.truth.skill.make` made: whole searches of planted markets, beside what is
true of their finalists. Each rule is asked at 5 %.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks import machine
from benchmarks.truth.command import in_processes
from benchmarks.truth.markets import KINDS
from benchmarks.truth.skill.judged import RULES, Judged, judge
from benchmarks.truth.skill.make import SEARCHES, TRUTH
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError

LEVEL = 0.05


def main(argv: Sequence[str]) -> int:
    """Judges the searches, prints the tables and writes the JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.truth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="what benchmarks.truth.skill.make made")
    parser.add_argument("--search", choices=[*SEARCHES], default="default")
    parser.add_argument("--jobs", type=int, default=2, help="processes at once")
    parser.add_argument("--out", type=Path, default=machine.RESULTS / "truth_skill.json")
    args = parser.parse_args(argv)
    record = machine.Record(args.out, "benchmarks.truth", argv)
    folders = sorted(file.parent for file in (args.folder / args.search).glob(f"*/{TRUTH}"))
    if not folders:
        raise UserError(
            f"{args.folder / args.search} holds no searches; "
            f"python -m benchmarks.truth.skill.make {args.folder}"
        )
    judged = in_processes(judge, folders, args.jobs)
    by_kind = {kind: [one for one in judged if one.kind == kind] for kind in KINDS}
    by_kind = {kind: each for kind, each in by_kind.items() if each}
    claims, worth = claimed(by_kind), worths(by_kind)
    _show_claims(claims, by_kind)
    _show_worth(worth)
    record.save({"search": args.search, "claimed": claims, "worth": worth})
    return 0


def claimed(by_kind: Mapping[str, Sequence[Judged]]) -> dict[str, dict[str, float]]:
    """Returns the share of searches in which each rule claims skill, by rule and kind."""
    return {
        rule: {
            kind: float(np.mean([one.p[rule] <= LEVEL for one in each]))
            for kind, each in by_kind.items()
        }
        for rule in RULES
    }


def worths(by_kind: Mapping[str, Sequence[Judged]]) -> dict[str, dict[str, dict[str, float]]]:
    """Returns `mean` and `error`, over markets, of each figure of `Judged.sharpes`, by kind."""
    found = {}
    for kind, each in by_kind.items():
        table = pd.DataFrame([one.sharpes for one in each if one.sharpes])
        error = table.std(ddof=1) / np.sqrt(len(table))
        found[kind] = {"mean": table.mean().to_dict(), "error": error.dropna().to_dict()}
    return found


def _show_claims(
    claims: Mapping[str, Mapping[str, float]], by_kind: Mapping[str, Sequence[Judged]]
) -> None:
    print(f"{'claims skill':34}" + "".join(f"{k} ({len(e)})".rjust(14) for k, e in by_kind.items()))
    for rule, shares in claims.items():
        print(f"{rule:34}" + "".join(f"{share:14.0%}" for share in shares.values()))


def _show_worth(worth: Mapping[str, Mapping[str, Mapping[str, float]]]) -> None:
    print(f"\n{'mean Sharpe ratio':34}" + "".join(kind.rjust(14) for kind in worth))
    names = dict.fromkeys(name for each in worth.values() for name in each["mean"])
    for name in names:
        means = [each["mean"].get(name, float("nan")) for each in worth.values()]
        print(f"{name:34}" + "".join(f"{mean:14.2f}" for mean in means))


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
