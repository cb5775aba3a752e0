"""The information coefficient: correlation of predictions with what came, day by day.

A line is a bar's symbols, or all bars of a single symbol. Values are [..., V lines, N]; a member's
sums run over its own last axes only, so that they do not depend on who is scored beside it.
"""

from dataclasses import dataclass

import numpy as np

from trainable.metrics.portfolio import FLAT, spread

SAME = 1e-12  # values whose relative spread is smaller are one value


@dataclass(frozen=True)
class Standardised:
    """Values as deviations from their line's mean in units of the line's standard deviation.

    Attributes:
        unit: [..., V, N]; 0 where there is no value.
        varies: [..., V] bool, lines whose values are not all the same.
        mean, std: [..., V] of each line.
    """

    unit: np.ndarray
    varies: np.ndarray
    mean: np.ndarray
    std: np.ndarray

    def varying(self, train_std: np.ndarray) -> np.ndarray:
        """[..., V] bool, the lines on which predictions are no constant."""
        return self.std > FLAT * (np.abs(self.mean) + train_std)


def standardise(values: np.ndarray, mask: np.ndarray) -> Standardised:
    """Measures the values of each line, [..., V, N], over the cells of `mask`, [V, N]."""
    mean, deviation, std = spread(values, mask)
    varies = std > SAME * np.abs(mean)
    unit = np.divide(deviation, np.where(varies, std, 1.0), out=deviation)
    return Standardised(unit, varies[..., 0], mean[..., 0], std[..., 0])


def ranks(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Average ranks within each line of [..., V, N] over the cells of `mask`; 0 elsewhere."""
    filled = np.where(mask, values, np.inf)
    order = filled.argsort(axis=-1)
    ordered = np.take_along_axis(filled, order, axis=-1)
    place = np.broadcast_to(np.arange(1.0, filled.shape[-1] + 1), filled.shape)
    tied = (ordered[..., 1:] == ordered[..., :-1]) & np.isfinite(ordered[..., 1:])
    lines = tied.any(axis=-1)
    if lines.any():
        place = place.copy()
        place[lines] = _average(place[lines], tied[lines])
    out = np.empty_like(filled)
    np.put_along_axis(out, order, place, axis=-1)
    return np.where(mask, out, 0.0)


def _average(place: np.ndarray, tied: np.ndarray) -> np.ndarray:
    """Gives tied neighbours, [L, N - 1], the mean of the first and the last of their places."""
    edge = np.zeros((len(place), 1), dtype=bool)
    first = np.where(np.hstack([edge, tied]), 0.0, place)
    last = np.where(np.hstack([tied, edge]), np.inf, place)
    first = np.maximum.accumulate(first, axis=1)
    last = np.minimum.accumulate(last[:, ::-1], axis=1)[:, ::-1]
    return (first + last) / 2.0


def mean_correlation(
    x: Standardised, y: Standardised, lines: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """Mean over lines of the Pearson correlation of x and y: [..., V, N] → [...].

    Lines on which either is constant are left out; NaN when none remains. On ranks this is
    Spearman's correlation with ties at their average rank.

    Args:
        x: [..., V, N].
        y: [V, N], over the same cells.
        lines: [..., V] bool, lines that count.
        count: [V], cells of each line, at least 1.
    """
    defined = lines & x.varies & y.varies
    # Each was scaled by its own std first: squares of tiny predictions would vanish.
    correlation = np.where(defined, (x.unit * y.unit).sum(axis=-1) / count, 0.0)
    found = defined.sum(axis=-1)
    mean = correlation.sum(axis=-1) / np.maximum(found, 1)
    return np.where(found > 0, mean, np.nan)
