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
from trainable.stop_reasons import NUMERIC_FAILURES

MIN_PER_CLASS = 4  # failures, and survivors, that the regression needs
RIDGE = 1e-3  # penalty on squared weights, parameters scaled to 0 … 1: small, for a sharp edge


class ParameterRows:
    """The parameters of trials as rows of numbers.

    A row is made once and kept while the spaces stay the same. Each is made alone, so that a row is
    the same to the last bit whoever else is asked for.
    """

    def __init__(self) -> None:
        self._spaces: dict[str, BaseDistribution] = {}
        self._rows: dict[int, np.ndarray] = {}

    def of(self, trials: Sequence[Observation]) -> np.ndarray:
        """Returns [N, F]: a row a trial, by the spaces of these trials."""
        spaces: dict[str, BaseDistribution] = {}
        for trial in trials:
            spaces.update(trial.distributions)
        if spaces != self._spaces:
            self._spaces, self._rows = spaces, {}
        for trial in trials:
            if trial.number not in self._rows:
                self._rows[trial.number] = self.row(trial.params)
        return np.array([self._rows[trial.number] for trial in trials])

    def row(self, params: Mapping[str, Any]) -> np.ndarray:
        """Returns [F]: a one, then the numbers of each parameter of the last `of`.

        A number is one, its position in its (log) range, −½ … ½; a missing number is 0. A choice is
        a 0 or 1 for each of its values; a missing choice is 0 in all.
        """
        numbers = [1.0]
        for name in sorted(self._spaces):
            space = self._spaces[name]
            value = params.get(name, _MISSING)
            if isinstance(space, CategoricalDistribution):
                numbers += [float(value == choice) for choice in space.choices]
            else:
                numbers.append(_centred(value, space))
        return np.array(numbers)


class Feasibility:
    """Estimates the probability of a numeric failure from the parameters.

    Survivors are the trials that reported after the epoch by which half of the failures had
    stopped. A trial stopped earlier, by a rung for example, might still have failed: it counts as
    neither.

    Args:
        told: the trials to learn from.
        rows: keeps the rows of trials from one estimate to the next.

    Attributes:
        fitted: whether there were enough failures and survivors.
    """

    def __init__(self, told: Sequence[Observation], rows: ParameterRows | None = None) -> None:
        self._rows = ParameterRows() if rows is None else rows
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
        X = self._rows.of([*failed, *survived])
        y = np.array([1.0] * len(failed) + [0.0] * len(survived))
        self._weights = _fit_logistic(X, y)

    def failure_probability(self, params: Mapping[str, Any]) -> float:
        """Returns the probability that training with `params` fails; 0 where nothing is fitted."""
        if not self.fitted:
            return 0.0
        return float(_sigmoid(self._rows.row(params) @ self._weights))


_MISSING = object()  # None may be a choice


def _centred(value: Any, space: Any) -> float:
    low, high = float(space.low), float(space.high)
    inside = isinstance(value, int | float) and low <= value <= high
    if high <= low or not inside:  # missing, or of another branch of the space
        return 0.0
    if space.log:
        low, high, value = math.log(low), math.log(high), math.log(value)
    return (value - low) / (high - low) - 0.5


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
