"""The random processes behind the generated market: fat tails, clusters, a planted index.

Every array is drawn in the order of time from a generator of its own, so a longer market begins
with exactly the numbers of a shorter one.
"""

import itertools
from dataclasses import dataclass

import numpy as np

LAG = {"day": 0, "minute": 1}  # bars between decision and entry, as the default of `data.lag`
VOLUME_MEMORY = 20  # bars whose mean volume a bar is compared with
HISTORY = 100  # bars generated before the first one shown, so that everything is under way

TAIL = 4.0  # degrees of freedom of the innovations
LIMIT = 12.0  # no innovation is larger, in standard deviations of the untruncated distribution
INNOVATION_STD = 0.994838  # what the limit leaves of a standard deviation of 1
FACTOR_SHARE = 0.2  # share of the innovation's variance that all symbols have in common

# Standard deviations of log volatility: together small enough that the two features, which do not
# know the volatility, still reach 95 % of what the conditional expectation does.
VOLATILITY = {"day": 0.015, "minute": 0.0008}
VOLATILITY_MEMORY = {"day": 0.97, "minute": 0.995}
COMMON_VOLATILITY, OWN_VOLATILITY, SYMBOL_VOLATILITY = 0.25, 0.12, 0.08
VOLATILITY_LIMIT = 0.75  # of the sum: with the limit on innovations no bar loses everything

VOLUME = {"day": 2e6, "minute": 2e4}
VOLUME_CLUSTER, VOLUME_CLUSTER_MEMORY, VOLUME_NOISE = 0.3, 0.9, 0.35
# Mean and standard deviation of log(volume ÷ mean of the previous 20) under these.
SURPRISE_MEAN, SURPRISE_STD = -0.0778, 0.4450

LOCATION_WEIGHT, SURPRISE_WEIGHT = 0.8, 0.6


@dataclass(frozen=True)
class Draws:
    """What the market is built from, [T, N] each, float64, history included.

    Attributes:
        innovation: of each bar's return; mean 0, variance 1, fat tails, a common factor.
        volatility: known at each bar's close: the scale of the return decided there.
        location: place of the close in the bar's range, uniform in 0 … 1.
        volume: traded, clustered.
        index: the planted index z, a function of `location` and `volume` alone; mean 0, variance 1.
        range_noise, gap: shape the bar; nothing else depends on them.
        base: [N], first price of each symbol.
    """

    innovation: np.ndarray
    volatility: np.ndarray
    location: np.ndarray
    volume: np.ndarray
    index: np.ndarray
    range_noise: np.ndarray
    gap: np.ndarray
    base: np.ndarray


def draw(seed: int, frequency: str, bars: int, symbols: int) -> Draws:
    """Draws `bars` bars of `symbols` symbols, after `HISTORY` earlier ones."""
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(seed).spawn(11)]
    shape = (bars + HISTORY, symbols)
    factor, own = streams[0], streams[1]
    innovation = np.sqrt(FACTOR_SHARE) * fat_tailed(factor, (shape[0], 1)) + np.sqrt(
        1.0 - FACTOR_SHARE
    ) * fat_tailed(own, shape)

    memory = VOLATILITY_MEMORY[frequency]
    log_volatility = (
        COMMON_VOLATILITY * cluster(streams[2], (shape[0], 1), memory)
        + OWN_VOLATILITY * cluster(streams[3], shape, memory)
        + SYMBOL_VOLATILITY * streams[4].standard_normal(symbols)
    )
    location = streams[5].random(shape)
    volume = draw_volume(streams[6], streams[7], streams[8], VOLUME[frequency], shape)
    log_volatility = np.clip(log_volatility, -VOLATILITY_LIMIT, VOLATILITY_LIMIT)
    return Draws(
        innovation=innovation,
        volatility=VOLATILITY[frequency] * np.exp(log_volatility),
        location=location,
        volume=volume,
        index=planted_index(location, volume),
        range_noise=streams[9].standard_normal(shape),
        gap=streams[10].standard_normal(shape),
        base=np.random.default_rng([seed, symbols]).uniform(20.0, 200.0, symbols),
    )


def fat_tailed(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """Student t innovations of variance 1, truncated far out so that no price can turn negative."""
    raw = rng.standard_t(TAIL, shape) / np.sqrt(TAIL / (TAIL - 2.0))
    return np.clip(raw, -LIMIT, LIMIT) / INNOVATION_STD


def cluster(rng: np.random.Generator, shape: tuple[int, int], memory: float) -> np.ndarray:
    """First-order autoregression over time, [T, N]; stationary from the first bar, variance 1."""
    # Not by scipy.signal: its import takes longer than the whole market.
    state = rng.standard_normal(shape) * np.sqrt(1.0 - memory**2)
    state[0] /= np.sqrt(1.0 - memory**2)
    for before, now in itertools.pairwise(state):
        now += memory * before
    return state


def draw_volume(
    level: np.random.Generator,
    clusters: np.random.Generator,
    noise: np.random.Generator,
    typical: float,
    shape: tuple[int, int],
) -> np.ndarray:
    """Whole shares traded, [T, N]: a level of each symbol, clusters over time, noise."""
    log_volume = (
        0.5 * level.standard_normal(shape[1])
        + VOLUME_CLUSTER * cluster(clusters, shape, VOLUME_CLUSTER_MEMORY)
        + VOLUME_NOISE * noise.standard_normal(shape)
    )
    return np.maximum(np.round(typical * np.exp(log_volume)), 1.0)


def planted_index(location: np.ndarray, volume: np.ndarray) -> np.ndarray:
    """The planted index z, [T, N]: 0.8 × standardised close location + 0.6 × volume surprise.

    The first `VOLUME_MEMORY` bars have no surprise and count as 0.
    """
    weights = np.full(VOLUME_MEMORY + 1, 1.0 / VOLUME_MEMORY)
    weights[0] = 0.0
    means = [np.convolve(weights, each)[: len(volume)] for each in volume.T]
    before = np.stack(means, axis=1)
    before[:VOLUME_MEMORY] = volume[:VOLUME_MEMORY]
    surprise = (np.log(volume / before) - SURPRISE_MEAN) / SURPRISE_STD
    surprise[:VOLUME_MEMORY] = 0.0
    return LOCATION_WEIGHT * np.sqrt(12.0) * (location - 0.5) + SURPRISE_WEIGHT * surprise
