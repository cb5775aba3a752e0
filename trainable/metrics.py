"""The one definition of every metric: Sharpe ratio net of costs, correlations, accuracy.

Predictions made with what is known at the close of bar t earn simple returns from t+lag on. All in
float64. What is undefined is None, never 0 and never NaN.
"""

from dataclasses import dataclass

import numpy as np

from trainable.correlation import mean_correlation, opinions, ranks
from trainable.portfolio import (
    Habits,
    few_exposure,
    few_weights,
    habits,
    hold,
    panel_exposure,
    panel_weights,
    traded,
)
from trainable.scoring import Scoring, scoring

__all__ = [
    "EARNED_NAMES",
    "SCORE_NAMES",
    "Scores",
    "Scoring",
    "balanced_accuracy",
    "earn",
    "max_drawdown",
    "score",
    "scoring",
    "sharpe_ratio",
    "sharpe_se",
]

EARNED_NAMES = (
    "sharpe",
    "sharpe_se",
    "sharpe_clean",
    "max_drawdown",
    "turnover",
    "break_even_bps",
)
SCORE_NAMES = (*EARNED_NAMES, "sharpe_exposure", "ic", "rank_ic", "accuracy", "prediction_std")
CONSTANT = 1e-12  # returns whose std is below CONSTANT × the largest are all the same


def sharpe_ratio(returns: np.ndarray, periods_per_year: float) -> float | None:
    """Annualised Sharpe ratio: mean ÷ standard deviation (ddof 1) × √periods a year.

    Args:
        returns: [V] simple returns of each period, decimal; the risk-free rate is taken as 0.
        periods_per_year: periods a year.

    Returns:
        None for fewer than two returns, constant returns, or one that is not finite.
    """
    r = np.asarray(returns, dtype=np.float64)
    if len(r) < 2 or not np.isfinite(r).all():
        return None
    std = float(r.std(ddof=1))
    if std <= CONSTANT * float(np.abs(r).max()):
        return None
    return float(r.mean()) / std * float(np.sqrt(periods_per_year))


def sharpe_se(returns: np.ndarray, periods_per_year: float) -> float | None:
    """Standard error of the annualised Sharpe ratio, for returns without autocorrelation.

    √((1 + SR²/2) ÷ V) with SR of one period (Lo 2002, "The statistics of Sharpe ratios"), times
    √periods a year. None where the Sharpe ratio is.
    """
    ratio = sharpe_ratio(returns, 1.0)
    if ratio is None:
        return None
    return float(np.sqrt((1.0 + 0.5 * ratio**2) / len(returns) * periods_per_year))


def max_drawdown(returns: np.ndarray) -> float:
    """Largest loss from a peak of the compounded returns, as a fraction: 0 … −1 (ruin)."""
    wealth = np.concatenate(([1.0], np.cumprod(1.0 + np.asarray(returns, dtype=np.float64))))
    fall = float((wealth / np.maximum.accumulate(wealth) - 1.0).min())
    return max(fall, -1.0)


def balanced_accuracy(predictions: np.ndarray, labels: np.ndarray) -> float | None:
    """Mean of the shares of ups and of downs whose sign is predicted; 0.5 is chance.

    Args:
        predictions: [m]; a prediction of exactly 0 is half right.
        labels: [m]; those that are 0 or NaN have no sign and are left out.

    Returns:
        None where there is no up or no down.
    """
    right = (1.0 + np.sign(predictions) * np.sign(labels)) / 2.0
    up, down = right[labels > 0], right[labels < 0]
    if len(up) == 0 or len(down) == 0:
        return None
    return float((up.mean() + down.mean()) / 2.0)


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
    """Scores K members.

    Args:
        scoring: of the rows the predictions are for.
        predictions: [K, m], in the order of those rows; any scale.
        train_predictions: [K, n], each member's on training rows: they give the scale and the mean
            of its positions.

    Returns:
        K scores. A member with a non-finite prediction has none: all None.
    """
    if predictions.ndim != 2 or predictions.shape[1] != len(scoring.bar):
        raise ValueError(f"predictions {predictions.shape}, expected [K, {len(scoring.bar)}]")
    if train_predictions.ndim != 2 or len(train_predictions) != len(predictions):
        raise ValueError(
            f"train_predictions {train_predictions.shape}, expected [{len(predictions)}, n]"
        )
    return [
        _score_member(scoring, p, t) for p, t in zip(predictions, train_predictions, strict=True)
    ]


def _score_member(scoring: Scoring, predictions: np.ndarray, train: np.ndarray) -> Scores:
    values: dict[str, float | None] = dict.fromkeys(SCORE_NAMES)
    p = predictions.astype(np.float64)
    if not (np.isfinite(p).all() and np.isfinite(train).all()):
        return Scores(values, None)
    habit, grid = habits(train), scoring.grid(p)
    weights, exposure = _weights(scoring, grid, habit)
    earned = earn(scoring, weights)
    values |= earned.values
    values["sharpe_exposure"] = earn(scoring, exposure).values["sharpe"]
    values |= _correlations(scoring, grid, habit)
    values["accuracy"] = balanced_accuracy(p, scoring.label)
    values["prediction_std"] = float(p.std())
    return Scores(values, earned.net_returns)


def _weights(scoring: Scoring, p: np.ndarray, habit: Habits) -> tuple[np.ndarray, np.ndarray]:
    if scoring.panel:
        weights = panel_weights(p, scoring.scored, habit.std)
        return weights, panel_exposure(p, scoring.scored)
    few = (p, scoring.scored, scoring.tradable_count, habit)
    return few_weights(*few), few_exposure(*few)


def earn(scoring: Scoring, weights: np.ndarray) -> Scores:
    """What weights decided at each bar, [V, N], earn over the horizon: the return's metrics only.

    Net return = Σ w·r − cost_bps·1e-4·Σ|Δw|, the first entry charged.
    """
    held = hold(weights, scoring.tradable, scoring.horizon)
    if not held.any():
        return Scores(dict.fromkeys(EARNED_NAMES), None)
    turnover = traded(held)
    cost = scoring.cost_bps * 1e-4 * turnover
    gross = (held * scoring.returns).sum(axis=1)
    net = gross - cost
    clean = net
    if scoring.suspect.any():
        clean = (held * np.where(scoring.suspect, 0.0, scoring.returns)).sum(axis=1) - cost
    values = {
        "sharpe": sharpe_ratio(net, scoring.periods_per_year),
        "sharpe_se": sharpe_se(net, scoring.periods_per_year),
        "sharpe_clean": sharpe_ratio(clean, scoring.periods_per_year),
        "max_drawdown": max_drawdown(net),
        "turnover": float(turnover.mean()),
        "break_even_bps": float(gross.mean() / turnover.mean() * 1e4),
    }
    return Scores(values, net)


def _correlations(scoring: Scoring, p: np.ndarray, habit: Habits) -> dict[str, float | None]:
    """IC and rank IC: over the symbols of each bar, or over time when there is one symbol."""
    if scoring.over_time:
        p = p.T
    mask = scoring.labelled & opinions(p, scoring.labelled, habit.std)[:, None]
    return {
        "ic": mean_correlation(p, scoring.label_grid, mask),
        "rank_ic": mean_correlation(ranks(p, mask), scoring.label_ranks, mask),
    }
