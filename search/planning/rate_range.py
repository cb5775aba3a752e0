"""The learning-rate range test: many rates on one network at once, and the range that they show.

Smith (2017), "Cyclical learning rates for training neural networks", raises the rate within one
training. Here each rate trains a network of its own, all from the same first weights on the same
batches, so that one rate does not begin where another has left the weights.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from trainable.config import TrialConfig, shape_key
from trainable.data.dataset.dataset import Dataset
from trainable.losses import LossConfig
from trainable.losses.phases import phases_of
from trainable.losses.weighted import WeightedConfig
from trainable.report import Report
from trainable.schedules.constant import ConstantConfig
from trainable.train import train

LOWEST, HIGHEST = 1e-6, 1.0
EPOCHS = 4  # into which the steps are divided; the last one is compared
STILL = 3  # lowest rates, whose networks have hardly moved
ENOUGH = 0.5  # of the largest fall of the loss, at the lowest rate proposed
KEPT = 0.75  # of it, at the highest
LEAST_FALL = 0.002  # of the loss; less is what batches differ by


@dataclass(frozen=True)
class RangeTest:
    """What each rate came to.

    Attributes:
        config: of the networks, but for the rate.
        steps: optimizer steps of each.
        rates: [n] increasing.
        loss: [n] mean training loss over the last quarter of the steps; NaN where it failed.
        val_loss: [n] at the end; NaN where it failed.
        failed: [n] stop reason of a training that did not end; empty where it did.
    """

    config: TrialConfig
    steps: int
    rates: np.ndarray
    loss: np.ndarray
    val_loss: np.ndarray
    failed: tuple[str, ...]


@dataclass(frozen=True)
class RateRange:
    """The rates proposed for a space.

    Attributes:
        low: the smallest; None where no rate lowered the loss.
        high: the largest.
        still: loss of networks that hardly moved; None where too few did not fail.
        fall: how much less it is at the best rate.
    """

    low: float | None
    high: float | None
    still: float | None
    fall: float


def commonest(configs: Iterable[TrialConfig]) -> TrialConfig:
    """Returns the first configuration of the shape that most of them have."""
    several = list(configs)
    shape, _ = Counter(map(shape_key, several)).most_common(1)[0]
    return next(config for config in several if shape_key(config) == shape)


def rates_between(count: int, low: float = LOWEST, high: float = HIGHEST) -> np.ndarray:
    """Returns so many rates, evenly spaced in their logarithm."""
    return np.geomspace(low, high, count)


def steps_taken(steps: int) -> int:
    """Returns how many of so many optimizer steps a test takes: whole epochs of them."""
    return max(1, steps // EPOCHS) * EPOCHS


def range_test(
    config: TrialConfig, dataset: Dataset, rates: np.ndarray, steps: int, device: str = "cpu"
) -> RangeTest:
    """Trains the network at each rate, in cohorts as a search has them.

    A training that blows up ends alone; the others go on.

    Args:
        config: of the networks; its rate, schedule and patience are not used.
        dataset: of the search.
        rates: [n] increasing.
        steps: optimizer steps of each.
        device: where they train.
    """
    steps = steps_taken(steps)
    once = replace(config.train, epochs=EPOCHS, steps_per_epoch=steps // EPOCHS, patience=0)
    like = replace(config, schedule=ConstantConfig(), loss=_last_phase(config.loss), train=once)
    each = [_at(like, float(rate)) for rate in rates]
    loss, val_loss = np.full(len(rates), np.nan), np.full(len(rates), np.nan)
    failed = [""] * len(rates)
    for report in train(each, dataset, device=device, calibrated=True):
        if report.stop is None or report.stop.reason == "completed":
            loss[report.number] = _number(report, "train_loss")
            val_loss[report.number] = _number(report, "val_loss")
        else:
            failed[report.number] = report.stop.reason
            loss[report.number] = val_loss[report.number] = np.nan
    return RangeTest(like, steps, rates, loss, val_loss, tuple(failed))


def propose(rates: np.ndarray, loss: np.ndarray) -> RateRange:
    """Returns the range around the rate of lowest loss in which learning is fast and safe.

    The lowest rate proposed takes away half of what the best one does, beginning at the loss of
    networks that hardly moved; the highest still takes away three quarters, and no rate between
    them fails. Losses are smoothed by the median of three neighbours.

    Args:
        rates: [n] increasing.
        loss: [n] at each; NaN where it failed.
    """
    known = np.isfinite(loss)
    if known.sum() <= STILL:
        return RateRange(None, None, None, 0.0)
    smooth = _median_of_three(loss)
    still = float(np.median(loss[known][:STILL]))
    best = int(np.nanargmin(smooth))
    fall = still - float(smooth[best])
    # A loss that is no sum of errors may be near 0 or below; such losses are of the order of 1.
    scale = still if min(still, still - fall) > 0 else 1.0
    if fall < LEAST_FALL * scale:
        return RateRange(None, None, still, max(fall, 0.0))
    taken = np.where(np.isfinite(smooth), (still - smooth) / fall, -np.inf)
    low = high = best
    while low > 0 and taken[low - 1] >= ENOUGH:
        low -= 1
    while high + 1 < len(rates) and taken[high + 1] >= KEPT:
        high += 1
    return RateRange(_rounded(rates[low]), _rounded(rates[high]), still, fall)


def _last_phase(loss: LossConfig) -> LossConfig:
    """Returns the loss with the weights of its last phase from the beginning."""
    if not isinstance(loss, WeightedConfig):
        return loss
    last = {part: weight for part, weight in phases_of(loss.phases)[-1].weights.items() if weight}
    phases = json.dumps({"0": {str(part): weight for part, weight in last.items()}})
    used = {part.horizon for part in last}
    if None in used or not loss.horizons:
        return replace(loss, phases=phases)
    kept = [text for text in loss.horizons.split("-") if int(text) in used]
    return replace(loss, phases=phases, horizons="-".join(kept))


def _at(config: TrialConfig, rate: float) -> TrialConfig:
    return replace(config, optimizer=replace(cast(Any, config.optimizer), lr=rate))


def _number(report: Report, name: str) -> float:
    value = report.values[name]
    return np.nan if value is None else value


def _median_of_three(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Returns each value's median with its neighbours; NaN where it is NaN itself."""
    padded = np.concatenate([[np.nan], values, [np.nan]])
    triples = np.stack([padded[:-2], padded[1:-1], padded[2:]])
    smooth = np.full(len(values), np.nan)
    known = np.isfinite(values)
    smooth[known] = np.nanmedian(triples[:, known], axis=0)
    return smooth


def _rounded(rate: float) -> float:
    """Returns the rate to two digits, as one writes it in a space."""
    return float(f"{rate:.1e}")
