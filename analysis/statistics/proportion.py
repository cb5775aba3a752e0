"""The interval of a proportion that was counted in few draws."""

import numpy as np
from scipy.special import betaincinv, betaln


def clopper_pearson(
    hits: int, draws: int, total: int | None = None, confidence: float = 0.95
) -> tuple[float, float]:
    """Returns the exact two-sided interval of a proportion (Clopper and Pearson 1934).

    Its bounds are the proportions at which so many hits or more, or so many or fewer, have half of
    what `confidence` leaves. It holds the true proportion at least as often as that says.

    Args:
        hits: draws that had what is counted.
        draws: all of them, at least 1.
        total: of how many the draws were made, without replacement (then the hits are
            hypergeometric, not binomial, and what was drawn is known); None: of infinitely many.
        confidence: between 0 and 1.

    Raises:
        ValueError: there are fewer than 0 hits, or more than draws, or no draw, or more than there
            are to draw.
    """
    enough = total is None or draws <= total
    if draws < 1 or not 0 <= hits <= draws or not 0 < confidence < 1 or not enough:
        raise ValueError(f"{hits} of {draws}, confidence {confidence}")
    tail = (1 - confidence) / 2
    if total is None:
        low = betaincinv(hits, draws - hits + 1, tail) if hits else 0.0
        high = betaincinv(hits + 1, draws - hits, 1 - tail) if hits < draws else 1.0
        return float(low), float(high)
    possible = np.arange(hits, total - (draws - hits) + 1)  # how many of all have it
    drawn = np.arange(draws + 1)[:, None]
    chances = np.exp(
        _log_choose(possible, drawn)
        + _log_choose(total - possible, draws - drawn)
        - _log_choose(np.array(total), np.array(draws))
    )
    more, fewer = chances[hits:].sum(axis=0), chances[: hits + 1].sum(axis=0)
    return float(possible[more > tail][0]) / total, float(possible[fewer > tail][-1]) / total


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Returns the logarithm of n over k; minus infinity where that is 0."""
    possible = (k >= 0) & (k <= n)
    n, k = np.broadcast_arrays(n, np.where(possible, k, 0))
    return np.where(possible, -np.log1p(n) - betaln(n - k + 1, k + 1), -np.inf)
