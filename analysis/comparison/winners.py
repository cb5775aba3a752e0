"""What the winners of two runs earn on the days that both were scored on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.ranking import rank
from analysis.seeds import Row, further_seeds, scored_seeds
from analysis.statistics.paired_sharpe import Difference, Side, difference_of_means
from analysis.statistics.shrinkage import seed_variance

LEAST_DAYS = 20  # that a difference is said of


@dataclass(frozen=True)
class Winner:
    """The configuration that ranks first in its run.

    Attributes:
        number: of its first trial.
        sharpe: annual Sharpe ratio on the run's own days, mean over its seeds.
        seeds: that the mean is of.
        params: searched parameters.
    """

    number: int
    sharpe: float
    seeds: int
    params: Mapping[str, Any]


@dataclass(frozen=True)
class OnSameDays:
    """Two winners on the days that both were scored on.

    Attributes:
        days: how many.
        first, last: of them, ISO.
        sharpes: annual Sharpe ratio of each there, mean over its seeds.
        correlation: of what the two earn by the day, each in equal shares of its seeds; None where
            one of them does not vary.
        difference: the first less the second, with its interval; None where one ratio is undefined.
    """

    days: int
    first: str
    last: str
    sharpes: tuple[float, float]
    correlation: float | None
    difference: Difference | None


def winner_of(run: Run) -> Winner | None:
    """Returns the winner of a run; None where no finalist has a Sharpe ratio."""
    ranked = rank(run).dropna(subset=["sharpe_mean"]).to_dict("records")
    if not ranked:
        return None
    best = ranked[0]
    params = {
        str(name).removeprefix("params."): value
        for name, value in best.items()
        if str(name).startswith("params.")
    }
    ratio, seeds = float(best["sharpe_mean"]), int(best["sharpe_seeds"])
    return Winner(int(best["number"]), ratio, seeds, params)


def on_same_days(runs: tuple[Run, Run], winners: tuple[Winner, Winner]) -> OnSameDays | None:
    """Returns what two winners earn on the same days; None where these are fewer than 20.

    Returns of bars within a day are summed first. A day counts where every seed of both has it.

    Args:
        runs: in which they won.
        winners: of each.
    """
    each = [_daily(run, winner.number) for run, winner in zip(runs, winners, strict=True)]
    if each[0] is None or each[1] is None:
        return None
    (days_a, a), (days_b, b) = each[0], each[1]
    days, at_a, at_b = np.intersect1d(days_a, days_b, assume_unique=True, return_indices=True)
    if len(days) < LEAST_DAYS:
        return None
    returns = a[:, at_a], b[:, at_b]
    year = runs[0].days_per_year
    ratios = [_sharpes(one, year) for one in returns]
    known = [row for one in ratios for row in one]
    if not np.isfinite(known).all():
        return None
    groups = [[float(s["sharpe"]) for s in seeds] for run in runs for seeds in _scored(run)]
    between = seed_variance(groups, sqrt(year / len(days)))
    sides = [Side(list(r), one) for r, one in zip(ratios, returns, strict=True)]
    return OnSameDays(
        days=len(days),
        first=str(days[0]),
        last=str(days[-1]),
        sharpes=(float(np.mean(ratios[0])), float(np.mean(ratios[1]))),
        correlation=_correlation(returns[0].mean(axis=0), returns[1].mean(axis=0)),
        difference=difference_of_means(sides[0], sides[1], year, between),
    )


def _scored(run: Run) -> list[list[Row]]:
    seeds = further_seeds(run)
    return [scored_seeds(row, seeds.get(int(row["number"]), []))[0] for row in run.searched_rows]


def _daily(run: Run, number: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the days [T] and net returns [seeds, T] of a configuration; None where one has none.

    The days are those that all of its seeds have.
    """
    scored, _ = scored_seeds(run.row_of[number], further_seeds(run).get(number, []))
    found = [run.daily(int(seed["number"])) for seed in scored]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    days = known[0][0]
    for others, _ in known[1:]:
        days = np.intersect1d(days, others, assume_unique=True)
    return days, np.stack([returns[np.isin(own, days)] for own, returns in known])


def _sharpes(returns: np.ndarray, year: float) -> np.ndarray:
    """Returns the annual Sharpe ratio of each series [n, T]; NaN where it does not vary."""
    spread = returns.std(axis=1, ddof=1)
    spread = np.where(spread > 1e-12 * np.abs(returns).max(axis=1, initial=0.0), spread, np.nan)
    return returns.mean(axis=1) / spread * sqrt(year)


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    both: Sequence[np.ndarray] = (a, b)
    return float(np.corrcoef(a, b)[0, 1]) if all(np.ptp(one) > 0 for one in both) else None
