"""Ridge regression whose strength is chosen on later rows than it was fitted on."""

from dataclasses import dataclass

import numpy as np

STRENGTHS = tuple(10.0**power for power in np.arange(-4.0, 3.5, 0.5))  # penalty ÷ number of rows
LATE_SHARE = 0.2  # last share of the rows, on which the strength is chosen
BLOCK = 100_000  # rows converted to float64 at a time


@dataclass(frozen=True)
class Linear:
    """A fitted linear model.

    Attributes:
        coefficients: [F] float64.
        intercept: prediction for the mean row, less the part of the features.
        strength: penalty ÷ number of rows.
    """

    coefficients: np.ndarray
    intercept: float
    strength: float

    def predict(self, x: np.ndarray) -> np.ndarray:
        """Returns the predictions [m] float64 for rows x [m, F]."""
        return x @ self.coefficients + self.intercept


@dataclass(frozen=True)
class _Moments:
    count: int
    x_mean: np.ndarray  # [F]
    y_mean: float
    xx: np.ndarray  # [F, F] covariance
    xy: np.ndarray  # [F] covariance


def ridge(x: np.ndarray, y: np.ndarray, time: np.ndarray, reach: int) -> Linear:
    """Fits least squares with a penalty on the squared coefficients (Hoerl and Kennard 1970).

    The strength is the one of least squared error on the last 20 % of the rows, fitted on the rows
    whose labels end before those begin; then all rows are fitted.

    Args:
        x: [n, F] scaled features, finite, sorted by time.
        y: [n] labels, finite.
        time: [n] bar of each row, increasing.
        reach: bars from a row's bar to the end of its label.
    """
    begin = time[int(len(time) * (1.0 - LATE_SHARE))]
    early = int(np.searchsorted(time, begin - reach, side="left"))
    late = int(np.searchsorted(time, begin, side="left"))
    strength = STRENGTHS[-1]
    if early > 1:
        moments = _moments(x[:early], y[:early])
        fits = [_solve(moments, s) for s in STRENGTHS]
        errors = [float(((fit.predict(x[late:]) - y[late:]) ** 2).mean()) for fit in fits]
        strength = STRENGTHS[int(np.argmin(errors))]
    return _solve(_moments(x, y), strength)


def _moments(x: np.ndarray, y: np.ndarray) -> _Moments:
    x_mean = x.mean(axis=0, dtype=np.float64)
    y_mean = float(y.mean())
    features = x.shape[1]
    xx, xy = np.zeros((features, features)), np.zeros(features)
    for start in range(0, len(x), BLOCK):
        part = x[start : start + BLOCK] - x_mean
        xx += part.T @ part
        xy += part.T @ (y[start : start + BLOCK] - y_mean)
    return _Moments(len(x), x_mean, y_mean, xx / len(x), xy / len(x))


def _solve(moments: _Moments, strength: float) -> Linear:
    penalised = moments.xx + strength * np.eye(len(moments.xy))
    coefficients = np.linalg.solve(penalised, moments.xy)
    return Linear(coefficients, moments.y_mean - float(moments.x_mean @ coefficients), strength)
