"""Markets whose next return is known up to its noise: what a network could earn on them is exact.

Eight symbols with six persistent features each. The return that a decision at t earns is
volatility × (s·z + √(1 − s²)·ε), with a noise ε of which all symbols share a fifth. The index z of
each kind is a function of the features that a window of four days holds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainable.cli.errors import look_up
from trainable.data.dataset.build import build_dataset
from trainable.data.dataset.dataset import Dataset
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.metrics.portfolio import panel_weights, turnover_of

SYMBOLS, FEATURES, WINDOW = 8, 6, 4
MEMORY = 0.8  # of the features, from day to day: no portfolio turns over all of itself each day
VOLATILITY = 0.015  # of a day
TAIL = 5  # degrees of freedom of the noise
SHARED = 0.2  # share of the noise's variance that all symbols have in common
TRAIN, VALID, GATE, LATER = 1000, 750, 10, 1000  # days of each part; `LATER` is the continuation
BREAK = 600  # the day from which `regime` has other weights
DAYS_PER_YEAR = 252.0


@dataclass(frozen=True)
class Truth:
    """What networks of a market are worth, by the market's own conditional means.

    Attributes:
        expected: [D, N], mean return that a decision of each day of the continuation earns.
        own_variance: variance of a symbol's own noise, about that mean.
        cost: of one unit turned over, decimal.
    """

    expected: np.ndarray
    own_variance: float
    cost: float

    def of(self, predictions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the true annual Sharpe ratio net of costs and the true IC of each member, [K].

        What all symbols share cancels out of weights whose sum is 0. The variance of a day's return
        is that of its mean over the days, and that of the noise, which the weights of the day pick.

        Args:
            predictions: [K, D·N], in the order of (day, symbol).

        Returns:
            NaN for a member without a position.
        """
        p = predictions.astype(np.float64).reshape(-1, *self.expected.shape)
        scored = np.ones(self.expected.shape, dtype=bool)
        weights = panel_weights(p, scored, p.std(axis=(1, 2), keepdims=True))
        net = self._net(weights)
        noise = self.own_variance * np.square(weights).sum(axis=-1).mean(axis=-1)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = net.mean(axis=-1) / np.sqrt(net.var(axis=-1) + noise)
            ic = _correlation(weights, self.expected, self.own_variance)
        return np.where(noise > 0, ratio * np.sqrt(DAYS_PER_YEAR), np.nan), ic

    def book(self, predictions: np.ndarray) -> "Book":
        """Returns what any mixture of the members' positions is worth.

        Args:
            predictions: see `of`.
        """
        p = predictions.astype(np.float64).reshape(-1, *self.expected.shape)
        scored = np.ones(self.expected.shape, dtype=bool)
        weights = panel_weights(p, scored, p.std(axis=(1, 2), keepdims=True))
        net, flat = self._net(weights), weights.reshape(len(weights), -1)
        noise = self.own_variance * (flat @ flat.T) / len(self.expected)
        return Book(net.mean(axis=-1), np.atleast_2d(np.cov(net, bias=True)) + noise)

    def _net(self, weights: np.ndarray) -> np.ndarray:
        return (weights * self.expected).sum(axis=-1) - self.cost * turnover_of(weights)


@dataclass(frozen=True)
class Book:
    """Mean [K] and covariance [K, K] of the members' daily returns, net of each one's own costs."""

    mean: np.ndarray
    covariance: np.ndarray

    def sharpe(self, members: Sequence[int]) -> float:
        """Returns the true annual Sharpe ratio of equal shares of some members; 0 of no position.

        Args:
            members: their places in `mean`.
        """
        chosen = list(members)
        variance = self.covariance[np.ix_(chosen, chosen)].mean() if chosen else 0.0
        if not variance > 0:
            return 0.0
        return float(self.mean[chosen].mean() / np.sqrt(variance) * np.sqrt(DAYS_PER_YEAR))


def _correlation(weights: np.ndarray, expected: np.ndarray, own_variance: float) -> np.ndarray:
    """Returns the mean over days of the expected correlation across symbols, [K]."""
    mean = expected - expected.mean(axis=-1, keepdims=True)
    spread = np.sqrt(np.square(mean).sum(axis=-1) + (expected.shape[-1] - 1) * own_variance)
    length = np.sqrt(np.square(weights).sum(axis=-1))
    return ((weights * mean).sum(axis=-1) / (length * spread)).mean(axis=-1)


def _linear(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return x[..., :3] @ rng.normal(size=3)


def _order(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Depends on what was first: the same values in another order mean the opposite."""
    z = np.zeros(x.shape[:2])
    z[WINDOW - 1 :] = (x[WINDOW - 1 :] - x[: 1 - WINDOW])[..., :2] @ rng.normal(size=2)
    return z


def _regime(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Has weights that turn within the training part: the older half teaches the wrong thing."""
    before, after = x[..., :3] @ rng.normal(size=3), x[..., :3] @ rng.normal(size=3)
    return np.where(np.arange(len(x))[:, None] < BREAK, before, after)


@dataclass(frozen=True)
class Kind:
    """A kind of market: the correlation of its index with the next return, and the index."""

    signal: float
    index: Callable[[np.ndarray, np.random.Generator], np.ndarray]


KINDS = {
    "weak": Kind(0.03, _linear),
    "strong": Kind(0.07, _linear),
    "order": Kind(0.07, _order),
    "regime": Kind(0.07, _regime),
    "none": Kind(0.0, _linear),
}


@dataclass(frozen=True)
class Planted:
    """A market, as a person would have it, and what nobody would know of it.

    Attributes:
        frame: a row a day and symbol: features and the target.
        settings: how the frame is read and split; the `test` part is the continuation.
        expected: [days, SYMBOLS], mean return that a decision of each day earns.
        own_variance: see `Truth`.
    """

    frame: pd.DataFrame
    settings: DataSettings
    expected: np.ndarray
    own_variance: float


def plant(name: str, seed: int) -> Planted:
    """Returns the market of a kind and a seed; see `KINDS`."""
    kind = look_up(KINDS, name, "market")
    rng = np.random.default_rng([seed, *map(ord, name)])
    days = TRAIN + VALID + GATE + LATER
    x = _features(rng, days)
    z = kind.index(x, rng)
    z /= z[WINDOW:].std()
    noise = rng.standard_t(TAIL, (days, SYMBOLS)) / np.sqrt(TAIL / (TAIL - 2))
    shared = rng.normal(size=(days, 1))
    own = (1 - kind.signal**2) * (1 - SHARED)
    expected = VOLATILITY * kind.signal * z
    shock = np.sqrt(own) * noise + np.sqrt((1 - kind.signal**2) * SHARED) * shared
    frame = _frame(x, expected + VOLATILITY * shock)
    dates = _dates(days)
    settings = DataSettings(
        features="f*",
        target="target",
        horizon=1,
        lag=0,
        valid_from=str(dates[TRAIN]),
        gate_from=str(dates[TRAIN + VALID]),
        test_from=str(dates[TRAIN + VALID + GATE]),
    )
    return Planted(frame, settings, expected, VOLATILITY**2 * own)


def make_market(name: str, seed: int) -> tuple[Dataset, Truth]:
    """Returns the dataset of a market and what is true of its continuation, the `test` part."""
    planted = plant(name, seed)
    market = market_from_frame(planted.frame, planted.settings, f"{name}-{seed}")
    dataset = build_dataset(market, planted.settings, max_window=WINDOW)
    rows = dataset.rows_of("test")
    later = planted.expected[dataset.time[rows], dataset.symbol[rows]].reshape(-1, SYMBOLS)
    return dataset, Truth(later, planted.own_variance, dataset.cost_bps * 1e-4)


def _features(rng: np.random.Generator, days: int) -> np.ndarray:
    """Returns [days, SYMBOLS, FEATURES] of mean 0 and variance 1, first-order autoregressive."""
    x = rng.normal(size=(days, SYMBOLS, FEATURES))
    for t in range(1, days):
        x[t] = MEMORY * x[t - 1] + np.sqrt(1 - MEMORY**2) * x[t]
    return x


def _dates(days: int) -> np.ndarray:
    """Returns so many business days, datetime64[D]."""
    return np.busday_offset("2000-01-03", np.arange(days), roll="forward")


def _frame(x: np.ndarray, target: np.ndarray) -> pd.DataFrame:
    days = len(x)
    columns = {f"f{i}": x[..., i].ravel().astype(np.float32) for i in range(FEATURES)}
    dates = np.repeat(_dates(days).astype("datetime64[ns]"), SYMBOLS)
    symbols = np.tile([f"S{i}" for i in range(SYMBOLS)], days)
    return pd.DataFrame(
        {"timestamp": dates, "symbol": symbols, **columns, "target": target.ravel()}
    )
