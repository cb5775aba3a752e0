"""How often the rule for a flat Sharpe stops a trial that would still have gained.

    python -m benchmarks.truth.flat FOLDER [--jobs 2] [--out FILE]

Each configuration of FOLDER, what `benchmarks.truth.make` made, trains alone, without rungs. A stop
is false if the true Sharpe ratio, at the epoch that ranks the trial, would have risen by more than
the margin until the end of its training.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.truth.command import arguments, in_processes
from benchmarks.truth.curves import Curves, read
from benchmarks.truth.outcomes import at_ranking_epoch, markets_of
from benchmarks.truth.replay import DAYS_PER_YEAR, WARMUP_ENDS, Table, report_of
from search.pruning.flat_sharpe import FlatRule, default_rule
from search.pruning.pruner import Pruner
from trainable.cli.commands import status_of

MARGIN = 0.1  # annual Sharpe
RULES = {"default": default_rule(50)} | {
    f"window {window}, {streak} in a row, patience {age}": FlatRule(
        window=window, streak=streak, patience=age
    )
    for window in (5, 10)
    for streak in (1, 3)
    for age in (0, 5, 10)
}
RULES |= {
    f"default, min_delta {step:g}": replace(default_rule(50), min_delta=step)
    for step in (0.0, 2e-4, 5e-4)
}
RULES["the loss alone, patience 10"] = FlatRule(5, 50.0, ic_margin=9.0)


def main(argv: Sequence[str]) -> int:
    """Trains every configuration under every rule, prints the table and writes the JSON file."""
    args = arguments("flat", __doc__, argv)
    record = machine.Record(args.out, "benchmarks.truth.flat", argv)
    markets = markets_of(args.folder)
    found = in_processes(stops, markets, args.jobs)
    done = dict(zip([m.name for m in markets], found, strict=True))
    rows = [row(name, {market: each[name] for market, each in done.items()}) for name in RULES]
    print(f"{'rule':45} stopped  epochs saved  false stops  worst kind")
    for each in rows:
        print(
            f"{each['rule']:45} {each['stopped']:7.0%}  {each['saved']:12.0%}  "
            f"{each['false']:11.1%}  {each['worst']:.1%} {each['worst_kind']}"
        )
    record.save({"margin": MARGIN, "rules": rows})
    return 0


def stops(folder: Path) -> dict[str, np.ndarray]:
    """Returns for each rule, and configuration of a market, the last epoch and what it cost.

    What it cost, in true Sharpe ratio, is NaN where no rule stopped the trial: [C, 2].
    """
    curves = read(folder)
    rows = range(len(curves.params))
    return {
        name: np.array([_stop(curves, row, rule) for row in rows]) for name, rule in RULES.items()
    }


def _stop(curves: Curves, row: int, rule: FlatRule) -> tuple[float, float]:
    table = Table(curves)
    table.where[0] = row, 0
    last = curves.returns.shape[1]
    pruner = Pruner((last,), curves.periods, DAYS_PER_YEAR, flat=rule, warmup_ends=WARMUP_ENDS)
    for epoch in range(1, last + 1):
        verdict = pruner.judge([report_of(table, 0, epoch)])[0]
        if verdict.reason in ("flat_sharpe", "converged"):
            now, end = (at_ranking_epoch(curves, row, 0, e)["true_sharpe"] for e in (epoch, last))
            return epoch, end - now
        if verdict.ends:
            return epoch, np.nan
    return last, np.nan


def row(name: str, found: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Returns what a rule came to, over all markets and in the worst kind of them."""
    everything = np.concatenate(list(found.values()))
    kinds: dict[str, list[np.ndarray]] = {}
    for market, each in found.items():
        kinds.setdefault(market.rpartition("-")[0], []).append(each)
    false = {kind: _false(np.concatenate(each)) for kind, each in kinds.items()}
    worst = max(false, key=lambda kind: false[kind])
    return {
        "rule": name,
        "stopped": float(np.isfinite(everything[:, 1]).mean()),
        "saved": float(1 - everything[:, 0].mean() / 50),
        "false": _false(everything),
        "worst": false[worst],
        "worst_kind": worst,
    }


def _false(found: np.ndarray) -> float:
    stopped = found[np.isfinite(found[:, 1])]
    return float((stopped[:, 1] > MARGIN).mean()) if len(stopped) else 0.0


if __name__ == "__main__":
    sys.exit(status_of(lambda: main(sys.argv[1:])))
