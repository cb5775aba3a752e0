"""Days drawn with replacement, in blocks of random length: the stationary bootstrap."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from analysis.statistics.paired_sharpe import standardise

FEWEST = 20  # periods from which on a block length can be estimated
BATCH = 2_000_000  # days that are drawn at a time, over all resamples


# Of returns over their deviation [T, N] and days drawn [B, T]: a Sharpe ratio per period, [B].
Statistic = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Drawn:
    """A Sharpe ratio that follows from several trials together, and the same of days drawn anew.

    Attributes:
        found: annual, of the days as they are; NaN where it is undefined.
        without_skill: [B] ascending, annual, of each resample, with every trial's mean taken off.
        block: mean length of the blocks, in periods.
        trials: those with a Sharpe ratio.
    """

    found: float
    without_skill: np.ndarray
    block: float
    trials: int


def draw(
    returns: np.ndarray, periods_per_year: float, statistic: Statistic, resamples: int, seed: int
) -> Drawn | None:
    """Returns a statistic of all trials' returns, and what it is of resamples without skill.

    Args:
        returns: [T, N] net returns of all trials on the same days, finite. Those without a Sharpe
            ratio are left out.
        periods_per_year: above 0.
        statistic: of resamples it is taken over `drawn_spread`, and as 0 where it is NaN.
        resamples: B, at least 1.
        seed: of the draws.

    Returns:
        None if no trial has a Sharpe ratio or there are fewer than 20 periods.
    """
    ratios, z = standardise(np.asarray(returns, dtype=np.float64))
    known = ~np.isnan(ratios)
    T, N = len(z), int(known.sum())
    if N == 0 or T < FEWEST:
        return None
    z = z[:, known]
    block = block_length(z)
    batches = (statistic(z, days) for days in drawn_days(T, block, resamples, seed))
    values = np.nan_to_num(np.concatenate([*batches]), nan=0.0)
    (found,) = statistic(z + ratios[known], np.arange(T)[None])
    annual = math.sqrt((T - 1) / T * periods_per_year)  # and to a deviation whose divisor is T − 1
    scaled = annual / drawn_spread(T, block) * np.sort(values)
    return Drawn(annual * float(found), scaled, block, N)


def chance(values: np.ndarray, reached: float) -> float:
    """Returns (1 + k) ÷ (B + 1), with k of the B ascending values at least what was reached."""
    B = len(values)
    return (1 + B - int(np.searchsorted(values, reached, side="left"))) / (B + 1)


def point(values: np.ndarray, level: float) -> float:
    """Returns the value above which `chance` is at most `level`, or else 1 ÷ (B + 1)."""
    B = len(values)
    allowed = math.floor(level * (B + 1) + 1e-9) - 1  # values that may be at least as high
    return float(values[B - 1 - min(max(0, allowed), B - 1)])


def block_length(returns: np.ndarray) -> float:
    """Returns the mean block length of a stationary bootstrap of several series together.

    The mean over series of what minimises the error of each one's variance (Politis and White 2004,
    Patton, Politis and White 2009), and at least T^(1/3): the estimate of a length is noisy, and
    blocks that are too short cost more than ones that are too long.

    Args:
        returns: [T, N], none of them constant; T at least 20.
    """
    from arch.bootstrap import optimal_block_length  # half a second

    T = len(returns)
    lengths = optimal_block_length(returns)["stationary"].to_numpy()
    return max(T ** (1 / 3), float(np.mean(lengths)))


def drawn_spread(days: int, block: float) -> float:
    """Returns the deviation of a drawn mean, as a share of what a mean really varies by.

    Blocks repeat too little of what belongs together, and days vary less around their own mean than
    around the true one. Of independent days, autocovariances are −σ²/T on average; weighted as a
    stationary bootstrap does, they leave about 1 − 2b/T of the variance, for blocks of b.

    Args:
        days: T, at least 20.
        block: mean length of a block, as of `block_length`.
    """
    return math.sqrt(1 - 2 * block / days)


def drawn_days(days: int, block: float, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields batches of stationary bootstrap resamples, [batch, T] numbers of days, in order.

    A resample begins at a random day and goes on with the next one, the first following the last;
    with probability 1 ÷ block it goes on at a random day instead (Politis and Romano 1994).

    Args:
        days: T.
        block: mean length of a block, at least 1.
        resamples: number of resamples in all.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    steps = np.arange(days)
    while resamples > 0:
        batch = min(resamples, max(1, BATCH // days))
        begins = rng.random((batch, days)) < 1 / block
        begun = np.maximum.accumulate(np.where(begins, steps, 0), axis=1)
        first = np.take_along_axis(rng.integers(days, size=(batch, days)), begun, axis=1)
        yield (first + steps - begun) % days
        resamples -= batch


def day_counts(drawn: np.ndarray, days: int) -> np.ndarray:
    """Returns how often each of so many days was drawn, [B, any] → [B, days] float64."""
    rows = days * np.arange(len(drawn))[:, None]
    counts = np.bincount((drawn + rows).ravel(), minlength=len(drawn) * days)
    return counts.reshape(len(drawn), days).astype(np.float64)
