"""The information coefficient: correlation of predictions with what came, day by day."""

import numpy as np
from scipy.stats import rankdata

from trainable.portfolio import FLAT, spread

SAME = 1e-12  # labels whose relative spread is smaller are one value


def ranks(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Average ranks within each line of [V, N] over the cells of `mask`; 0 elsewhere."""
    return np.where(mask, rankdata(np.where(mask, values, np.inf), axis=1), 0.0)


def opinions(p: np.ndarray, mask: np.ndarray, train_std: float) -> np.ndarray:
    """[V] bool, the lines on which the predictions are no constant."""
    mean, _, std = spread(p, mask)
    return (std > FLAT * (np.abs(mean) + train_std))[:, 0]


def mean_correlation(x: np.ndarray, y: np.ndarray, mask: np.ndarray) -> float | None:
    """Mean over lines of the Pearson correlation of x and y, [V, N], over the cells of `mask`.

    Lines on which either is constant are left out; None when none remains. On ranks this is
    Spearman's correlation with ties at their average rank.
    """
    x_mean, x_deviation, x_std = spread(x, mask)
    y_mean, y_deviation, y_std = spread(y, mask)
    defined = ((x_std > SAME * np.abs(x_mean)) & (y_std > SAME * np.abs(y_mean)))[:, 0]
    if not defined.any():
        return None
    # Each scaled by its own std first: squares of tiny predictions would vanish.
    x_unit = x_deviation[defined] / x_std[defined]
    y_unit = y_deviation[defined] / y_std[defined]
    correlation = (x_unit * y_unit).sum(axis=1) / mask[defined].sum(axis=1)
    return float(correlation.mean())
