"""How much of the spread at a rung is signal: planted spreads, and numpy's covariance."""

import numpy as np
import pytest

from analysis.statistics.paired_sharpe import influence, newey_west_variance
from analysis.statistics.signal_share import SignalShare

DAYS = 1000


def share_of(series: np.ndarray) -> float | None:
    share = SignalShare()
    for returns in series:
        share.add(returns)
    return share.share


def trials(spread: float, rng: np.random.Generator, correlation: float = 0.5) -> np.ndarray:
    """64 trials on the same days, whose true ratios a day have this standard deviation."""
    shared = rng.standard_normal(DAYS)
    own = rng.standard_normal((64, DAYS))
    noise = np.sqrt(correlation) * shared + np.sqrt(1 - correlation) * own
    return 0.01 * (noise + spread * rng.standard_normal((64, 1)))


def test_equal_trials_have_no_signal_and_very_different_ones_nothing_else() -> None:
    rng = np.random.default_rng(0)
    useless = [share_of(trials(0.0, rng)) for _ in range(20)]
    assert float(np.mean([s for s in useless if s is not None])) < 0.12
    assert share_of(trials(0.5, rng)) == pytest.approx(1.0, abs=0.02)


def test_a_spread_as_large_as_the_noise_is_half_signal() -> None:
    rng = np.random.default_rng(1)
    noise = np.sqrt(0.5 / DAYS)  # of what trials do not share
    found = [share_of(trials(noise, rng)) for _ in range(20)]
    assert float(np.mean([s for s in found if s is not None])) == pytest.approx(0.5, abs=0.05)


def test_the_noise_is_that_of_each_minus_the_mean_of_all() -> None:
    """Computed again from all influence values at once."""
    series = trials(0.02, np.random.default_rng(2))
    found = [f for returns in series if (f := influence(returns)) is not None]
    ratios, psi = np.array([f[0] for f in found]), np.array([f[1] for f in found])
    n = len(ratios)
    noise = sum(newey_west_variance(each) for each in psi - psi.mean(axis=0)) / (n - 1)
    assert share_of(series) == pytest.approx(1 - noise / ratios.var(ddof=1))


def test_fewer_than_two_trials_or_none_with_a_ratio_say_nothing() -> None:
    assert share_of(trials(0.0, np.random.default_rng(0))[:1]) is None
    assert share_of(np.full((5, DAYS), 0.01)) is None
