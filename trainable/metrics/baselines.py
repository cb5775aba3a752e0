"""Baselines that a network must beat: zero, momentum, equal weight, ridge regression, trees."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.scaler import fit_scaler
from trainable.metrics.carry import book, without_gaps
from trainable.metrics.scores import Scores, balanced_accuracy, score, score_weights
from trainable.metrics.scoring import Scoring, scoring
from trainable.metrics.trees import fit_trees

if TYPE_CHECKING:
    from sklearn.linear_model import Ridge

MOMENTUM_BARS = 60
PENALTIES = tuple(10.0**power for power in np.arange(-4.0, 3.5, 0.5))  # of ridge, per row
LATE_SHARE = 0.2  # last share of the training rows, on which the penalty is chosen


@dataclass(frozen=True)
class Baseline:
    """A simple rule, fitted without a search and scored as the trials are.

    Attributes:
        name: zero, momentum, equal_weight, ridge or trees.
        values: the names of `scores.SCORE_NAMES`, and `val_loss`: the mean squared error on
            targets divided by their training standard deviation; None where undefined.
        net_returns: [V] float64, net simple return of each scored period; None without a position.
    """

    name: str
    values: dict[str, float | None]
    net_returns: np.ndarray | None


def baselines(dataset: Dataset, rows: np.ndarray | None = None) -> list[Baseline]:
    """Fits every baseline on the training rows and scores it.

    Args:
        dataset: of the search.
        rows: rows to score; None: the validation rows.
    """
    rows = dataset.valid_rows if rows is None else rows
    on = scoring(dataset, rows)
    return [Baseline(name, *make(dataset, rows, on)) for name, make in BASELINES.items()]


Outcome = tuple[dict[str, float | None], np.ndarray | None]


def _outcome(scores: Scores, val_loss: float | None) -> Outcome:
    return scores.values | {"val_loss": val_loss}, scores.net_returns


def _loss(dataset: Dataset, rows: np.ndarray, predictions: np.ndarray) -> float | None:
    """Returns the mean squared error of predictions [m] on targets ÷ their training std."""
    error = dataset.target[rows] / dataset.target_scale - predictions
    error = error[np.isfinite(error)]
    return float((error.astype(np.float64) ** 2).mean()) if len(error) else None


def zero(dataset: Dataset, rows: np.ndarray, on: Scoring) -> Outcome:
    """Predicts 0: it holds nothing and has no Sharpe ratio, but its loss is the one to beat."""
    predictions = np.zeros(len(rows))
    scores = score(on, predictions[None], np.zeros((1, 1)))[0]
    return _outcome(scores, _loss(dataset, rows, predictions))


def momentum(dataset: Dataset, rows: np.ndarray, on: Scoring) -> Outcome:
    """Predicts each symbol's mean return over the last 60 bars (Jegadeesh and Titman 1993).

    It takes returns that are known at the bar's close, so it needs no prices and works on ready
    features. A symbol's first bar has no past return: 0. It predicts an order of symbols and no
    amounts, so its loss is undefined.
    """
    past = mean_past_returns(dataset, MOMENTUM_BARS)
    predictions, training = (
        past[dataset.time[which], dataset.symbol[which]][None]
        for which in (rows, dataset.train_rows)
    )
    return _outcome(score(on, predictions, training)[0], None)


def mean_past_returns(dataset: Dataset, bars: int) -> np.ndarray:
    """Returns the mean of the last `bars` returns that are known at each bar, [T, N]."""
    # A decision's return begins lag bars after it and ends one later: it is known from then on.
    known_after = dataset.lag + 1
    values, finite = _realised(dataset)
    earned, exists = np.zeros(values.shape), np.zeros(values.shape)
    earned[known_after:] = values[:-known_after]
    exists[known_after:] = finite[:-known_after]
    total, count = np.cumsum(earned, axis=0), np.cumsum(exists, axis=0)
    total[bars:] -= total[:-bars].copy()
    count[bars:] -= count[:-bars].copy()
    return np.where(count > 0, total / np.maximum(count, 1.0), 0.0)


def _realised(dataset: Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Returns the return that each symbol books in each period, [T, N], and where it does."""
    everything = slice(0, len(dataset.timestamps))
    values, finite = dataset.forward_returns, np.isfinite(dataset.forward_returns)
    values = np.where(finite, values, 0.0)
    if without_gaps(dataset, everything):
        return values, finite
    return book(dataset, everything, values), book(dataset, everything, finite)


def equal_weight(dataset: Dataset, rows: np.ndarray, on: Scoring) -> Outcome:
    """Holds 1/N of every tradable symbol as trials do: long only, net of costs, not demeaned."""
    scores = score_weights(on, on.equal_weights())
    nothing = score(on, np.zeros((1, len(rows))), np.zeros((1, 1)))[0]
    values = nothing.values | scores.values
    values["sharpe_exposure"] = scores.values["sharpe"]
    values["accuracy"] = balanced_accuracy(np.ones(len(rows)), on.label)
    return _outcome(Scores(values, scores.net_returns), None)


def ridge_regression(dataset: Dataset, rows: np.ndarray, on: Scoring) -> Outcome:
    """Ridge regression on the scaled features; its penalty is chosen on the late training rows."""
    train = dataset.train_rows
    scaler = fit_scaler(dataset.features[train], names=dataset.feature_names)

    def design(which: np.ndarray) -> np.ndarray:
        return np.nan_to_num(scaler.transform(dataset.features[which]), nan=0.0)

    order = train[np.argsort(dataset.time[train], kind="stable")]
    target = dataset.target[order].astype(np.float64) / dataset.target_scale
    x = design(order)
    model = fit_ridge(x, target, dataset.time[order], dataset.label_end[order])
    predictions = model.predict(design(rows))
    scores = score(on, predictions[None], model.predict(x)[None])[0]
    return _outcome(scores, _loss(dataset, rows, predictions))


def boosted_trees(dataset: Dataset, rows: np.ndarray, on: Scoring) -> Outcome:
    """Gradient-boosted trees on the features; their number is chosen on the late training rows."""
    train = dataset.train_rows
    order = train[np.argsort(dataset.time[train], kind="stable")]
    target = dataset.target[order].astype(np.float64) / dataset.target_scale
    x = dataset.features[order]
    model = fit_trees(x, target, dataset.time[order], dataset.label_end[order])
    predictions = model.predict(dataset.features[rows])
    scores = score(on, predictions[None], model.predict(x)[None])[0]
    return _outcome(scores, _loss(dataset, rows, predictions))


def fit_ridge(x: np.ndarray, y: np.ndarray, time: np.ndarray, label_end: np.ndarray) -> "Ridge":
    """Fits a ridge regression (Hoerl and Kennard 1970) with the penalty that predicts later rows.

    Every penalty is fitted on the early rows, whose labels end before the last 20 % of the rows
    begin. The penalty of least squared error on these last rows is fitted again, on all rows.

    Args:
        x: [n, F] scaled features, finite, sorted by time.
        y: [n] float64 labels, finite.
        time: [n] bar of each row, increasing.
        label_end: [n] bar at which its label ends.

    Returns:
        The fitted model; its `alpha` is the penalty × n.
    """
    from sklearn.linear_model import Ridge  # takes a second to import

    x = x.astype(np.float64)
    begin = time[int(len(time) * (1.0 - LATE_SHARE))]
    early = np.flatnonzero(label_end < begin)
    late = int(np.searchsorted(time, begin, side="left"))
    penalty = PENALTIES[-1]
    if len(early) > 1:
        # One target a penalty: they share the one pass over the rows.
        penalties: Any = np.array(PENALTIES) * len(early)
        models = Ridge(alpha=penalties, solver="cholesky")
        models.fit(x[early], np.tile(y[early, None], len(PENALTIES)))
        errors = ((models.predict(x[late:]) - y[late:, None]) ** 2).mean(axis=0)
        penalty = PENALTIES[int(np.argmin(errors))]
    return Ridge(alpha=penalty * len(x), solver="cholesky").fit(x, y)


BASELINES: dict[str, Callable[[Dataset, np.ndarray, Scoring], Outcome]] = {
    "zero": zero,
    "momentum": momentum,
    "equal_weight": equal_weight,
    "ridge": ridge_regression,
    "trees": boosted_trees,
}
