"""The mean and the spread of predictions on each bar, and when they are all the same."""

import numpy as np

FLAT = 1e-6  # predictions with a std below FLAT × (|mean| + training std) give no position


def deviations(p: np.ndarray, scored: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns mean [..., V, 1], deviations from it [..., V, N] and std [..., V, 1] of each bar.

    Deviations are 0 where not scored.
    """
    count = np.maximum(scored.sum(axis=-1, keepdims=True), 1)
    mean = np.where(scored, p, 0.0).sum(axis=-1, keepdims=True) / count
    deviation = np.where(scored, p - mean, 0.0)
    variance = np.square(deviation).sum(axis=-1, keepdims=True) / count
    return mean, deviation, np.sqrt(variance)
