"""Statistics of net returns: the Sharpe ratio, its standard error, the largest drawdown.

A member's returns are one line of [K, V], and its statistics depend on no other line. NaN in an
array means undefined.
"""

import numpy as np

CONSTANT = 1e-12  # returns with a std below CONSTANT × the largest |return| are constant


def sharpe_ratio(returns: np.ndarray, periods_per_year: float) -> float | None:
    """Returns the annualised Sharpe ratio: mean ÷ standard deviation (ddof 1) × √periods a year.

    Args:
        returns: [V] simple returns of each period, decimal; the risk-free rate is taken as 0.
        periods_per_year: periods a year.

    Returns:
        None for fewer than two returns, constant returns, or one that is not finite.
    """
    return none_if_nan(period_ratios(_line(returns))[0] * np.sqrt(periods_per_year))


def sharpe_se(returns: np.ndarray, periods_per_year: float) -> float | None:
    """Returns the standard error of the annualised Sharpe ratio, without autocorrelation.

    √((1 + SR²/2) ÷ V) with SR of one period (Lo 2002, "The statistics of Sharpe ratios"), times
    √periods a year. None where the Sharpe ratio is None.
    """
    ratio = period_ratios(_line(returns))
    return none_if_nan(standard_errors(ratio, len(returns), periods_per_year)[0])


def max_drawdown(returns: np.ndarray) -> float:
    """Returns the largest loss from a peak of the compounded returns, a fraction: 0 … −1 (ruin)."""
    return float(drawdowns(_line(returns))[0])


def period_ratios(returns: np.ndarray) -> np.ndarray:
    """Returns Sharpe ratios of one period, [K, V] → [K]; NaN where `sharpe_ratio` is None."""
    if returns.shape[1] < 2:
        return np.full(len(returns), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        std, largest = returns.std(axis=1, ddof=1), np.abs(returns).max(axis=1)
        good = np.isfinite(returns).all(axis=1) & ~(std <= CONSTANT * largest)
        return np.where(good, returns.mean(axis=1) / np.where(good, std, 1.0), np.nan)


def standard_errors(ratio: np.ndarray, periods: int, periods_per_year: float) -> np.ndarray:
    """Returns the standard errors of annualised Sharpe ratios.

    Args:
        ratio: [K] Sharpe ratios of one period.
        periods: number of periods they were measured on.
        periods_per_year: periods a year.
    """
    return np.sqrt((1.0 + 0.5 * ratio**2) / max(periods, 1) * periods_per_year)


def drawdowns(returns: np.ndarray) -> np.ndarray:
    """Returns the `max_drawdown` of each line, [K, V] → [K]."""
    wealth = np.ones((len(returns), returns.shape[1] + 1))
    np.cumprod(1.0 + returns, axis=1, out=wealth[:, 1:])
    fall = (wealth / np.maximum.accumulate(wealth, axis=1) - 1.0).min(axis=1)
    return np.maximum(fall, -1.0)


def none_if_nan(value: float) -> float | None:
    """Returns None for NaN."""
    return None if np.isnan(value) else float(value)


def _line(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)[None]
