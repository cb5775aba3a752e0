"""What net returns say: the Sharpe ratio, its standard error, the drawdown; of one or of K members.

A member's returns are one line of [K, V]; nothing of it depends on the other lines. NaN in an array
is undefined.
"""

import numpy as np

CONSTANT = 1e-12  # returns whose std is below CONSTANT × the largest are all the same


def sharpe_ratio(returns: np.ndarray, periods_per_year: float) -> float | None:
    """Annualised Sharpe ratio: mean ÷ standard deviation (ddof 1) × √periods a year.

    Args:
        returns: [V] simple returns of each period, decimal; the risk-free rate is taken as 0.
        periods_per_year: periods a year.

    Returns:
        None for fewer than two returns, constant returns, or one that is not finite.
    """
    return defined(period_ratios(_line(returns))[0] * np.sqrt(periods_per_year))


def sharpe_se(returns: np.ndarray, periods_per_year: float) -> float | None:
    """Standard error of the annualised Sharpe ratio, for returns without autocorrelation.

    √((1 + SR²/2) ÷ V) with SR of one period (Lo 2002, "The statistics of Sharpe ratios"), times
    √periods a year. None where the Sharpe ratio is.
    """
    ratio = period_ratios(_line(returns))
    return defined(standard_errors(ratio, len(returns), periods_per_year)[0])


def max_drawdown(returns: np.ndarray) -> float:
    """Largest loss from a peak of the compounded returns, as a fraction: 0 … −1 (ruin)."""
    return float(drawdowns(_line(returns))[0])


def period_ratios(returns: np.ndarray) -> np.ndarray:
    """Sharpe ratios of one period, [K, V] → [K]; `sharpe_ratio` says when they are undefined."""
    if returns.shape[1] < 2:
        return np.full(len(returns), np.nan)
    with np.errstate(over="ignore", invalid="ignore"):
        std, largest = returns.std(axis=1, ddof=1), np.abs(returns).max(axis=1)
        good = np.isfinite(returns).all(axis=1) & ~(std <= CONSTANT * largest)
        return np.where(good, returns.mean(axis=1) / np.where(good, std, 1.0), np.nan)


def standard_errors(ratio: np.ndarray, periods: int, periods_per_year: float) -> np.ndarray:
    """Standard errors of annualised Sharpe ratios, from those of one of so many periods."""
    return np.sqrt((1.0 + 0.5 * ratio**2) / max(periods, 1) * periods_per_year)


def drawdowns(returns: np.ndarray) -> np.ndarray:
    """`max_drawdown` of each line, [K, V] → [K]."""
    wealth = np.ones((len(returns), returns.shape[1] + 1))
    np.cumprod(1.0 + returns, axis=1, out=wealth[:, 1:])
    fall = (wealth / np.maximum.accumulate(wealth, axis=1) - 1.0).min(axis=1)
    return np.maximum(fall, -1.0)


def defined(value: float) -> float | None:
    """Returns None for NaN."""
    return None if np.isnan(value) else float(value)


def _line(values: np.ndarray) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)[None]
