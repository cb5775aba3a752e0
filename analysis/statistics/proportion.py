"""The interval of a proportion that was counted in few draws."""

from scipy.special import betaincinv


def clopper_pearson(hits: int, draws: int, confidence: float = 0.95) -> tuple[float, float]:
    """Returns the exact two-sided interval of a proportion (Clopper and Pearson 1934).

    Its bounds are quantiles of beta distributions. It holds the true proportion at least as often
    as `confidence` says, with draws from a finite number of trials even more often.

    Args:
        hits: draws that had what is counted.
        draws: all of them, at least 1.
        confidence: between 0 and 1.

    Raises:
        ValueError: there are fewer than 0 hits, or more than draws, or no draw.
    """
    if draws < 1 or not 0 <= hits <= draws or not 0 < confidence < 1:
        raise ValueError(f"{hits} of {draws}, confidence {confidence}")
    tail = (1 - confidence) / 2
    low = betaincinv(hits, draws - hits + 1, tail) if hits else 0.0
    high = betaincinv(hits + 1, draws - hits, 1 - tail) if hits < draws else 1.0
    return float(low), float(high)
