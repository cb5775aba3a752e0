"""What a replayed search chose, what that is truly worth, and whom it stopped."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from analysis.statistics.shrinkage import seed_variance, shrunk_means
from benchmarks.truth.command import in_processes
from benchmarks.truth.curves import Curves, read
from benchmarks.truth.replay import DAYS_PER_YEAR, Ended, Setup, replay
from trainable.cli.errors import UserError
from trainable.run_format import SEARCHED

BEST_SHARE = 0.05


@dataclass(frozen=True)
class Outcome:
    """One search.

    Attributes:
        chosen: mean true Sharpe ratio, over its seeds, of the configuration that ranks first; 0,
            what no position earns, where none finished.
        best: the highest true Sharpe ratio of a configuration that was searched.
        best_stopped: share of the truly best twentieth that was pruned.
        trials: that were searched.
        epochs: of searched trials.
        seed_epochs: of their further seeds.
        makespan: see `Ended`.
    """

    chosen: float
    best: float
    best_stopped: float
    trials: int
    epochs: int
    seed_epochs: int
    makespan: float

    @property
    def regret(self) -> float:
        """What the choice costs."""
        return self.best - self.chosen


def at_ranking_epoch(curves: Curves, row: int, seed: int, epochs: int) -> dict[str, float]:
    """Returns each metric at the epoch of the lowest validation loss, of the first so many."""
    losses = curves.values["val_loss"][row, seed, :epochs]
    if not np.isfinite(losses).any():
        return dict.fromkeys(curves.values, np.nan)
    epoch = int(np.nanargmin(losses))
    return {name: float(values[row, seed, epoch]) for name, values in curves.values.items()}


def quality(curves: Curves) -> np.ndarray:
    """Returns the true Sharpe ratio [C] of each configuration, fully trained: its seeds' mean.

    A seed that ended before its last epoch counts as 0: nobody would trade it.
    """
    C, S, E = curves.values["sharpe"].shape
    worth = np.zeros((C, S))
    for row in range(C):
        for seed in range(S):
            if (row, seed) not in curves.stops:
                worth[row, seed] = at_ranking_epoch(curves, row, seed, E)["true_sharpe"]
    return np.nan_to_num(worth).mean(axis=1)


def outcome(curves: Curves, ended: Ended, worth: np.ndarray) -> Outcome:
    """Returns what a search came to.

    Args:
        curves: of its market.
        ended: the search.
        worth: `quality` of the curves.
    """
    seeds: dict[int, list[int]] = {}
    for record in ended.rows:
        if record.kind == "seed" and record.state == "COMPLETE" and record.parent is not None:
            seeds.setdefault(record.parent, []).append(record.number)
    finished = [r for r in ended.rows if r.kind in SEARCHED and r.state == "COMPLETE"]
    found = [_sharpes(curves, ended, [r.number, *seeds.get(r.number, [])]) for r in finished]
    searched = [record for record in ended.rows if record.kind in SEARCHED]
    value = {r.number: worth[ended.where[r.number][0]] for r in searched}
    count = max(1, round(BEST_SHARE * len(searched)))
    best = sorted(searched, key=lambda r: -value[r.number])[:count]
    return Outcome(
        chosen=_truth_of_first([each for each in found if np.isfinite(each).all()], curves),
        best=max(value.values()),
        best_stopped=sum(r.state == "PRUNED" for r in best) / count,
        trials=len(searched),
        epochs=ended.epochs.get("search", 0),
        seed_epochs=ended.epochs.get("seed", 0),
        makespan=ended.makespan,
    )


def _sharpes(curves: Curves, ended: Ended, numbers: Sequence[int]) -> np.ndarray:
    """Returns the Sharpe ratios of trials at their ranking epochs, and the true ones, [2, n]."""
    facts = {record.number: record.facts for record in ended.rows}
    found = [
        at_ranking_epoch(curves, *ended.where[number], facts[number]["epochs"])
        for number in numbers
    ]
    return np.array([[each[name] for each in found] for name in ("sharpe", "true_sharpe")])


def _truth_of_first(finalists: Sequence[np.ndarray], curves: Curves) -> float:
    """Returns the true Sharpe ratio of the finalist that ranks first, as a search ranks them."""
    if not finalists:
        return 0.0
    error = np.sqrt(DAYS_PER_YEAR / len(curves.periods))
    variance = seed_variance([each[0].tolist() for each in finalists], error)
    means = np.array([each[0].mean() for each in finalists])
    counts = np.array([each.shape[1] for each in finalists])
    best = np.lexsort((means, shrunk_means(means, variance / counts)))[-1]
    return float(finalists[best][1].mean())


Mean = tuple[float, float | None]  # over markets, and its standard error; None of one market


def mean_and_error(by_market: Mapping[str, Sequence[float]]) -> Mean:
    """Returns the mean over markets and its error; searches of one market are averaged."""
    means = np.array([np.mean(values) for values in by_market.values()])
    error = means.std(ddof=1) / np.sqrt(len(means)) if len(means) > 1 else None
    return float(means.mean()), None if error is None else float(error)


def shown(mean: float, error: float | None) -> str:
    """Returns a difference for a table, as "+0.090 ± 0.030"."""
    return f"{mean:+.3f}" if error is None else f"{mean:+.3f} ± {error:.3f}"


Searches = dict[str, dict[str, list[Outcome]]]  # by setup and market


def searches(folder: Path, setups: Mapping[str, Setup], count: int, jobs: int) -> Searches:
    """Replays so many searches of each setup on each market of a folder.

    The same search of two setups draws the same trials in the same order.

    Raises:
        UserError: the folder has no market.
    """
    markets = markets_of(folder)
    done = in_processes(partial(_on_market, setups=setups, count=count), markets, jobs)
    return {
        name: {market.name: each[name] for market, each in zip(markets, done, strict=True)}
        for name in setups
    }


def markets_of(folder: Path) -> list[Path]:
    """Returns the folders of the markets that `benchmarks.truth.make` has made.

    Raises:
        UserError: there is none.
    """
    markets = sorted(path for path in folder.glob("[!.]*-*") if path.is_dir())
    if not markets:
        raise UserError(f"{folder} holds no curves; python -m benchmarks.truth.make {folder}")
    return markets


def _on_market(folder: Path, setups: Mapping[str, Setup], count: int) -> dict[str, list[Outcome]]:
    curves = read(folder)
    worth = quality(curves)
    return {
        name: [outcome(curves, replay(curves, setup, seed), worth) for seed in range(count)]
        for name, setup in setups.items()
    }


def mean_of(found: Mapping[str, Sequence[Outcome]], figure: Callable[[Outcome], float]) -> Mean:
    """Returns the mean of a figure over the searches of one setup, and its standard error."""
    return mean_and_error({m: [figure(one) for one in each] for m, each in found.items()})


def gain(found: Mapping[str, Sequence[Outcome]], base: Mapping[str, Sequence[Outcome]]) -> Mean:
    """Returns how much more a setup's choices are truly worth than another's, and the error."""
    pairs = {m: zip(each, base[m], strict=True) for m, each in found.items()}
    return mean_and_error({m: [a.chosen - b.chosen for a, b in each] for m, each in pairs.items()})


def figures(
    found: Mapping[str, Sequence[Outcome]],
    base: Mapping[str, Sequence[Outcome]],
    names: Sequence[str],
) -> dict[str, Any]:
    """Returns the means of figures of `Outcome` with their errors, and the gain over another setup.

    Each is entered under its name and NAME_error; the gain of the choice as `gain`.
    """
    row: dict[str, Any] = {}
    for name in names:
        row[name], row[f"{name}_error"] = mean_of(found, lambda one, name=name: getattr(one, name))
    row["gain"], row["gain_error"] = gain(found, base)
    return row
