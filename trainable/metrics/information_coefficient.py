"""The information coefficient: the mean correlation of predictions with labels.

A line holds the symbols of one bar, or all bars of a single symbol. Values are [..., V lines, N].
Sums run over a member's own last axes only, so that its figures do not depend on the other members.
"""

from dataclasses import dataclass

import numpy as np

from trainable.metrics.deviations import FLAT, deviations

SAME = 1e-12  # values with a smaller relative standard deviation are all the same


@dataclass(frozen=True)
class Standardised:
    """Values less their line's mean, divided by their line's standard deviation.

    Attributes:
        values: [..., V, N]; 0 where there is no value.
        varies: [..., V] bool, lines whose values are not all the same.
        mean, std: [..., V] of each line.
    """

    values: np.ndarray
    varies: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def not_constant(self, train_std: np.ndarray) -> np.ndarray:
        """Returns on which lines the predictions are not constant, [..., V] bool.

        Args:
            train_std: [..., 1], standard deviation of the training predictions.
        """
        return self.std > FLAT * (np.abs(self.mean) + train_std)


def standardise(values: np.ndarray, mask: np.ndarray) -> Standardised:
    """Standardises each line of values [..., V, N] over the cells of `mask` [V, N]."""
    mean, deviation, std = deviations(values, mask)
    varies = std > SAME * np.abs(mean)
    standardised = np.divide(deviation, np.where(varies, std, 1.0), out=deviation)
    return Standardised(standardised, varies[..., 0], mean[..., 0], std[..., 0])


def ranks(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Returns average ranks within each line of [..., V, N] over the cells of `mask`; else 0."""
    filled = np.where(mask, values, np.inf)
    order = filled.argsort(axis=-1)
    ordered = np.take_along_axis(filled, order, axis=-1)
    rank = np.broadcast_to(np.arange(1.0, filled.shape[-1] + 1), filled.shape)
    tied = (ordered[..., 1:] == ordered[..., :-1]) & np.isfinite(ordered[..., 1:])
    lines = tied.any(axis=-1)
    if lines.any():
        rank = rank.copy()
        rank[lines] = _average_ties(rank[lines], tied[lines])
    out = np.empty_like(filled)
    np.put_along_axis(out, order, rank, axis=-1)
    return np.where(mask, out, 0.0)


def _average_ties(rank: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """Returns ranks [L, N] with ties at the mean of their first and last rank.

    Args:
        rank: [L, N], ranks of the ordered values.
        tied: [L, N - 1] bool, where a value equals the next one.
    """
    edge = np.zeros((len(rank), 1), dtype=bool)
    first = np.where(np.hstack([edge, tied]), 0.0, rank)
    last = np.where(np.hstack([tied, edge]), np.inf, rank)
    first = np.maximum.accumulate(first, axis=1)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    return (first + last) / 2.0


def mean_correlation(
    x: Standardised, y: Standardised, lines: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """Returns the mean over lines of the Pearson correlation of x and y: [..., V, N] → [...].

    Lines on which either is constant are left out; NaN when no line remains. On ranks this is
    Spearman's correlation, with ties at their average rank.

    Args:
        x: [..., V, N].
        y: [V, N], over the same cells.
        lines: [..., V] bool, lines that count.
        count: [V], cells of each line, at least 1.
    """
    defined = lines & x.varies & y.varies
    # Both are standardised beforehand, because squares of tiny predictions would underflow.
    correlation = np.where(defined, (x.values * y.values).sum(axis=-1) / count, 0.0)
    found = defined.sum(axis=-1)
    mean = correlation.sum(axis=-1) / np.maximum(found, 1)
    return np.where(found > 0, mean, np.nan)
