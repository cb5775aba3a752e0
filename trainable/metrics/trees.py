"""Gradient-boosted trees on rows in time, the baseline of a nonlinear rule on the same features."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sklearn.ensemble import HistGradientBoostingRegressor

LATE_SHARE = 0.2  # last share of the training rows, on which the number of trees is chosen
MOST_TREES = 50
LEAVES = 15  # of a tree; returns are nearly noise, so small trees
RATE = 0.1
PATIENCE = 10  # trees in a row that lower no error on the late rows
LEAST_ROWS = 100  # of a leaf, or a fiftieth of fewer than 5,000 rows


def fit_trees(
    x: np.ndarray, y: np.ndarray, time: np.ndarray, label_end: np.ndarray
) -> "HistGradientBoostingRegressor":
    """Fits boosted trees (Friedman 2001; histograms as in Ke et al. 2017).

    As many as predict later rows best: they are fitted on the early rows, whose labels end before
    the last 20 % of the rows begin. The number of least squared error on these last rows is fitted
    again, on all rows. No row is drawn at random: labels of neighbouring rows overlap.

    Args:
        x: [n, F] features, sorted by time; they need no scale, and may be NaN.
        y: [n] float64 labels, finite.
        time: [n] bar of each row, increasing.
        label_end: [n] bar at which its label ends.
    """
    begin = time[int(len(time) * (1.0 - LATE_SHARE))]
    early = np.flatnonzero(label_end < begin)
    late = int(np.searchsorted(time, begin, side="left"))
    trees = 1
    if len(early) > 1:
        model = _model(MOST_TREES, len(early), early_stopping=True)
        model.fit(x[early], y[early], X_val=x[late:], y_val=y[late:])
        # The first score is that of no tree, at which a model cannot stay.
        trees = max(1, int(model.validation_score_.argmax()))
    return _model(trees, len(x), early_stopping=False).fit(x, y)


def _model(trees: int, rows: int, early_stopping: bool) -> Any:
    from sklearn.ensemble import HistGradientBoostingRegressor  # takes a second to import

    settings: Any = {"early_stopping": early_stopping}  # its stub knows "auto" alone
    return HistGradientBoostingRegressor(
        learning_rate=RATE,
        max_iter=trees,
        max_leaf_nodes=LEAVES,
        min_samples_leaf=max(2, min(LEAST_ROWS, rows // 50)),
        n_iter_no_change=PATIENCE,
        tol=0.0,
        random_state=0,
        **settings,
    )
