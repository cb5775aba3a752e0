"""Parzen estimators: the probability densities that TPE compares suggestions by.

A density is a mixture of kernels, one for each trial and a flat one last, as in Optuna's
multivariate TPE. The kernel of a number is a truncated normal around the observed value, as wide as
the gap to its neighbours; the kernel of a choice is a categorical that favours the observed one.
"""

from collections.abc import Sequence

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution
from scipy.special import ndtr, ndtri

FULL_WEIGHT = 25  # newest trials that have full weight; the older the others, the lower theirs
MAX_RESOLUTION = 100.0  # no kernel is narrower than the range divided by this
TINY = 1e-300


class Dimension:
    """One parameter: its range, and how its numbers are scaled to 0 … 1 and back.

    Args:
        space: the distribution of its values.

    Attributes:
        choices: how many values a categorical parameter has; 0 for a number.
        log: whether a number is scaled by its logarithm.
        limits: lowest and highest number.
        step: of a number on a grid; 0 otherwise.
    """

    def __init__(self, space: BaseDistribution) -> None:
        self.choices = len(space.choices) if isinstance(space, CategoricalDistribution) else 0
        if self.choices:
            return
        self.log: bool = getattr(space, "log", False)
        self.limits = float(getattr(space, "low", 0.0)), float(getattr(space, "high", 1.0))
        self.step = float(getattr(space, "step", None) or 0.0)
        ends = np.array([self.limits[0] - self.step / 2, self.limits[1] + self.step / 2])
        self._low, high = (np.log(ends) if self.log else ends).tolist()
        self._width = high - self._low

    def scale(self, values: np.ndarray) -> np.ndarray:
        """Returns numbers scaled to 0 … 1; a number outside of the range is moved to its end."""
        scaled = ((np.log(values) if self.log else values) - self._low) / self._width
        return np.clip(scaled, 0.0, 1.0)

    def unscale(self, scaled: np.ndarray) -> np.ndarray:
        """Returns the numbers, on the grid and within the range, of scaled ones."""
        low, high = self.limits
        values = self._low + scaled * self._width
        values = np.exp(values) if self.log else values
        if self.step:
            values = low + np.round((values - low) / self.step) * self.step
        return np.clip(values, low, high)


class ParzenEstimator:
    """A weighted mixture of kernels, each a product over parameters.

    Args:
        dimensions: the parameters.
        columns: for each parameter [N] observed values as `BaseDistribution.to_internal_repr`
            gives them, of trials in the order of asking.
    """

    def __init__(self, dimensions: Sequence[Dimension], columns: Sequence[np.ndarray]) -> None:
        self._dimensions = dimensions
        self._numbers = [i for i, one in enumerate(dimensions) if not one.choices]
        self._smooth = [row for row, i in enumerate(self._numbers) if not dimensions[i].step]
        N = len(columns[0])
        self._observed = {
            i: columns[i].astype(np.int64) for i, one in enumerate(dimensions) if one.choices
        }
        self.weights = _weights(N)
        scaled = [dimensions[i].scale(columns[i]) for i in self._numbers]
        self._mu, self._sigma = _normals(np.reshape(scaled, (len(scaled), N)))
        inside = _mass(-self._mu / self._sigma, (1.0 - self._mu) / self._sigma)
        self._constant = np.log(self.weights) - np.log(np.maximum(inside, TINY)).sum(axis=0)
        mu, precision = self._mu[self._smooth], self._sigma[self._smooth] ** -2.0
        self._constant += (0.5 * np.log(precision / (2.0 * np.pi))).sum(axis=0)
        self._constant -= (0.5 * mu**2 * precision).sum(axis=0)
        self._slopes = np.concatenate([-0.5 * precision, mu * precision])

    def sample(self, rng: np.random.RandomState, n: int) -> np.ndarray:
        """Returns [n, parameters] random values, drawn in the order in which Optuna draws."""
        kernel = rng.choice(len(self.weights), p=self.weights, size=n)
        drawn = np.empty((n, len(self._dimensions)))
        for i, observed in self._observed.items():
            likely, unlikely, flat = _choice(len(observed), self._dimensions[i].choices)
            chances = np.full((len(observed) + 1, self._dimensions[i].choices), unlikely)
            chances[np.arange(len(observed)), observed] = likely
            chances[-1] = flat
            ends = np.cumsum(chances[kernel], axis=1)
            ends[:, -1] = 1.0
            drawn[:, i] = (ends < rng.rand(n)[:, None]).sum(axis=1)
        if self._numbers:
            mu, sigma = self._mu[:, kernel], self._sigma[:, kernel]
            low, high = ndtr(-mu / sigma), ndtr((1.0 - mu) / sigma)
            scaled = mu + sigma * ndtri(low + rng.uniform(size=mu.shape) * (high - low))
            for i, row in zip(self._numbers, np.clip(scaled, 0.0, 1.0), strict=True):
                drawn[:, i] = self._dimensions[i].unscale(row)
        return drawn

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """Returns [n] log densities at [n, parameters] values, up to a constant of the parameters.

        Expanding the squares makes this one product of matrices and one exponential a kernel;
        computed term by term, it took a third of the time of asking.
        """
        logs = np.tile(self._constant, (len(values), 1))
        if self._smooth:
            smooth = [self._numbers[row] for row in self._smooth]
            x = np.stack([self._dimensions[i].scale(values[:, i]) for i in smooth], axis=1)
            logs += np.concatenate([x**2, x], axis=1) @ self._slopes
        for i, observed in self._observed.items():
            likely, unlikely, flat = np.log(_choice(len(observed), self._dimensions[i].choices))
            same = values[:, i].astype(np.int64)[:, None] == observed
            logs[:, :-1] += np.where(same, likely, unlikely)
            logs[:, -1] += flat
        for row, i in enumerate(self._numbers):
            if self._dimensions[i].step:
                logs += _log_steps(
                    self._dimensions[i], values[:, i], self._mu[row], self._sigma[row]
                )
        top = logs.max(axis=1, keepdims=True)
        return np.log(np.exp(logs - top).sum(axis=1)) + top[:, 0]


def _weights(N: int) -> np.ndarray:
    """Returns [N + 1] weights that sum to 1, the flat kernel's last."""
    weights = np.ones(N + 1)
    if N > FULL_WEIGHT:
        weights[: N - FULL_WEIGHT] = np.linspace(1.0 / N, 1.0, N - FULL_WEIGHT)
    return weights / weights.sum()


def _normals(scaled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns centres and widths [P, N + 1] of the kernels of scaled numbers [P, N]."""
    P, N = scaled.shape
    order = np.argsort(scaled, axis=1)
    ordered = np.take_along_axis(scaled, order, axis=1)
    gaps = np.diff(ordered, axis=1, prepend=0.0, append=1.0)
    widths = np.maximum(gaps[:, :-1], gaps[:, 1:])
    if N >= 2:  # the ends of the range are no neighbours
        widths[:, 0], widths[:, -1] = gaps[:, 1], gaps[:, -2]
    sigma = np.ones((P, N + 1))
    least = 1.0 / min(MAX_RESOLUTION, N + 2.0)
    np.put_along_axis(sigma, order, np.clip(widths, least, 1.0), axis=1)
    return np.append(scaled, np.full((P, 1), 0.5), axis=1), sigma


def _mass(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Returns the mass of a standard normal between a and b, exact in either tail."""
    flip = a > 0
    return ndtr(np.where(flip, -a, b)) - ndtr(np.where(flip, -b, a))


def _log_steps(
    dimension: Dimension, values: np.ndarray, mu: np.ndarray, sigma: np.ndarray
) -> np.ndarray:
    """Returns [n, N + 1] log masses of the kernels within the grid cells around `values`.

    Each pair of a distinct value and a distinct kernel is computed once.
    """
    cells, of_value = np.unique(values, return_inverse=True)
    kernels, of_kernel = np.unique(mu + 1j * sigma, return_inverse=True)
    ends = (
        dimension.scale(cells + side)[:, None] for side in (-dimension.step / 2, dimension.step / 2)
    )
    mass = _mass(*((end - kernels.real) / kernels.imag for end in ends))
    return np.log(np.maximum(mass, TINY))[np.ix_(of_value, of_kernel)]


def _choice(N: int, choices: int) -> tuple[float, float, float]:
    """Returns the chances of the observed choice, of any other, and of each under the flat one."""
    extra = 1.0 / (N + 1)
    total = 1.0 + choices * extra
    return (1.0 + extra) / total, extra / total, 1.0 / choices
