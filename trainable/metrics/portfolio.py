"""From predictions to positions and turnover.

Arrays are float64, [K members, V bars, N symbols]; `scored` [V, N] marks the cells that have a
prediction. Sums run over a member's own last axes only, so that its result does not depend on the
other members.
"""

from dataclasses import dataclass

import numpy as np

from trainable.metrics.carry import Carry
from trainable.metrics.deviations import FLAT, deviations


@dataclass(frozen=True)
class PositionScale:
    """Statistics of K members' training predictions, by which predictions become positions.

    Attributes:
        std: [K, 1, 1], standard deviation (ddof 0) of the training predictions.
        flat: [K, 1, 1] bool, the training predictions are constant.
        mean_position: [K, 1, 1], mean of the clipped positions clip(prediction ÷ std, ±1) on the
            training rows.
    """

    std: np.ndarray
    flat: np.ndarray
    mean_position: np.ndarray


def position_scale(train_predictions: np.ndarray) -> PositionScale:
    """Returns the position scale of members' training predictions, [K, n], all finite."""
    p = np.asarray(train_predictions, dtype=np.float64)
    if p.size == 0:
        raise ValueError("no training predictions: positions are measured against them")
    std, mean = p.std(axis=1, keepdims=True), p.mean(axis=1, keepdims=True)
    flat = std <= FLAT * (np.abs(mean) + std)
    mean_position = _clipped(p, std, flat).mean(axis=1, keepdims=True)
    return PositionScale(std[..., None], flat[..., None], mean_position[..., None])


def _clipped(p: np.ndarray, std: np.ndarray, flat: np.ndarray) -> np.ndarray:
    """Returns positions in ±1. A constant prediction is at the bound of its sign."""
    position = p / np.where(flat, 1.0, std)
    np.clip(position, -1.0, 1.0, out=position)
    return np.where(flat, np.sign(p), position) if flat.any() else position


def panel_weights(p: np.ndarray, scored: np.ndarray, train_std: np.ndarray) -> np.ndarray:
    """Returns dollar-neutral weights [K, V, N]: predictions minus their bar's mean, Σ|w| = 1."""
    mean, deviation, std = deviations(p, scored)
    held = std > FLAT * (np.abs(mean) + train_std)
    total = np.abs(deviation).sum(axis=-1, keepdims=True)
    weights = np.divide(deviation, np.where(held, total, 1.0), out=deviation)
    return weights if held.all() else np.where(held, weights, 0.0)


def panel_exposure(p: np.ndarray) -> np.ndarray:
    """Returns weights that are not demeaned, [K, V, N]: prediction ÷ Σ|prediction| of the bar.

    Args:
        p: predictions, 0 where not scored.
    """
    total = np.abs(p).sum(axis=-1, keepdims=True)
    return p / np.where(total > 0, total, 1.0)


def bounded_weights(
    p: np.ndarray, scored: np.ndarray, tradable_count: np.ndarray, scale: PositionScale
) -> np.ndarray:
    """Returns weights [K, V, N] of fewer than five symbols: (position − training mean) ÷ N.

    A member has no position at all if its predictions are constant in training or over the scored
    cells, or if all its positions are at one bound: it would only earn the market's return.
    """
    values, position = p[:, scored], _clipped(p, scale.std, scale.flat)
    constant = values.std(axis=1) <= FLAT * (np.abs(values.mean(axis=1)) + scale.std[:, 0, 0])
    at_bound = position[:, scored].std(axis=1) <= FLAT
    none = scale.flat | (constant | at_bound)[:, None, None]
    return np.where(scored & ~none, position - scale.mean_position, 0.0) / tradable_count


def bounded_weights_of_new(
    p: np.ndarray, scored: np.ndarray, tradable_count: np.ndarray, scale: PositionScale
) -> np.ndarray:
    """Returns `bounded_weights` of a member that is known to have positions, [K, V, N].

    So a single new bar, whose predictions are one number, has one, too.
    """
    position = _clipped(p, scale.std, scale.flat)
    return np.where(scored, position - scale.mean_position, 0.0) / tradable_count


def bounded_exposure(
    p: np.ndarray, scored: np.ndarray, tradable_count: np.ndarray, scale: PositionScale
) -> np.ndarray:
    """Returns the positions ÷ N of fewer than five symbols, [K, V, N], not demeaned."""
    return np.where(scored, _clipped(p, scale.std, scale.flat), 0.0) / tradable_count


def hold(weights: np.ndarray, horizon: int) -> np.ndarray:
    """Returns overlapping positions of horizon h: the mean of the last h periods' weights.

    Jegadeesh and Titman (1993). At the start it is the mean of the periods so far. Every symbol
    trades at every bar.

    Args:
        weights: [..., V, N], decided at each bar; 0 at the bars where the last positions unwind.
        horizon: h, in bars.
    """
    if horizon == 1:
        return weights
    total, bars = weights.copy(), weights.shape[-2]
    for age in range(1, min(horizon, bars)):
        total[..., age:, :] += weights[..., :-age, :]
    return total / np.minimum(np.arange(1, bars + 1), horizon)[:, None]


def hold_and_carry(weights: np.ndarray, carry: Carry, horizon: int) -> np.ndarray:
    """Returns `hold` of symbols that do not trade at every bar: h of a symbol's own bars.

    The sum is divided by the number of periods so far, at most h, when the newest decision was
    executed. Between two own bars the position stays as it is.

    Args:
        weights: [..., V, N], decided at each bar.
        carry: which decisions are in force.
        horizon: h, in bars.
    """
    none = np.zeros((*weights.shape[:-2], 1))
    decided = np.concatenate([weights.reshape(*weights.shape[:-2], -1), none], axis=-1)
    source = carry.source
    total = decided.take(source, axis=-1)
    for _ in range(1, min(horizon, weights.shape[-2])):
        source = carry.previous[source]
        total += decided.take(source, axis=-1)
    return total if horizon == 1 else total / np.minimum(carry.executed + 1, horizon)


def turnover_of(held: np.ndarray) -> np.ndarray:
    """Returns Σ|Δw| of each period, [..., V]. The first entry counts, from no position."""
    change = held.copy()
    change[..., 1:, :] -= held[..., :-1, :]
    return np.abs(change, out=change).sum(axis=-1)
