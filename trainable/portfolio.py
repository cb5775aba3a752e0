"""From predictions to positions to net returns: what a prediction would have earned.

Everything is float64 on a grid of [V bars, N symbols]; `scored` marks the cells with a prediction.
"""

from dataclasses import dataclass

import numpy as np

PANEL_SYMBOLS = 5  # from this many symbols on, weights are relative to the day's mean
FLAT = 1e-6  # spread below FLAT × (|mean| + training std) is no opinion, hence no position


@dataclass(frozen=True)
class Habits:
    """A member's predictions on the training rows: what its positions are measured against.

    Attributes:
        std: standard deviation (ddof 0) of the training predictions.
        flat: the training predictions are constant.
        position: mean of the clipped positions clip(prediction ÷ std, ±1) on the training rows.
    """

    std: float
    flat: bool
    position: float


def habits(train_predictions: np.ndarray) -> Habits:
    """Measures one member's training predictions, [n]; all must be finite."""
    p = np.asarray(train_predictions, dtype=np.float64)
    if p.size == 0:
        raise ValueError("no training predictions: positions are measured against them")
    std, mean = float(p.std()), float(p.mean())
    flat = bool(std <= FLAT * (abs(mean) + std))
    return Habits(std, flat, float(_clipped(p, std, flat).mean()))


def _clipped(p: np.ndarray, std: float, flat: bool) -> np.ndarray:
    """Positions in ±1; a constant predictor is at one bound (the limit of a vanishing spread)."""
    return np.sign(p) if flat else np.clip(p / std, -1.0, 1.0)


def spread(p: np.ndarray, scored: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns mean [V, 1], deviations [V, N] (0 where not scored) and std [V, 1] of each bar."""
    count = np.maximum(scored.sum(axis=1, keepdims=True), 1)
    mean = np.where(scored, p, 0.0).sum(axis=1, keepdims=True) / count
    deviation = np.where(scored, p - mean, 0.0)
    return mean, deviation, np.sqrt((deviation**2).sum(axis=1, keepdims=True) / count)


def panel_weights(p: np.ndarray, scored: np.ndarray, train_std: float) -> np.ndarray:
    """Dollar-neutral weights [V, N]: predictions minus the bar's mean, scaled to Σ|w| = 1."""
    mean, deviation, std = spread(p, scored)
    held = std > FLAT * (np.abs(mean) + train_std)
    return np.where(held, deviation, 0.0) / np.where(
        held, np.abs(deviation).sum(axis=1, keepdims=True), 1.0
    )


def panel_exposure(p: np.ndarray, scored: np.ndarray) -> np.ndarray:
    """The weights without demeaning, [V, N]: prediction ÷ Σ|prediction| of the bar."""
    total = np.where(scored, np.abs(p), 0.0).sum(axis=1, keepdims=True)
    return np.where(scored, p, 0.0) / np.where(total > 0, total, 1.0)


def few_weights(
    p: np.ndarray, scored: np.ndarray, tradable_count: np.ndarray, habit: Habits
) -> np.ndarray:
    """Weights [V, N] of fewer than five symbols: clipped position less its training mean, ÷ N.

    No position at all where the predictions are constant, in training or over the scored cells, or
    where all of these lie beyond one bound: such a constant long would earn the market's return.
    """
    values = p[scored]
    position = _clipped(p, habit.std, habit.flat)
    constant = values.std() <= FLAT * (abs(values.mean()) + habit.std)
    if habit.flat or constant or position[scored].std() <= FLAT:
        return np.zeros_like(p)
    return np.where(scored, position - habit.position, 0.0) / tradable_count


def few_exposure(
    p: np.ndarray, scored: np.ndarray, tradable_count: np.ndarray, habit: Habits
) -> np.ndarray:
    """The positions of fewer than five symbols without demeaning, [V, N]; a constant is all in."""
    return np.where(scored, _clipped(p, habit.std, habit.flat), 0.0) / tradable_count


def hold(weights: np.ndarray, tradable: np.ndarray, horizon: int) -> np.ndarray:
    """Overlapping positions of horizon h: the mean of the last h periods' weights.

    Jegadeesh and Titman (1993). At the start, of those that exist; a symbol without a bar has been
    sold.

    Args:
        weights: [V, N], decided at each bar; 0 at the bars where the last positions unwind.
        tradable: [V, N] bool.
        horizon: h, in bars.
    """
    if horizon == 1:
        return np.where(tradable, weights, 0.0)
    total = weights.copy()
    for age in range(1, min(horizon, len(weights))):
        total[age:] += weights[:-age]
    existing = np.minimum(np.arange(1, len(weights) + 1), horizon)[:, None]
    return np.where(tradable, total / existing, 0.0)


def traded(held: np.ndarray) -> np.ndarray:
    """Σ|Δw| of each period, [V]; the first entry counts, from no position."""
    return np.abs(np.diff(held, axis=0, prepend=0.0)).sum(axis=1)
