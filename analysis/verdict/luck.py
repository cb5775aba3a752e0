"""The luck line of a run, for single seeds and for means of several: of all tries on its data."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analysis.load import Run
from analysis.seeds import further_seeds, scored_seeds
from analysis.statistics.snooping.luck_line import luck_line, share_of_seeds
from analysis.tries import Tries


@dataclass(frozen=True)
class Luck:
    """What as many useless configurations would reach.

    Attributes:
        tries: the configurations that it counts.
        periods: validation periods each is scored on.
        periods_per_year: periods a year.
        correlation: of the returns of two seeds of one configuration; 1 where none is known.
    """

    tries: Tries
    periods: int
    periods_per_year: float
    correlation: float = 1.0

    @property
    def one_seed(self) -> float:
        """The luck line of single seeds, annual Sharpe ratio."""
        return luck_line(self.tries.total, self.periods, self.periods_per_year)

    def share(self, seeds: int) -> float:
        """Returns the deviation of a mean of so many seeds over that of one seed."""
        return share_of_seeds(seeds, self.correlation)

    def line(self, seeds: int) -> float:
        """Returns the luck line of means of so many seeds."""
        return self.one_seed * self.share(max(1, seeds))


def luck(run: Run) -> Luck | None:
    """Returns the luck line of all tried configurations; None when no trial has returns.

    Those of other runs on the same data count, and those made elsewhere (`analysis.tries`).
    """
    if run.periods == 0 or run.tries.here == 0:
        return None
    return Luck(run.tries, run.periods, run.periods_per_year, seed_correlation(run))


def seed_correlation(run: Run) -> float:
    """Returns how the returns of two seeds of one configuration correlate, at least 0.

    It is the mean over all pairs of seeds of finished configurations, each seed at its ranking
    epoch. 1, as if further seeds told nothing, where there is no pair.
    """
    seeds = further_seeds(run)
    groups = [
        scored_seeds(first, seeds.get(int(first["number"]), []))[0] for first in run.searched_rows
    ]
    several = [group for group in groups if len(group) > 1]
    pairs = [
        correlation
        for group in several
        for a, b in combinations([_returns(run, int(seed["number"])) for seed in group], 2)
        if (correlation := _correlation(a, b)) is not None
    ]
    return float(np.clip(np.mean(pairs), 0.0, 1.0)) if pairs else 1.0


def _returns(run: Run, number: int) -> np.ndarray:
    """Returns the net returns [V] of a trial at its ranking epoch; none where it has none."""
    return run.curve(number)["net_return"].to_numpy(dtype=float)


def _correlation(a: np.ndarray, b: np.ndarray) -> float | None:
    """Returns how two series correlate; None where they are not of the same days, or constant."""
    if len(a) != len(b) or len(a) < 2 or not np.ptp(a) > 0 or not np.ptp(b) > 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])
