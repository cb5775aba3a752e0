"""All finalists together: equal shares of every one's seeds, each paying its own costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from analysis.load import Run
from analysis.seeds import further_seeds, scored_seeds
from analysis.statistics.probabilistic_sharpe import moments, robust_sharpe_error


@dataclass(frozen=True)
class Ensemble:
    """The book that holds every seed of every finalist in equal shares.

    Who finishes, and who gets how many seeds, followed from the same days: it is flattered, though
    less than the best of them. What members would save by trading with each other is not counted.

    Attributes:
        members: numbers of the seeds, by the number of their configuration's first trial.
        returns: [days] net returns, the mean of the members'.
        sharpe: annual Sharpe ratio.
        error: its standard error, robust to autocorrelation.
    """

    members: Mapping[int, Sequence[int]]
    returns: np.ndarray
    sharpe: float
    error: float

    @property
    def seeds(self) -> int:
        """How many seeds it holds."""
        return sum(len(each) for each in self.members.values())


def ensemble(run: Run) -> Ensemble | None:
    """Returns the ensemble of a run; None where no finalist has returns that vary."""
    further = further_seeds(run)
    members: dict[int, list[int]] = {}
    series: list[np.ndarray] = []
    for first in run.searched_rows:
        number = int(first["number"])
        for seed in scored_seeds(first, further.get(number, []))[0]:
            returns = run.daily_returns(int(seed["number"]))
            if returns is not None:
                members.setdefault(number, []).append(int(seed["number"]))
                series.append(returns)
    if not series:
        return None
    together = np.mean(series, axis=0)
    found, error = moments(together), robust_sharpe_error(together)
    if found is None or error is None:
        return None
    year = sqrt(run.days_per_year)
    return Ensemble(members, together, found.sharpe * year, error * year)
