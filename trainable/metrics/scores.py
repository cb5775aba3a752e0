"""The one definition of every metric: Sharpe ratio net of costs, correlations, accuracy.

A prediction is made at the close of bar t and earns simple returns from t+lag on. Everything is
computed in float64. An undefined metric is None, never 0 and never NaN.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from trainable.metrics.information_coefficient import (
    Standardised,
    mean_correlation,
    ranks,
    standardise,
)
from trainable.metrics.portfolio import (
    PositionScale,
    bounded_exposure,
    bounded_weights,
    hold,
    hold_and_carry,
    panel_exposure,
    panel_weights,
    position_scale,
    turnover_of,
)
from trainable.metrics.return_statistics import (
    drawdowns,
    max_drawdown,
    none_if_nan,
    period_ratios,
    sharpe_ratio,
    sharpe_se,
    standard_errors,
)
from trainable.metrics.scoring import Scoring

__all__ = [
    "RETURN_METRICS",
    "SCORE_NAMES",
    "Scores",
    "balanced_accuracy",
    "max_drawdown",
    "score",
    "score_positions",
    "score_weights",
    "sharpe_and_ic",
    "sharpe_ratio",
    "sharpe_se",
]

RETURN_METRICS = (
    "sharpe",
    "sharpe_se",
    "sharpe_clean",
    "max_drawdown",
    "turnover",
    "break_even_bps",
)
SCORE_NAMES = (*RETURN_METRICS, "sharpe_exposure", "ic", "rank_ic", "accuracy", "prediction_std")
CELLS = 2**16  # predictions scored at a time, so that intermediate arrays stay in the cache


def balanced_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float | None:
    """Returns the mean of the shares of ups and of downs that are predicted; 0.5 is chance.

    Args:
        predictions: [m]; a prediction of exactly 0 is half right.
        labels: [m]; those that are 0 or NaN have no sign and are left out.

    Returns:
        None where there is no up or no down.
    """
    return none_if_nan(_accuracies(np.asarray(predictions, dtype=np.float64)[None], labels)[0])


@dataclass(frozen=True)
class Scores:
    """One member's metrics.

    Attributes:
        values: by the names in `SCORE_NAMES`: `sharpe` and its relatives annualised; `sharpe_se`
            its standard error (Lo 2002); `sharpe_exposure` of the same positions not demeaned;
            `sharpe_clean` without the returns at bad ticks; `accuracy` balanced; `max_drawdown` as
            a negative fraction of the peak; `turnover` mean Σ|Δw| of a period; `break_even_bps` the
            cost at which the mean return is 0; `prediction_std` over the rows. None: undefined.
        net_returns: [V] float64, net simple return of each period; None without any position.
    """

    values: dict[str, float | None]
    net_returns: np.ndarray | None


def score(scoring: Scoring, predictions: np.ndarray, train_predictions: np.ndarray) -> list[Scores]:
    """Scores K members. A member's scores are bit-identical whichever members are scored with it.

    Args:
        scoring: of the rows the predictions are for.
        predictions: [K, m], in the order of those rows; any scale.
        train_predictions: [K, n], predictions on training rows, from which the scale and the mean
            of each member's positions are measured.

    Returns:
        K scores; all None for a member with a non-finite prediction.
    """
    found = [Scores(dict.fromkeys(SCORE_NAMES), None) for _ in predictions]
    for members in _blocks(scoring, predictions, train_predictions):
        p = predictions[members].astype(np.float64)
        scale, grid = position_scale(train_predictions[members]), scoring.grid(p)
        columns, net = _return_metrics(scoring, _weights(scoring, grid, scale))
        columns["sharpe_exposure"] = _sharpe(scoring, _exposure(scoring, grid, scale))
        lines = scoring.lines(grid)
        x = standardise(lines, scoring.labelled)
        not_constant = x.not_constant(scale.std[..., 0])
        columns["ic"] = _correlation(scoring, x, scoring.labels, not_constant)
        order = standardise(ranks(lines, scoring.labelled), scoring.labelled)
        columns["rank_ic"] = _correlation(scoring, order, scoring.label_ranks, not_constant)
        columns["accuracy"] = _accuracies(p, scoring.label)
        columns["prediction_std"] = p.std(axis=1)
        for k, one in zip(members, _scores(columns, net), strict=True):
            found[k] = one
    return found


def sharpe_and_ic(
    scoring: Scoring, predictions: np.ndarray, train_predictions: np.ndarray
) -> list[tuple[float | None, float | None]]:
    """Returns only the `sharpe` and the `ic` of K members, the same as `score` computes."""
    found: list[tuple[float | None, float | None]] = [(None, None) for _ in predictions]
    for members in _blocks(scoring, predictions, train_predictions):
        grid = scoring.grid(predictions[members].astype(np.float64))
        scale = position_scale(train_predictions[members])
        sharpe = _sharpe(scoring, _weights(scoring, grid, scale))
        x = standardise(scoring.lines(grid), scoring.labelled)
        ic = _correlation(scoring, x, scoring.labels, x.not_constant(scale.std[..., 0]))
        for k, *values in zip(members, sharpe, ic, strict=True):
            found[k] = none_if_nan(values[0]), none_if_nan(values[1])
    return found


def score_weights(scoring: Scoring, weights: np.ndarray) -> Scores:
    """Scores weights decided at each bar, [V, N]: the `RETURN_METRICS` only.

    Net return = Σ w·r − cost_bps·1e-4·Σ|Δw|, the first entry charged.
    """
    return _scores(*_return_metrics(scoring, weights[None]))[0]


def score_positions(scoring: Scoring, predictions: np.ndarray, scale: PositionScale) -> Scores:
    """Scores the predictions [m] of one member whose scale is known: the `RETURN_METRICS` only."""
    return score_weights(scoring, decided_weights(scoring, predictions, scale))


def decided_weights(scoring: Scoring, predictions: np.ndarray, scale: PositionScale) -> np.ndarray:
    """Returns the weights [V, N] that the predictions [m] of one member decide at each bar."""
    grid = scoring.grid(predictions.astype(np.float64)[None])
    return _weights(scoring, grid, scale)[0]


def _blocks(scoring: Scoring, predictions: np.ndarray, train: np.ndarray) -> Iterator[np.ndarray]:
    """Yields indices of the members whose predictions are all finite, a few at a time."""
    if predictions.ndim != 2 or predictions.shape[1] != len(scoring.label):
        raise ValueError(f"predictions {predictions.shape}, expected [K, {len(scoring.label)}]")
    if train.ndim != 2 or len(train) != len(predictions):
        raise ValueError(f"train_predictions {train.shape}, expected [{len(predictions)}, n]")
    finite = np.isfinite(predictions).all(axis=1) & np.isfinite(train).all(axis=1)
    members = np.flatnonzero(finite)
    size = max(1, CELLS // max(scoring.scored.size, train.shape[1]))
    for start in range(0, len(members), size):
        yield members[start : start + size]


def _weights(scoring: Scoring, p: np.ndarray, scale: PositionScale) -> np.ndarray:
    if scoring.panel:
        return panel_weights(p, scoring.scored, scale.std)
    return bounded_weights(p, scoring.scored, scoring.tradable_count, scale)


def _exposure(scoring: Scoring, p: np.ndarray, scale: PositionScale) -> np.ndarray:
    if scoring.panel:
        return panel_exposure(p)
    return bounded_exposure(p, scoring.scored, scoring.tradable_count, scale)


def _sharpe(scoring: Scoring, weights: np.ndarray) -> np.ndarray:
    """Returns the Sharpe ratios [K] of weights [K, V, N]."""
    _, _, gross, cost = _held(scoring, weights)
    return period_ratios(gross - cost) * np.sqrt(scoring.periods_per_year)


def _held(scoring: Scoring, weights: np.ndarray) -> tuple[np.ndarray, ...]:
    """Returns positions [K, V, N], and each period's turnover, return and cost [K, V]."""
    if scoring.carry is not None:
        held = hold_and_carry(weights, scoring.carry, scoring.horizon)
    else:
        held = hold(weights, scoring.horizon)
        if scoring.flat.any():
            held = np.where(scoring.flat[:, None], 0.0, held)
    turnover = turnover_of(held)
    gross = (held * scoring.returns).sum(axis=-1)
    return held, turnover, gross, scoring.cost_bps * 1e-4 * turnover


def _return_metrics(
    scoring: Scoring, weights: np.ndarray
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Returns `RETURN_METRICS`, each [K], and net returns [K, V]; NaN without any position."""
    held, turnover, gross, cost = _held(scoring, weights)
    net, annual = gross - cost, np.sqrt(scoring.periods_per_year)
    ratio = clean = period_ratios(net)
    if scoring.suspect.any():
        kept = np.where(scoring.suspect, 0.0, scoring.returns)
        clean = period_ratios((held * kept).sum(axis=-1) - cost)
    invested = turnover.any(axis=1)
    moved = np.where(invested, turnover.mean(axis=1), np.nan)
    columns = {
        "sharpe": ratio * annual,
        "sharpe_se": standard_errors(ratio, net.shape[1], scoring.periods_per_year),
        "sharpe_clean": clean * annual,
        "max_drawdown": np.where(invested, drawdowns(net), np.nan),
        "turnover": moved,
        "break_even_bps": gross.mean(axis=1) / moved * 1e4,
    }
    net[~invested] = np.nan
    return columns, net


def _scores(columns: Mapping[str, np.ndarray], net: np.ndarray) -> list[Scores]:
    rows = zip(*(column.tolist() for column in columns.values()), strict=True)
    return [
        Scores(
            {name: none_if_nan(value) for name, value in zip(columns, row, strict=True)},
            None if np.isnan(line[0]) else line.copy(),
        )
        for row, line in zip(rows, net, strict=True)
    ]


def _correlation(
    scoring: Scoring, x: Standardised, y: Standardised, not_constant: np.ndarray
) -> np.ndarray:
    """Returns IC or rank IC [K]: across the symbols of each bar, or over time for one symbol."""
    return mean_correlation(x, y, not_constant, scoring.label_count)


def _accuracies(p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the `balanced_accuracy` [K] of predictions [K, m].

    Sums of signs are whole numbers, so they are exact in any order.
    """
    side = np.stack([labels > 0, labels < 0], axis=1)
    count = side.sum(axis=0)
    if not count.all():
        return np.full(len(p), np.nan)
    agree = np.sign(p) @ np.where(side, [1.0, -1.0], 0.0)
    up, down = ((count + agree) / 2.0 / count).T
    return (up + down) / 2.0
