"""What the runs of a benchmark of searches say: medians, ratios of pairs, the printed table."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

RATIOS = ("seconds", "cpu_seconds", "peak_mib")
GAINS = {"sharpe_gain": "best_sharpe", "named_gain": "winner_sharpe"}  # ours, against their best
Runs = dict[str, list[dict[str, Any]]]


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


def _shown(spread: Mapping[str, float], digits: int = 1) -> str:
    median, low, high = (f"{spread[name]:.{digits}f}" for name in ("median", "low", "high"))
    return f"{median} ({low} to {high})"


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}
