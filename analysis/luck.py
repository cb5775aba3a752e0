"""The luck line of a run, for single seeds and for means of several."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd

from analysis.load import Run
from analysis.statistics.luck_line import luck_line, share_of_seeds
from trainable.run_format import SEARCHED


@dataclass(frozen=True)
class Luck:
    """What as many useless configurations would reach.

    Attributes:
        one_seed: the luck line of single seeds, annual Sharpe ratio.
        correlation: of the returns of two seeds of one configuration; 1 where none is known.
    """

    one_seed: float
    correlation: float

    def share(self, seeds: int) -> float:
        """Returns the deviation of a mean of so many seeds over that of one seed."""
        return share_of_seeds(seeds, self.correlation)

    def line(self, seeds: int) -> float:
        """Returns the luck line of means of so many seeds."""
        return self.one_seed * self.share(max(1, seeds))


def luck(run: Run) -> Luck | None:
    """Returns the luck line of all tried configurations; None when no trial has returns."""
    if run.periods == 0 or run.searched.empty:
        return None
    line = luck_line(len(run.searched), run.periods, run.periods_per_year)
    return Luck(line, seed_correlation(run))


def seed_correlation(run: Run) -> float:
    """Returns how the returns of two seeds of one configuration correlate, at least 0.

    It is the mean over all pairs of seeds of finished configurations, each seed at its ranking
    epoch. 1, as if further seeds told nothing, where there is no pair.
    """
    finished = run.trials.loc[run.trials["state"] == "COMPLETE"]
    groups: dict[int, list[int]] = {}
    for row in finished.to_dict("records"):
        if row["kind"] in SEARCHED:
            groups.setdefault(int(row["number"]), []).append(int(row["number"]))
    for row in finished.loc[finished["kind"] == "seed"].to_dict("records"):
        groups.setdefault(int(row["parent"]), []).append(int(row["number"]))
    several = [members for members in groups.values() if len(members) > 1]
    if not several:
        return 1.0
    returns = _returns(run, [number for members in several for number in members])
    pairs = [
        float(returns[a].corr(returns[b]))
        for members in several
        for a, b in combinations(members, 2)
        if a in returns and b in returns
    ]
    known = [value for value in pairs if np.isfinite(value)]
    return float(np.clip(np.mean(known), 0.0, 1.0)) if known else 1.0


def _returns(run: Run, numbers: Sequence[int]) -> pd.DataFrame:
    """Returns the net returns of trials at their ranking epochs: a row a period, a column each."""
    curves = (run.curve(number) for number in numbers)
    named = {
        n: c.set_index("timestamp")["net_return"] for n, c in zip(numbers, curves, strict=True)
    }
    return pd.DataFrame({number: returns for number, returns in named.items() if len(returns)})
