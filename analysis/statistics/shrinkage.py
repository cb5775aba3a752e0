"""Means of few seeds, shrunk towards the others by how uncertain they are."""

from collections.abc import Sequence

import numpy as np

PRIOR_SHARE = 0.4  # standard deviation between seeds before any is known ÷ error of a Sharpe ratio
PRIOR_WEIGHT = 4.0  # degrees of freedom that the prior counts for


def seed_variance(sharpes: Sequence[Sequence[float]], error: float) -> float:
    """Returns the variance of annual Sharpe ratios between seeds of one configuration.

    Args:
        sharpes: of the seeds of each configuration.
        error: standard error of one annual Sharpe ratio, √(1 ÷ years).
    """
    return pooled_variance(sharpes, (PRIOR_SHARE * error) ** 2, PRIOR_WEIGHT)


def pooled_variance(groups: Sequence[Sequence[float]], prior: float, weight: float) -> float:
    """Returns the variance within groups, pooled over all of them and a prior.

    Args:
        groups: values of each group; a group of one says nothing.
        prior: variance before any is known.
        weight: degrees of freedom that the prior counts for.
    """
    squares, freedom = weight * prior, weight
    for values in groups:
        if len(values) < 2:
            continue
        squares += len(values) * float(np.var(values))
        freedom += len(values) - 1
    return squares / freedom if freedom > 0 else prior


def shrunk_means(means: np.ndarray, errors: np.ndarray) -> np.ndarray:
    """Returns the means, each shrunk towards the mean of all by its share of noise.

    The empirical Bayes estimate of normal means with unequal errors (Efron and Morris 1975); the
    variance between them is DerSimonian and Laird's (1986). Where they differ by no more than their
    errors, all are shrunk to one value.

    Args:
        means: [K].
        errors: [K], the variance of each, above 0.
    """
    if len(means) < 2:
        return means.astype(float)
    weights = 1 / errors
    centre = float(weights @ means / weights.sum())
    excess = float(weights @ (means - centre) ** 2) - (len(means) - 1)
    scale = float(weights.sum() - (weights**2).sum() / weights.sum())
    between = max(0.0, excess / scale) if scale > 0 else 0.0
    centre = float(np.average(means, weights=1 / (errors + between)))
    return centre + between / (between + errors) * (means - centre)
