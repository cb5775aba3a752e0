"""How likely a suggestion is to blow up: a logistic regression on what was told so far.

TPE ranks a numeric failure last, but its wide kernels still reach a few steps past the edge of what
trains. What makes training explode (learning rate, clip, depth) acts in one direction, which is
what a logistic regression finds from few trials.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution

from search.sampler.observations import Observation
from trainable.stop_reasons import NUMERIC_FAILURES

LEAST = 4  # failures, and survivors, below which nothing is claimed
RIDGE = 1e-3  # penalty on squared weights, parameters scaled to 0 … 1: lets an edge be sharp


class Feasibility:
    """Estimates the probability of a numeric failure from the parameters.

    Trials stopped before failures show (by a rung, say) might have failed later and are left out:
    survivors are those that reported after the epoch by which half of the failures had stopped.

    Args:
        told: the trials to learn from.
    """

    def __init__(self, told: Sequence[Observation]) -> None:
        failed = [seen for seen in told if seen.reason in NUMERIC_FAILURES]
        self.known = len(failed) >= LEAST
        if not self.known:
            return
        last = sorted(max(seen.reports, default=0) for seen in failed)
        shown = last[len(last) // 2]
        survived = [
            seen
            for seen in told
            if seen.reason not in NUMERIC_FAILURES and max(seen.reports, default=0) > shown
        ]
        self.known = len(survived) >= LEAST
        if not self.known:
            return
        self._spaces: dict[str, BaseDistribution] = {}
        for seen in [*failed, *survived]:
            self._spaces.update(seen.distributions)
        X = self._features([seen.params for seen in [*failed, *survived]])
        y = np.array([1.0] * len(failed) + [0.0] * len(survived))
        self._weights = _logistic(X, y)

    def failure(self, params: Mapping[str, Any]) -> float:
        """Returns the probability that training with `params` fails; 0 while little is known."""
        if not self.known:
            return 0.0
        return float(_sigmoid(self._features([params]) @ self._weights)[0])

    def _features(self, params: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Returns [N, F]: 1, then each parameter centred: numbers within ±½ of their (log) range.

        A number that is missing stands in the middle; of a choice that is missing none is made.
        """
        columns: list[Any] = [np.ones(len(params))]
        for name in sorted(self._spaces):
            space = self._spaces[name]
            values = [given.get(name, _MISSING) for given in params]
            if isinstance(space, CategoricalDistribution):
                columns += [[value == choice for value in values] for choice in space.choices]
            else:
                columns.append(_places(values, space))
        return np.array(columns, dtype=float).T


_MISSING = object()  # None may be a choice


def _places(values: Sequence[Any], space: Any) -> np.ndarray:
    low, high = float(space.low), float(space.high)
    if high <= low:
        return np.zeros(len(values))
    numbers = np.array([math.nan if value is _MISSING else value for value in values], dtype=float)
    if space.log:
        low, high, numbers = math.log(low), math.log(high), np.log(numbers)
    return np.nan_to_num((numbers - low) / (high - low) - 0.5, nan=0.0)


def _sigmoid(z: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-np.clip(z, -30.0, 30.0)))


def _logistic(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Returns weights [F] by Newton's method on the penalised likelihood; the first is free.

    Args:
        X: [N, F] features, the first column 1.
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
