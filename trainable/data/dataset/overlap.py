"""Over how many bars a ready column sums, told from the column alone.

Taken for one bar's, a return over several would be earned anew at each bar.
"""

import numpy as np

DROP = -0.35  # autocorrelation of the changes at the horizon; −0.5 is expected
REST = 0.25  # … and at every other lag, where 0 is expected


def horizon_of(values: np.ndarray, symbol: np.ndarray, longest: int) -> int | None:
    """Returns over how many bars each value sums, by its autocorrelation; None where unclear.

    A sum over h bars that moves on by one changes by what comes in less what went out h bars ago.
    So changes have the autocorrelation −1/2 at lag h and 0 at all others: those of a moving average
    of order h − 1 with equal weights. A return of one bar has it at lag 1.

    Args:
        values: [R] by symbol, then time; NaN where undefined.
        symbol: [R].
        longest: lags looked at.
    """
    change = np.full(len(values), np.nan)
    change[1:] = np.where(symbol[1:] == symbol[:-1], values[1:] - values[:-1], np.nan)
    # Rare extremes must not stand for all: beyond four deviations a change counts as four.
    spread = np.sqrt(np.nanmean(change**2))
    if not spread > 0:
        return None
    change = np.clip(change / spread, -4.0, 4.0)
    lags = np.array([_autocorrelation(change, symbol, lag) for lag in range(1, longest + 1)])
    lowest = int(lags.argmin())
    others = np.delete(lags[: 2 * (lowest + 1)], lowest)
    if lags[lowest] > DROP or np.abs(others).max(initial=0.0) > REST:
        return None
    return lowest + 1


def _autocorrelation(values: np.ndarray, symbol: np.ndarray, lag: int) -> float:
    early, late = values[:-lag], values[lag:]
    both = np.isfinite(early) & np.isfinite(late) & (symbol[:-lag] == symbol[lag:])
    early, late = early[both], late[both]
    norm = np.sqrt(np.square(early).mean() * np.square(late).mean()) if len(early) else 0.0
    return float((early * late).mean() / norm) if norm > 0 else 0.0
