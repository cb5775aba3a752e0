"""Whether several judges put the same things in the same order."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

DRAWS = 4_000  # random orders that chance is told by


@dataclass(frozen=True)
class RankAgreement:
    """How far m judges agree on the order of n things.

    Attributes:
        w: Kendall's coefficient of concordance, 0 (none) to 1 (all orders are the same).
        spearman: mean rank correlation of two judges, (m·w − 1) ÷ (m − 1).
        chance: w that random orders reach in one of twenty draws.
        p: how often random orders agree as well, (1 + k) ÷ (1 + draws).
        judges: m.
    """

    w: float
    spearman: float
    chance: float
    p: float
    judges: int


def rank_agreement(values: np.ndarray, seed: int = 0) -> RankAgreement | None:
    """Returns how far the orders of the lines agree (Kendall and Babington Smith 1939).

    W = (12·ΣR² − 3·m²·n·(n + 1)²) ÷ (m²·n·(n² − 1) − m·T), with R the sum of a thing's ranks and T
    the sum of t³ − t over groups of t equal values. Judges are taken to be independent: chance puts
    each line in a random order.

    Args:
        values: [m, n], a line a judge. Things with a value that is not finite are left out.
        seed: of the random orders.

    Returns:
        None for fewer than two judges or things, or where no judge tells any two apart.
    """
    x = np.asarray(values, dtype=np.float64)
    x = x[:, np.isfinite(x).all(axis=0)]
    m, n = x.shape
    if m < 2 or n < 2:
        return None
    ranks = rankdata(x, axis=1)
    equal = sum(
        float((counts.astype(np.float64) ** 3 - counts).sum())
        for counts in (np.unique(line, return_counts=True)[1] for line in ranks)
    )
    largest = m * m * n * (n * n - 1.0) - m * equal
    if largest <= 0:
        return None
    least = 3.0 * m * m * n * (n + 1.0) ** 2

    def concordance(sums: np.ndarray) -> np.ndarray:
        return (12.0 * (sums**2).sum(axis=-1) - least) / largest

    w = float(concordance(ranks.sum(axis=0)))
    rng = np.random.default_rng(seed)
    drawn = concordance(
        sum(rng.permuted(np.tile(line, (DRAWS, 1)), axis=1) for line in ranks)  # type: ignore[arg-type]
    )
    as_well = int((drawn >= w - 1e-12).sum())
    return RankAgreement(
        w=w,
        spearman=(m * w - 1.0) / (m - 1.0),
        chance=float(np.quantile(drawn, 0.95, method="higher")),
        p=(1 + as_well) / (1 + DRAWS),
        judges=m,
    )
