"""What a strategy adds to another one: the Sharpe ratio of the best mix of both."""

from dataclasses import dataclass
from math import sqrt

import numpy as np

SAME = 1e-9  # share of the variance that must be a strategy's own


@dataclass(frozen=True)
class Mix:
    """Two strategies on the same periods; annual Sharpe ratios.

    Attributes:
        sharpe: of the best mix without short positions.
        alone: of the second, S₂.
        own: of what the first earns beside the second, with its beta to that sold: (S₁ − ρS₂) ÷
            √(1 − ρ²). Its standard error is about √(periods a year ÷ periods).
        correlation: ρ of the returns.
    """

    sharpe: float
    alone: float
    own: float
    correlation: float


def best_mix(first: np.ndarray, second: np.ndarray, periods_per_year: float) -> Mix | None:
    """Returns the best mix of two strategies.

    With S the Sharpe ratios it has √(S₂² + own²), where `own` is the appraisal ratio (Treynor and
    Black 1973), which is √((S₁² + S₂² − 2ρS₁S₂) ÷ (1 − ρ²)). Where that takes a short position in
    one of them, the best is the other one alone.

    Args:
        first: [T] net returns.
        second: [T] those of the other one.
        periods_per_year: periods a year.

    Returns:
        None where a ratio is undefined, or one strategy is a multiple of the other.

    Raises:
        ValueError: the returns are not paired.
    """
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"returns must be paired, [T]: {first.shape}, {second.shape}")
    if len(first) < 3 or not np.ptp(first) > 0 or not np.ptp(second) > 0:
        return None
    correlation = float(np.corrcoef(first, second)[0, 1])
    rest = 1.0 - correlation**2
    if rest < SAME:
        return None
    annual = sqrt(periods_per_year)
    one, two = (float(each.mean() / each.std(ddof=1)) * annual for each in (first, second))
    own = (one - correlation * two) / sqrt(rest)
    other = (two - correlation * one) / sqrt(rest)
    both = sqrt(two**2 + own**2) if own > 0 and other > 0 else max(one, two)
    return Mix(both, two, own, correlation)
