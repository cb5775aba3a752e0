"""How much of the spread of Sharpe ratios is signal, and what more trials are expected to add."""

import math

import numpy as np

from analysis.statistics.paired_sharpe import influence, newey_west_variance
from analysis.statistics.snooping.luck_line import luck_line

FEWEST = 32  # trials with a Sharpe ratio from which on an expected rise is near what was found
WORTH = 0.05  # annual Sharpe ratio; what is expected to raise the best by less is not worth it


class SignalShare:
    """What trials on the same days say together about the noise in their Sharpe ratios.

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

    @property
    def mean(self) -> float | None:
        """The mean Sharpe ratio of the trials, a period; None before the first."""
        return float(np.mean(self._ratios)) if self._ratios else None

    def expected_rise(self, trials: int, more: int, periods_per_year: float) -> float | None:
        """Returns by how much more trials are expected to raise the true Sharpe ratio of the best.

        Of n normal ratios with signal τ² and noise σ² the highest is truly worth z(n)·τ²/√(τ² + σ²)
        above their mean, z(n) being the expected highest of n standard normal values. On curves
        whose truth is known this says 0.11 where the choice of 64 instead of 32 trials is worth
        0.07 more, 0.10 and 0.08 of 96 instead of 48; from 16 trials it says too much.

        Args:
            trials: that were tried.
            more: further ones.
            periods_per_year: number of periods (of the returns added) in a year.

        Returns:
            Annual; None where the share of signal is unknown, or fewer than `FEWEST` were added.
        """
        share = self.share
        if share is None or len(self._ratios) < FEWEST:
            return None
        deviation = float(np.std(self._ratios, ddof=1)) * math.sqrt(periods_per_year)
        return share * deviation * (luck_line(trials + more, 1, 1) - luck_line(trials, 1, 1))
