"""Has a trial's Sharpe ratio stopped improving? A test on paired returns, not a look at the curve.

A Sharpe ratio is too uncertain to be looked at: on five years of days its standard error is 0.45.
But two epochs of one training hold nearly the same positions, so their *difference* is known ten
times better; only where even the optimistic end of that difference is small is a trial flat.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np


@dataclass(frozen=True)
class FlatRule:
    """When a trial counts as flat.

    Attributes:
        window: epochs over which an improvement is measured. A fifth of the training by default:
            what gains less than `margin` in a fifth gains less than four margins in the rest.
        margin: improvement over the window that would matter, in annual Sharpe.
        confidence: level of the one-sided upper bound of the improvement.
        ic_margin: rise of the information coefficient over the window that counts as none; 0.002
            is 0.1 annual Sharpe for ten symbols a day (IC × √(symbols × days a year)).
        loss_margin: fall of the validation loss, relative, that counts as none where it is the
            objective; 5e-4 is the gain of an IC of 0.022.
        smoothing: epochs averaged at either end, as in the objective: the jitter of single epochs
            would only widen the bound.
        streak: epochs in a row that must say flat. The rule looks at every epoch, so that a single
            look would make its error many times that of one test.
        minimum_days: fewer days than this never make a verdict: the error itself is not known.
    """

    window: int = 10
    margin: float = 0.1
    confidence: float = 0.9
    ic_margin: float = 0.002
    loss_margin: float = 5e-4
    smoothing: int = 3
    streak: int = 3
    minimum_days: int = 60

    def __post_init__(self) -> None:
        if self.window < 1 or self.smoothing < 1 or self.streak < 1:
            raise ValueError(f"window, smoothing and streak are at least 1: {self}")

    @property
    def epochs(self) -> int:
        """Epochs of returns that must be at hand for one verdict."""
        return self.window + self.smoothing


def default_rule(epochs: int) -> FlatRule:
    """Returns the rule for trainings of so many epochs."""
    return FlatRule(window=max(5, epochs // 5))


@dataclass(frozen=True)
class Flatness:
    """Whether a trial is flat, with the figures; `improvement` and errors are in annual Sharpe."""

    flat: bool
    evidence: dict[str, Any]


def flatness(
    before: np.ndarray,
    now: np.ndarray,
    ic_change: float | None,
    periods_per_year: float,
    rule: FlatRule,
) -> Flatness:
    """Tests whether returns now have no better a Sharpe ratio than before, by more than the margin.

    Args:
        before: [T] net simple returns at the window's start, one per period, decimal.
        now: [T] the same periods at the window's end.
        ic_change: information coefficient now minus before; None where undefined, then not flat.
        periods_per_year: periods (of the returns given) in a year.
        rule: margin, confidence and the other limits.

    Returns:
        Flat where the upper confidence bound of the Sharpe ratio's improvement is below the margin
        and the IC does not rise. Never flat where a Sharpe ratio is undefined or days are few.
    """
    if before.shape != now.shape or now.ndim != 1:
        raise ValueError(f"returns must be paired, [T]: {before.shape} before, {now.shape} now")
    days = len(now)
    evidence: dict[str, Any] = {"days": days, "margin": rule.margin, "ic_change": ic_change}
    measured = None if days < rule.minimum_days else sharpe_difference(before, now)
    if measured is None or ic_change is None:
        return Flatness(False, evidence)
    scale = math.sqrt(periods_per_year)
    improvement, error = (scale * value for value in measured)
    upper = improvement + NormalDist().inv_cdf(rule.confidence) * error
    evidence |= {"improvement": improvement, "standard_error": error, "upper_bound": upper}
    return Flatness(upper < rule.margin and ic_change <= rule.ic_margin, evidence)


def sharpe_difference(before: np.ndarray, now: np.ndarray) -> tuple[float, float] | None:
    """Returns the difference of two paired Sharpe ratios, now minus before, and its standard error.

    Per period, not annualised. Delta method (Jobson & Korkie 1981) with an error robust to
    heteroscedasticity and autocorrelation (Ledoit & Wolf 2008, section 3.1): the long-run variance
    of the difference of the two ratios' influence values. None where a ratio is undefined.
    """
    parts = [_influence(np.asarray(returns, dtype=np.float64)) for returns in (before, now)]
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


def _influence(returns: np.ndarray) -> tuple[float, np.ndarray] | None:
    """Returns a series' Sharpe ratio and what each period adds to it, to first order."""
    mean = float(returns.mean())
    centred = returns - mean
    deviation = math.sqrt(float(centred @ centred) / len(returns))
    if not deviation > 1e-9 * abs(mean) or deviation < 1e-150:
        return None
    ratio, z = mean / deviation, centred / deviation
    return ratio, z - ratio / 2 * (z**2 - 1)
