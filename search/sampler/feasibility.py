"""How likely a suggestion is to fail numerically: a logistic regression on the told trials.

TPE ranks a numeric failure last, but its wide kernels still reach a few steps past the edge of what
trains. What makes training explode (learning rate, clip, depth) acts in one direction, and a
logistic regression finds a direction from few trials.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.sampler.observations import Observation
from trainable.report import NUMERIC_FAILURES

MIN_PER_CLASS = 4  # failures, and survivors, that the regression needs
RIDGE = 1e-3  # penalty on squared weights, parameters scaled to 0 … 1: small, for a sharp edge


class Feasibility:
    """Estimates the probability of a numeric failure from the parameters.

    Survivors are the trials that reported after the epoch by which half of the failures had
    stopped. A trial stopped earlier, by a rung for example, might still have failed: it counts as
    neither.

    Args:
        told: the trials to learn from.

    Attributes:
        fitted: whether there were enough failures and survivors.
    """

    def __init__(self, told: Sequence[Observation]) -> None:
        failed = [trial for trial in told if trial.reason in NUMERIC_FAILURES]
        self.fitted = len(failed) >= MIN_PER_CLASS
        if not self.fitted:
            return
        last_epochs = sorted(max(trial.reports, default=0) for trial in failed)
        half_failed_by = last_epochs[len(last_epochs) // 2]
        survived = [
            trial
            for trial in told
            if trial.reason not in NUMERIC_FAILURES
            and max(trial.reports, default=0) > half_failed_by
        ]
        self.fitted = len(survived) >= MIN_PER_CLASS
        if not self.fitted:
            return
        self._spaces: dict[str, BaseDistribution] = {}
        for trial in [*failed, *survived]:
            self._spaces.update(trial.distributions)
        X = self._features([trial.params for trial in [*failed, *survived]])
        y = np.array([1.0] * len(failed) + [0.0] * len(survived))
        self._weights = _fit_logistic(X, y)

    def failure_probability(self, params: Mapping[str, Any]) -> float:
        """Returns the probability that training with `params` fails; 0 where nothing is fitted."""
        if not self.fitted:
            return 0.0
        return float(_sigmoid(self._features([params]) @ self._weights)[0])

    def _features(self, params: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Returns [N, F]: a column of ones, then the columns of each parameter.

        A number is one column, its position in its (log) range, −½ … ½; a missing number is 0.
        A choice is one column of 0 or 1 for each of its values; a missing choice is 0 in all.
        """
        columns: list[Any] = [np.ones(len(params))]
        for name in sorted(self._spaces):
            space = self._spaces[name]
            values = [given.get(name, _MISSING) for given in params]
            if isinstance(space, CategoricalDistribution):
                columns += [[value == choice for value in values] for choice in space.choices]
            else:
                columns.append(_centred(values, space))
        return np.array(columns, dtype=float).T


_MISSING = object()  # None may be a choice


def _centred(values: Sequence[Any], space: Any) -> np.ndarray:
    low, high = float(space.low), float(space.high)
    if high <= low:
        return np.zeros(len(values))
    numbers = np.array([math.nan if value is _MISSING else value for value in values], dtype=float)
    if space.log:
        low, high, numbers = math.log(low), math.log(high), np.log(numbers)
    return np.nan_to_num((numbers - low) / (high - low) - 0.5, nan=0.0)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0)))


def _fit_logistic(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns the weights [F] of a ridge logistic regression, fitted by Newton's method.

    Args:
        X: [N, F] features, the first column 1; its weight is hardly penalised.
        y: [N] 0 or 1.
    """
    penalty = np.full(X.shape[1], RIDGE)
    penalty[0] = 1e-6
    weights = np.zeros(X.shape[1])
    for _ in range(25):
        p = _sigmoid(X @ weights)
        gradient = X.T @ (p - y) + penalty * weights
        hessian = (X * (p * (1.0 - p))[:, None]).T @ X + np.diag(penalty)
        step = np.linalg.solve(hessian, gradient)
        weights = weights - step * min(1.0, 4.0 / max(float(np.linalg.norm(step)), 1e-12))
        if np.linalg.norm(step) < 1e-8:
            break
    return weights
