"""By how much two Sharpe ratios on the same days differ, and how far that can be trusted.

Two strategies on the same days share most of their luck, which cancels in the difference: its
error is that of what they do not share.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95


@dataclass(frozen=True)
class Side:
    """One of two configurations that are compared.

    Attributes:
        sharpes: annual Sharpe ratios of its seeds, at least one.
        returns: [seeds, T] their net returns, one per period, the same periods on both sides.
    """

    sharpes: Sequence[float]
    returns: np.ndarray


@dataclass(frozen=True)
class Difference:
    """A difference of annual Sharpe ratios, first minus second, with its interval."""

    value: float
    low: float
    high: float


def difference_of_means(
    first: Side, second: Side, periods_per_year: float, between: float
) -> Difference | None:
    """Returns the difference of two means over seeds, with its 95 % interval.

    Two errors add up, since days and seeds are drawn independently:

    - Days. With ψ the influence values of a seed's ratio (`influence`), averaged over the seeds of
      a side, the variance of the mean of their difference, by the day, robust to autocorrelation
      (`newey_west_variance`; Ledoit and Wolf 2008, section 3.1). For independent normal returns and
      one seed each it is (2 − 2ρ + (S₁² + S₂² − 2 S₁ S₂ ρ²) ÷ 2) ÷ T (Jobson and Korkie 1981, as
      corrected by Memmel 2003), and for one side alone (1 + S² ÷ 2) ÷ T (Lo 2002).
    - Seeds. s² ÷ n of each side; of one seed alone, `between` in place of s². What seeds of one
      configuration earn differently by the day is in both errors, which widens the interval.

    The ends are quantiles of Student's t, whose degrees of freedom follow from those of each s²
    (Satterthwaite 1946): three seeds say little of s².

    Args:
        first: the minuend.
        second: the subtrahend.
        periods_per_year: number of periods (of the returns given) in a year.
        between: variance of annual Sharpe ratios between seeds of any one configuration.

    Returns:
        None where a ratio is undefined or there are fewer than two periods.

    Raises:
        ValueError: the returns are not paired.
    """
    if first.returns.shape[1:] != second.returns.shape[1:] or first.returns.ndim != 2:
        raise ValueError(
            f"returns must be paired, [seeds, T]: {first.returns.shape}, {second.returns.shape}"
        )
    psi = [_mean_influence(side.returns) for side in (first, second)]
    if psi[0] is None or psi[1] is None or len(psi[0]) < 2:
        return None
    days = newey_west_variance(psi[0] - psi[1]) * periods_per_year
    total, spread = days, 0.0
    for side in (first, second):
        n = len(side.sharpes)
        own = between if n < 2 else float(np.var(side.sharpes, ddof=1))
        total += own / n
        if n > 1:
            spread += (own / n) ** 2 / (n - 1)
    freedom = total**2 / spread if spread > 0 else math.inf
    reach = float(stdtrit(freedom, (1 + LEVEL) / 2)) * math.sqrt(total)
    value = float(np.mean(first.sharpes)) - float(np.mean(second.sharpes))
    return Difference(value, value - reach, value + reach)


def sharpe_difference(before: np.ndarray, now: np.ndarray) -> tuple[float, float] | None:
    """Returns the difference of two paired Sharpe ratios, now minus before, and its standard error.

    Per period, not annualised. Delta method (Jobson & Korkie 1981) with an error robust to
    heteroscedasticity and autocorrelation (Ledoit & Wolf 2008, section 3.1): the long-run variance
    of the difference of the two ratios' influence values. None if a ratio is undefined.
    """
    parts = [influence(np.asarray(returns, dtype=np.float64)) for returns in (before, now)]
    if parts[0] is None or parts[1] is None:
        return None
    (ratio_before, psi_before), (ratio_now, psi_now) = parts[0], parts[1]
    variance = newey_west_variance(psi_now - psi_before)
    return ratio_now - ratio_before, math.sqrt(variance)


def newey_west_variance(x: np.ndarray) -> float:
    """Returns the variance of the mean of x: [T], robust to autocorrelation.

    Bartlett weights (Newey & West 1987), lags floor(4 (T/100)^(2/9)) (Newey & West 1994).
    """
    T = len(x)
    lags = min(int(4 * (T / 100) ** (2 / 9)), T - 1)
    centred = x - x.mean()
    total = float(centred @ centred)
    for lag in range(1, lags + 1):
        total += 2 * (1 - lag / (lags + 1)) * float(centred[lag:] @ centred[:-lag])
    return max(total, 0.0) / T**2


def influence(returns: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Returns a series' Sharpe ratio, per period, and its influence values ψ, [T] each period's.

    With z a return less their mean, in standard deviations, and S the ratio, ψ = z − S/2 · (z² − 1)
    is what a period adds to the ratio, to first order. None if the ratio is undefined.

    Args:
        returns: [T] float64.
    """
    ratios, z = standardise(returns[:, None])
    ratio = float(ratios[0])
    return None if math.isnan(ratio) else (ratio, z[:, 0] - ratio / 2 * (z[:, 0] ** 2 - 1))


def standardise(returns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each series' Sharpe ratio, per period, and its returns less their mean in deviations.

    Both with the standard deviation whose divisor is T; the returns over it are z + ratio.

    Args:
        returns: [T, N] finite, a column each series.

    Returns:
        Ratios [N] and z [T, N]; NaN where the ratio is undefined, since the returns are constant.
    """
    if len(returns) == 0:
        return np.full(returns.shape[1], np.nan), returns
    mean = returns.mean(axis=0)
    centred = returns - mean
    deviation = np.sqrt(np.einsum("tn,tn->n", centred, centred) / len(returns))
    known = (deviation > 1e-9 * np.abs(mean)) & (deviation >= 1e-150)
    deviation = np.where(known, deviation, np.nan)
    return mean / deviation, centred / deviation


def _mean_influence(returns: np.ndarray) -> np.ndarray | None:
    """Returns the mean ψ over seeds, [seeds, T] → [T]; None if one has no ratio."""
    found = [influence(np.asarray(one, dtype=np.float64)) for one in returns]
    known = [one[1] for one in found if one is not None]
    return np.mean(known, axis=0) if known and len(known) == len(found) else None
