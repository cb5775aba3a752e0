"""Cross-fitting: what trials chosen on most of the days earn on the days that did not choose."""

from dataclasses import dataclass
from math import isnan

import numpy as np

from analysis.statistics.snooping.bootstrap import chance, day_counts, draw, point

FOLDS = 5
FOUR_IN_FIVE = 0.8416  # Φ⁻¹(0.8)


@dataclass(frozen=True)
class CrossFit:
    """What a choice among several trials earns on days that had no part in it.

    Attributes:
        sharpe: annual Sharpe ratio, over all days, each held as the other folds chose; None where
            no fold chose anything. Below 0 it is too low: a trial of about 0 is then held just on
            the fold that is its worst.
        error: standard error of it without skill, annual.
        without_skill: [B] ascending, the same of each resample without skill.
        trials: those with a Sharpe ratio.
    """

    sharpe: float | None
    error: float
    without_skill: np.ndarray
    trials: int

    @property
    def p(self) -> float:
        """How often useless trials would have earned as much: (1 + k) ÷ (B + 1); 1 of nothing."""
        return 1.0 if self.sharpe is None else chance(self.without_skill, self.sharpe)

    def point(self, level: float) -> float:
        """Returns the smallest annual Sharpe ratio whose p is at most `level`, or 1 ÷ (B + 1)."""
        return float(np.nextafter(point(self.without_skill, level), np.inf))

    def provable(self, level: float) -> float:
        """Returns the true annual Sharpe ratio of the choice that is found four times in five.

        Found means that its p is at most `level`; ratios are taken as normal around the true one.
        """
        return self.point(level) + FOUR_IN_FIVE * self.error


def cross_fit(
    returns: np.ndarray, periods_per_year: float, resamples: int = 2_000, seed: int = 0
) -> CrossFit | None:
    """Returns what a choice among trials earns on days that had no part in it.

    The days are cut into five folds. On each, every trial is held in proportion to its Sharpe ratio
    on the other four, at equal risk, and not at all where that is below 0. So no day's luck chooses
    what is held on it, however many trials there are. Whether the ratio of all days together could
    be luck follows from the same computation on days drawn with replacement (the stationary
    bootstrap), with the mean of each trial's returns taken off.

    Beside the best of all trials (`reality_check`) it asks for less: of 64 useless trials one in
    twenty reaches 1.5 to 1.7 standard errors here, and 3 there.

    Args:
        returns: [T, N] net returns of all trials on the same days, finite, at the epoch that ranks
            each. Those without a Sharpe ratio are left out.
        periods_per_year: above 0.
        resamples: B, at least 1.
        seed: of the draws.

    Returns:
        None if no trial has a Sharpe ratio or there are fewer than 20 periods.
    """
    drawn = draw(returns, periods_per_year, _held_out, resamples, seed)
    if drawn is None:
        return None
    return CrossFit(
        sharpe=None if isnan(drawn.found) else drawn.found,
        error=float(drawn.without_skill.std()),
        without_skill=drawn.without_skill,
        trials=drawn.trials,
    )


def _held_out(z: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """Returns the cross-fitted Sharpe ratio of each resample; NaN where nothing is held.

    See `bootstrap.Statistic`.
    """
    T = len(z)
    folds = [day_counts(part, T) for part in np.array_split(drawn, FOLDS, axis=1)]
    sums = np.array([counts @ z for counts in folds])
    squares = np.array([counts @ z**2 for counts in folds])
    mean, square = np.zeros(len(drawn)), np.zeros(len(drawn))
    for fold, counts in enumerate(folds):
        days = T - counts[0].sum()
        others = (sums.sum(axis=0) - sums[fold]) / days
        variance = (squares.sum(axis=0) - squares[fold]) / days - others**2
        deviation = np.sqrt(np.where(variance > 1e-9, variance, np.inf))
        shares = np.maximum(others / deviation, 0.0) / deviation
        total = shares.sum(axis=1, keepdims=True)
        shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        held = shares @ z.T
        mean += np.einsum("bt,bt->b", counts, held) / T
        square += np.einsum("bt,bt->b", counts, held**2) / T
    variance = square - mean**2
    return mean / np.sqrt(np.where(variance > 1e-12, variance, np.nan))
