"""How much of the spread of Sharpe ratios at a rung is signal, and how much is noise."""

import math

import numpy as np

from analysis.statistics.paired_sharpe import influence, newey_west_variance


class SignalShare:
    """What the trials at one rung say together about the noise in their Sharpe ratios.

    All trials earn on the same days, so what they share cancels when they are compared: the noise
    that matters is that of their differences. With ψ the influence values of a trial's ratio, it is
    the variance of ψ minus the mean ψ of all; the variance of the ratios in excess of it is signal
    (the variance components of a random-effects meta-analysis, DerSimonian and Laird 1986).
    """

    def __init__(self) -> None:
        self._ratios: list[float] = []
        self._own = 0.0  # sum of the variances of each ratio
        self._together: np.ndarray | None = None  # sum of ψ

    def add(self, returns: np.ndarray) -> None:
        """Adds the returns of a trial, [days]; one without a Sharpe ratio is left out."""
        found = influence(returns.astype(np.float64))
        if found is None:
            return
        ratio, psi = found
        self._ratios.append(ratio)
        self._own += newey_west_variance(psi)
        self._together = psi if self._together is None else self._together + psi

    @property
    def share(self) -> float | None:
        """The share λ = τ² ÷ (τ² + σ²) of signal, 0 to 1; None for fewer than two trials."""
        n = len(self._ratios)
        if n < 2 or self._together is None:
            return None
        noise = (self._own / n - newey_west_variance(self._together / n)) * n / (n - 1)
        spread = float(np.var(self._ratios, ddof=1))
        if not spread > 0 or not math.isfinite(spread):
            return None
        return min(1.0, max(0.0, 1 - noise / spread))
