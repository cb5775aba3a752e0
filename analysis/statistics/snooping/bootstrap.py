"""Days drawn with replacement, or turned over, in blocks of random length; and what p follows."""

import math
from collections.abc import Iterator

import numpy as np

from analysis.statistics.paired_sharpe import standardise

FEWEST = 20  # periods from which on a block length can be estimated
BATCH = 2_000_000  # days that are drawn at a time, over all resamples


def standardised(returns: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns Sharpe ratios [N] and standardised returns [T, N] of those trials that have a ratio.

    None if none has one, or there are fewer than 20 periods; see `standardise`.

    Args:
        returns: [T, all] net returns on the same days, finite.
    """
    ratios, z = standardise(np.asarray(returns, dtype=np.float64))
    known = ~np.isnan(ratios)
    return (ratios[known], z[:, known]) if known.any() and len(z) >= FEWEST else None


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
    rng, steps = np.random.default_rng(seed), np.arange(days)
    for begins in _block_begins(days, block, resamples, rng):
        begun = np.maximum.accumulate(np.where(begins, steps, 0), axis=1)
        first = np.take_along_axis(rng.integers(days, size=begins.shape), begun, axis=1)
        yield (first + steps - begun) % days


def block_signs(days: int, block: float, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields batches of signs, [batch, T] of 1 and −1, the same within blocks of random length.

    Returns whose sign is as likely the other one are as likely after them as before, whatever their
    tails and however they go together: of a statistic that is a test of any length (a wild
    bootstrap; Wu 1986, by blocks: Shao 2010).

    Args:
        days: T.
        block: mean length of a block, at least 1.
        resamples: number of resamples in all.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    for begins in _block_begins(days, block, resamples, rng):
        signs = rng.choice(np.array([-1.0, 1.0]), begins.shape)
        yield np.take_along_axis(signs, np.cumsum(begins, axis=1) - begins[:, :1], axis=1)


def _block_begins(
    days: int, block: float, resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """Yields in batches, [batch, T] bool, on which days a block begins: one in `block`."""
    while resamples > 0:
        batch = min(resamples, max(1, BATCH // days))
        yield rng.random((batch, days)) < 1 / block
        resamples -= batch


def day_counts(drawn: np.ndarray, days: int) -> np.ndarray:
    """Returns how often each of so many days was drawn, [B, any] → [B, days] float64."""
    rows = days * np.arange(len(drawn))[:, None]
    counts = np.bincount((drawn + rows).ravel(), minlength=len(drawn) * days)
    return counts.reshape(len(drawn), days).astype(np.float64)
