"""Cross-fitting: what trials chosen on most of the days earn on the days that did not choose."""

from dataclasses import dataclass
from math import isnan, sqrt

import numpy as np

from analysis.statistics.snooping.bootstrap import (
    block_length,
    block_signs,
    chance,
    point,
    standardised,
)

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
    be luck follows from the same computation with the signs of blocks of days turned at random, all
    trials' together (`block_signs`): each day stays in its fold, and a few great days prove little.

    Beside the best of all trials (`reality_check`) it asks for less: of 64 useless trials one in
    twenty reaches 1.5 to 1.8 standard errors here, and 3 there. Measured on eight kinds of market,
    300 of each, with 8 to 40 useless trials over 40 to 1,000 days, correlated or not, with fat
    tails, changing volatility and skewness: p ≤ 0.05 occurs in 3.7 to 7.0 %, with an
    autocorrelation of 0.2 in 7.7 %. Days drawn with replacement would set the bar a fifth too high
    where trials do not correlate, as what is drawn into several folds helps to choose itself.

    Args:
        returns: [T, N] net returns of all trials on the same days, finite, at the epoch that ranks
            each. Those without a Sharpe ratio are left out.
        periods_per_year: above 0.
        resamples: B, at least 1.
        seed: of the draws.

    Returns:
        None if no trial has a Sharpe ratio or there are fewer than 20 periods.
    """
    found = standardised(returns)
    if found is None:
        return None
    ratios, z = found
    T, N = z.shape
    scaled = (z + ratios) / np.sqrt(1 + ratios**2)  # of mean square 1, which no sign changes
    turned = block_signs(T, block_length(z), resamples, seed)
    without = np.concatenate([_held_out(scaled, signs) for signs in turned])
    (ratio,) = _held_out(scaled, np.ones((1, T)))
    annual = sqrt((T - 1) / T * periods_per_year)  # and to a deviation whose divisor is T − 1
    without = annual * np.sort(np.nan_to_num(without, nan=0.0))
    return CrossFit(
        sharpe=None if isnan(ratio) else annual * float(ratio),
        error=float(without.std()),
        without_skill=without,
        trials=N,
    )


def _held_out(returns: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """Returns the cross-fitted Sharpe ratio, per period, for each set of signs, [B].

    NaN where nothing is held.

    Args:
        returns: [T, N].
        signs: [B, T].
    """
    T = len(returns)
    folds = np.array_split(np.arange(T), FOLDS)
    sums = np.array([signs[:, fold] @ returns[fold] for fold in folds])
    squares = np.array([np.square(returns[fold]).sum(axis=0) for fold in folds])
    mean, square = np.zeros(len(signs)), np.zeros(len(signs))
    for number, fold in enumerate(folds):
        days = T - len(fold)
        others = (sums.sum(axis=0) - sums[number]) / days
        variance = (squares.sum(axis=0) - squares[number]) / days - others**2
        deviation = np.sqrt(np.where(variance > 1e-9, variance, np.inf))
        shares = np.maximum(others / deviation, 0.0) / deviation
        total = shares.sum(axis=1, keepdims=True)
        shares = np.divide(shares, total, out=np.zeros_like(shares), where=total > 0)
        held = signs[:, fold] * (shares @ returns[fold].T)
        mean += held.sum(axis=1) / T
        square += np.square(held).sum(axis=1) / T
    variance = square - mean**2
    return mean / np.sqrt(np.where(variance > 1e-12, variance, np.nan))
