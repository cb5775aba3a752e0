"""python -m benchmarks.search --table FILE --peer PATH: whole searches, this project and a peer.

The two take turns on the same table, space, trials, epochs, rungs and seeds; every figure is of the
whole process, start-up included.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.processes import run
from benchmarks.search.comparison import Runs, lines_of, medians, ratios, scaled
from benchmarks.search.sides import (
    EQUAL,
    WARMUP,
    Work,
    cut_of,
    our_command,
    our_findings,
    peer_command,
    peer_findings,
    warmup_of,
)
from trainable.cli.commands import status_of
from trainable.cli.errors import UserError

DEFAULT_TRIALS = 128  # of the peer's default, which takes too long for the full count


def main(argv: Sequence[str]) -> int:
    """Measures, prints the medians and ratios, and writes the JSON file."""
    args = _parser().parse_args(argv)
    for what, file in (("--table", args.table), ("--peer", args.peer)):
        if file is not None and not file.is_file():
            raise UserError(f"{what} {file}: there is no such file")
    if args.peer_default and args.peer is None:
        raise UserError("--peer-default needs --peer PATH")
    if min(args.trials, args.epochs, args.repeats, args.batch) < 1:
        raise UserError("--trials, --epochs, --repeats and --batch are at least 1")
    table = args.table.resolve()
    work = Work(table, args.trials, args.epochs, args.wide, args.hidden, args.batch)
    out = args.out or machine.RESULTS / f"search_{work.label}.json"
    record = machine.Record(out, "benchmarks.search", argv)
    result: dict[str, Any] = {}
    for runs in contest(work, args.peer and args.peer.resolve(), args.repeats, args.seed, args):
        result = compared(work, runs)
        record.save(result)  # each time: a later run may fail
    print("\n".join(lines_of(result)))
    return 0


def contest(
    work: Work, peer: Path | None, repeats: int, seed: int, options: argparse.Namespace
) -> Iterator[Runs]:
    """Runs the sides in turn, repeat r with seed `seed + r`; yields all runs after each turn."""
    runs: Runs = {}
    more = tuple(options.ours)
    for repeat in range(repeats):
        turn = seed + repeat
        runs.setdefault("equal", []).append(_ours(work, turn, (*EQUAL, *more)))
        if peer is not None:
            runs.setdefault("peer", []).append(_peer(work, turn, peer, reuse=True))
        if not options.equal_only:
            runs.setdefault("defaults", []).append(_ours(work, turn, more))
        yield runs
    if peer is not None and options.peer_default:
        fewer = replace(work, trials=min(work.trials, DEFAULT_TRIALS))
        runs["peer_default"] = [scaled(_peer(fewer, seed, peer, reuse=False), work.trials)]
        yield runs


def compared(work: Work, runs: Runs) -> dict[str, Any]:
    """Returns what was done, every run, their medians and their ratios."""
    cut = cut_of(work.table)
    warmup = warmup_of(work, cut)
    steps = cut.train_rows // work.batch
    return {
        "work": {
            "table": work.table.name,
            "train_rows": cut.train_rows,
            "steps_per_epoch": steps,
            **{k: getattr(work, k) for k in ("trials", "epochs", "wide", "hidden", "batch")},
            # Ours may be shorter: a warm-up above half of all steps is refused.
            "warmup_steps": {"here": warmup, "peer": WARMUP},
        },
        "runs": runs,
        "medians": {side: medians(each) for side, each in runs.items()},
        "ratios": {
            f"{theirs} / {ours}": ratios(runs[theirs], runs[ours])
            for theirs in ("peer", "peer_default")
            for ours in ("equal", "defaults")
            if theirs in runs and ours in runs
        },
    }


def _ours(work: Work, seed: int, extra: tuple[str, ...]) -> dict[str, Any]:
    cut = cut_of(work.table)
    return _measured(
        "this project" + (", equal work" if set(EQUAL) <= set(extra) else ", defaults"),
        seed,
        lambda folder: our_command(work, cut, seed, folder / "runs" / "run", extra),
        lambda folder, _: our_findings(folder / "runs" / "run"),
    )


def _peer(work: Work, seed: int, script: Path, reuse: bool) -> dict[str, Any]:
    return _measured(
        "peer" + (", reusing" if reuse else ", its default"),
        seed,
        lambda _: peer_command(work, seed, script, reuse),
        lambda _, log: peer_findings(log),
    )


def _measured(
    what: str,
    seed: int,
    command: Callable[[Path], list[str]],
    findings: Callable[[Path, Path], dict[str, Any]],
) -> dict[str, Any]:
    """Runs one side once, in a temporary folder that also holds all that Ray writes."""
    # A short name: the paths of Ray's sockets have a limit of 107 bytes.
    with tempfile.TemporaryDirectory(prefix="asb", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        env = {k: v for k, v in os.environ.items() if k != "RAY_ADDRESS"} | {"TMPDIR": name}
        log = folder / "log"
        used = run(command(folder), env, machine.ROOT, log)
        if used.status != 0:
            last = (log.read_text(encoding="utf-8", errors="replace").splitlines() or [""])[-1]
            raise UserError(f"{what} ended with status {used.status}: {last}")
        found = findings(folder, log)
    figures: dict[str, float] = {
        "seconds": round(used.seconds, 2),
        "cpu_seconds": round(used.cpu_seconds, 2),
        "peak_mib": round(used.peak_mib, 1),
        "largest_mib": round(used.largest_mib, 1),
        "others_cpu_seconds": round(used.others_cpu_seconds, 1),
        "trials_per_hour": round(found["trials"] / used.seconds * 3600, 1),
    }
    if used.gpu_busy is not None:
        figures["gpu_busy"] = round(used.gpu_busy, 1)
    print(f"{what}, seed {seed}: {figures['seconds']} s, {found['epochs']} epochs", flush=True)
    return {"seed": seed, **{k: v for k, v in found.items() if k not in figures}, **figures}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.search", description=__doc__)
    parser.add_argument("--table", type=Path, required=True, help="Parquet feature table")
    parser.add_argument("--peer", type=Path, help="the peer's script; unset: this project alone")
    parser.add_argument("--trials", type=int, default=256)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--wide", action="store_true", help="the space in which much explodes")
    parser.add_argument("--hidden", help="one list of widths instead of three to choose from")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0, help="of the first repeat")
    parser.add_argument("--equal-only", action="store_true", help="leave our defaults out")
    parser.add_argument(
        "--peer-default", action="store_true", help="also the peer without --reuse, scaled"
    )
    parser.add_argument(
        "--ours", nargs="*", default=[], metavar="KEY=VALUE",
        help="further settings of our side, such as cohort=256 on a GPU",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, help="JSON file; unset: in benchmarks/results")
    return parser


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
