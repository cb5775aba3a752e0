"""python -m benchmarks.search --table FILE --peer PATH: whole searches, this project and a peer.

The two take turns on the same table, space, trials, epochs, rungs and seeds; every figure is of the
whole process, start-up included.
"""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.processes import run
from benchmarks.sides import (
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
from trainable.errors import UserError, status_of

DEFAULT_TRIALS = 128  # of the peer's default, which takes too long for the full count
RATIOS = ("seconds", "cpu_seconds", "peak_mib")
GAINS = {"sharpe_gain": "best_sharpe", "named_gain": "winner_sharpe"}  # ours, against their best
Runs = dict[str, list[dict[str, Any]]]


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
    for repeat in range(repeats):
        turn = seed + repeat
        runs.setdefault("equal", []).append(_ours(work, turn, EQUAL))
        if peer is not None:
            runs.setdefault("peer", []).append(_peer(work, turn, peer, reuse=True))
        if not options.equal_only:
            runs.setdefault("defaults", []).append(_ours(work, turn, ()))
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


def scaled(found: Mapping[str, Any], trials: int) -> dict[str, Any]:
    """Returns a run of fewer trials with its times scaled per trial, and marked so."""
    if found["trials"] == trials:
        return dict(found)
    share = trials / found["trials"]
    times = {key: found[key] * share for key in ("seconds", "cpu_seconds")}
    return {**found, **times, "scaled_from_trials": found["trials"]}


def medians(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Returns median, lowest and highest of each figure that every run has."""
    names = [k for k, v in runs[0].items() if isinstance(v, int | float) and k != "seed"]
    return {
        name: _spread([run[name] for run in runs])
        for name in names
        if all(run.get(name) is not None for run in runs)
    }


def ratios(
    theirs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, float]]:
    """Returns how many times more the others take, and by how much their best Sharpe is higher.

    Repeats are paired; a single run of theirs is held against all of ours. The difference of the
    Sharpe ratios is ours minus theirs; `scaled` runs, of fewer trials, have none. `sharpe_gain` is
    of the highest last reports, `named_gain` of what each search names its best: for ours that is
    the trial which the ranking puts first, at its epoch of lowest validation loss.
    """
    once = len(theirs) == 1
    pairs = list(zip(list(theirs) * len(ours) if once else theirs, ours, strict=True))
    found = {name: _spread([t[name] / o[name] for t, o in pairs]) for name in RATIOS}
    for name, mine in GAINS.items():
        gains = [
            o[mine] - t["best_sharpe"]
            for t, o in pairs
            if "scaled_from_trials" not in t and None not in (t["best_sharpe"], o[mine])
        ]
        if gains:
            found[name] = _spread(gains) | {"mean": statistics.fmean(gains)}
        if len(gains) > 1:
            found[name]["standard_error"] = statistics.stdev(gains) / len(gains) ** 0.5
    return found


def lines_of(result: Mapping[str, Any]) -> list[str]:
    """Returns the printed table."""
    head = f"{'':<24}{'seconds':>18}{'CPU s':>10}{'MiB':>8}{'largest':>9}{'trials/h':>10}"
    lines = [f"{head}{'epochs':>8}{'Sharpe':>8}"]
    for side, each in result["medians"].items():
        figure = {name: spread["median"] for name, spread in each.items()}
        span = f"{each['seconds']['low']:.1f}–{each['seconds']['high']:.1f}"
        mark = " (scaled)" if "scaled_from_trials" in each else ""
        lines.append(
            f"{side + mark:<24}{figure['seconds']:>8.1f} {span:>9}{figure['cpu_seconds']:>10.1f}"
            f"{figure['peak_mib']:>8.0f}{figure['largest_mib']:>9.0f}"
            f"{figure['trials_per_hour']:>10.0f}{figure['epochs']:>8.0f}"
            f"{figure.get('best_sharpe', float('nan')):>8.2f}"
        )
    for pair, each in result["ratios"].items():
        parts = [f"{name} {_shown(spread)}×" for name, spread in each.items() if name in RATIOS]
        lines.append(f"{pair}: {', '.join(parts)}")
        if "sharpe_gain" in each:
            last, named = (_shown(each[name], 2) for name in GAINS)
            lines.append(f"  Sharpe, ours minus theirs: {last}; of the trial named best: {named}")
    return lines


def _ours(work: Work, seed: int, extra: tuple[str, ...]) -> dict[str, Any]:
    cut = cut_of(work.table)
    return _measured(
        "this project" + (", equal work" if extra else ", defaults"),
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
    figures = {
        "seconds": round(used.seconds, 2),
        "cpu_seconds": round(used.cpu_seconds, 2),
        "peak_mib": round(used.peak_mib, 1),
        "largest_mib": round(used.largest_mib, 1),
        "others_cpu_seconds": round(used.others_cpu_seconds, 1),
        "trials_per_hour": round(found["trials"] / used.seconds * 3600, 1),
    }
    print(f"{what}, seed {seed}: {figures['seconds']} s, {found['epochs']} epochs", flush=True)
    return {"seed": seed, **{k: v for k, v in found.items() if k not in figures}, **figures}


def _shown(spread: Mapping[str, float], digits: int = 1) -> str:
    median, low, high = (f"{spread[name]:.{digits}f}" for name in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


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
    parser.add_argument("--out", type=Path, help="JSON file; unset: in benchmarks/results")
    return parser


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
