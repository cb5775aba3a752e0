"""How surely a Sharpe ratio is above a threshold, and what a sample could have proved at all.

Sharpe ratios are per period here, mean ÷ standard deviation (divisor T − 1), unless an argument or
a result is called annual. The normal distribution is an approximation for many periods.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from analysis.statistics.paired_sharpe import influence, newey_west_variance, standardise
from analysis.statistics.snooping.luck_line import luck_line

FEWEST = 3  # periods from which on a skewness says anything


@dataclass(frozen=True)
class Moments:
    """What the returns of one strategy say of its Sharpe ratio.

    Attributes:
        periods: number of returns, T.
        sharpe: Sharpe ratio per period.
        skewness: third standardised moment; 0 of a normal distribution.
        kurtosis: fourth standardised moment; 3 of a normal distribution.
    """

    periods: int
    sharpe: float
    skewness: float = 0.0
    kurtosis: float = 3.0


def moments(returns: np.ndarray) -> Moments | None:
    """Returns the moments of returns, [T]; None if they are constant or fewer than three."""
    T = len(returns)
    if T < FEWEST:
        return None
    ratios, z = standardise(np.asarray(returns, dtype=np.float64)[:, None])
    if math.isnan(ratios[0]):
        return None
    sharpe = float(ratios[0]) * math.sqrt((T - 1) / T)
    return Moments(T, sharpe, float(np.mean(z**3)), float(np.mean(z**4)))


def sharpe_error(found: Moments) -> float | None:
    """Returns the standard error of a Sharpe ratio of independent returns of any distribution.

    √((1 − γ₃·S + (γ₄ − 1)/4·S²) ÷ (T − 1)), with γ₃ the skewness and γ₄ the kurtosis (Mertens 2002;
    Bailey and López de Prado 2012, "The Sharpe ratio efficient frontier"). None for one period.
    """
    if found.periods < 2:
        return None
    factor = _variance_factor(found.sharpe, found.skewness, found.kurtosis)
    return math.sqrt(factor / (found.periods - 1)) if factor > 0 else None


def robust_sharpe_error(returns: np.ndarray) -> float | None:
    """Returns the standard error of a Sharpe ratio that also allows for autocorrelation.

    The long-run variance of the ratio's influence values, with Bartlett weights (Lo 2002, Ledoit
    and Wolf 2008; `newey_west_variance`). Without autocorrelation it is `sharpe_error` again.

    Args:
        returns: [T].
    """
    found = influence(np.asarray(returns, dtype=np.float64)) if len(returns) >= FEWEST else None
    return None if found is None else math.sqrt(newey_west_variance(found[1]))


def probabilistic_sharpe(
    found: Moments, threshold: float = 0.0, error: float | None = None
) -> float | None:
    """Returns the probabilistic Sharpe ratio: how surely the true ratio is above a threshold.

    Φ((S − threshold) ÷ error) (Bailey and López de Prado 2012). 1 minus it is the p of a one-sided
    test; it is no probability that the strategy is good.

    Args:
        found: moments of the strategy.
        threshold: a Sharpe ratio per period.
        error: standard error of the ratio; None: `sharpe_error`.

    Returns:
        0 to 1; None where the error is unknown or 0.
    """
    error = sharpe_error(found) if error is None else error
    return float(ndtr((found.sharpe - threshold) / error)) if error else None


def deflated_sharpe(
    found: Moments, trials: float, variance: float, error: float | None = None
) -> float | None:
    """Returns the deflated Sharpe ratio of the best of many trials.

    It is the probabilistic Sharpe ratio above what is expected of the best of as many useless
    trials, √V·z(N), with z the expected highest of N standard normal values (Bailey and López de
    Prado 2014, "The deflated Sharpe ratio").

    Args:
        found: moments of the best trial.
        trials: N, of independent trials; at least 1, not always a whole number.
        variance: V, of the Sharpe ratios per period of useless trials. That of the trials at hand
            holds their skill as well, and that of pruned ones is none of ratios of this length.
        error: as of `probabilistic_sharpe`.
    """
    return probabilistic_sharpe(found, math.sqrt(variance) * luck_line(trials, 1, 1), error)


def minimum_track_record(
    found: Moments, threshold: float = 0.0, level: float = 0.05
) -> float | None:
    """Returns how many periods prove that the true Sharpe ratio is above a threshold.

    1 + (1 − γ₃·S + (γ₄ − 1)/4·S²)·(Φ⁻¹(1 − level) ÷ (S − threshold))² (Bailey and López de Prado
    2012): with these moments, `probabilistic_sharpe` is then 1 − level.

    Returns:
        Not always a whole number; None where the ratio is not above the threshold.

    Raises:
        ValueError: the level is not between 0 and 0.5.
    """
    _check_chance("level", level)
    factor = _variance_factor(found.sharpe, found.skewness, found.kurtosis)
    if found.sharpe <= threshold or factor <= 0:
        return None
    return 1 + factor * (float(ndtri(level)) / (found.sharpe - threshold)) ** 2


def provable_sharpe(
    periods: int,
    periods_per_year: float,
    trials: float = 1,
    level: float = 0.05,
    miss: float = 0.2,
    skewness: float = 0.0,
    kurtosis: float = 3.0,
) -> float | None:
    """Returns the smallest true annual Sharpe ratio that a sample could have proved.

    A ratio is proved if its p, 1 − `probabilistic_sharpe`, is at most 1 − (1 − level)^(1/N): so the
    best of N independent useless trials is taken for skill with probability `level` (Šidák 1967).
    What is returned is the true ratio that is proved with probability 1 − `miss`. With normal
    returns it is near (Φ⁻¹ of the two together) ÷ √years: 2.49 ÷ √years of one trial, 4.00 ÷ √years
    of the best of 64.

    Args:
        periods: T, at least 2.
        periods_per_year: above 0.
        trials: N, of independent trials; at least 1, not always a whole number.
        level: how often useless trials may pass, between 0 and 0.5.
        miss: how often this ratio is not proved, between 0 and 0.5.
        skewness: of the returns.
        kurtosis: of the returns.

    Returns:
        None if no ratio is proved by so few periods.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_chance("level", level)
    _check_chance("miss", miss)
    if periods < 2 or not trials >= 1 or not periods_per_year > 0:
        raise ValueError(f"periods={periods}, trials={trials}, periods_per_year={periods_per_year}")
    of_one = -math.expm1(math.log1p(-level) / trials)
    cutoff = _above(0.0, -float(ndtri(of_one)), periods, skewness, kurtosis)
    if cutoff is None:
        return None
    found = _above(cutoff, -float(ndtri(miss)), periods, skewness, kurtosis)
    return None if found is None else found * math.sqrt(periods_per_year)


def _above(
    base: float, errors: float, periods: int, skewness: float, kurtosis: float
) -> float | None:
    """Returns the Sharpe ratio S that is above `base` by so many of its own standard errors.

    (S − base)² = h·(1 − γ₃·S + (γ₄ − 1)/4·S²) with h = errors² ÷ (T − 1): of its two solutions, the
    one above `base`. None if there is none, since the error grows as fast as S.
    """
    h = errors**2 / (periods - 1)
    a = 1 - h * (kurtosis - 1) / 4
    b = 2 * base - h * skewness
    c = base**2 - h
    if a <= 0:
        return None
    return (b + math.sqrt(max(b * b - 4 * a * c, 0.0))) / (2 * a)


def _variance_factor(sharpe: float, skewness: float, kurtosis: float) -> float:
    return 1 - skewness * sharpe + (kurtosis - 1) / 4 * sharpe**2


def _check_chance(name: str, value: float) -> None:
    if not 0 < value < 0.5:
        raise ValueError(f"{name} must be between 0 and 0.5, not {value}")
