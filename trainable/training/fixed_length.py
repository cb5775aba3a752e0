"""Trainings of a length that is given: nothing stops them, and nothing of the test is looked at.

The rows that are scored in the end are not evaluated before: what is watched on the way, for
numeric failures and by a `plateau` schedule, are rows that are learned from.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from trainable.config import DataConfig, TrialConfig, input_shape
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows, make_windows
from trainable.executors import executor_for
from trainable.prediction.predictor import Predictor, predictor_of
from trainable.report import Stop
from trainable.training.loop import Training
from trainable.training.member import MemberStart

WATCHED = 250  # last training bars, on which members are watched
LARGEST = 32  # members of one cohort
LOOK_S = 1.0  # between two looks whether to go on


@dataclass(frozen=True)
class Trained:
    """One training that has ended.

    Attributes:
        number: as it was given.
        predictor: after its last epoch; None after a numeric failure.
        seconds: of training, its share of the cohort's.
        stop: the failure; None: it reached its length.
    """

    number: int
    predictor: Predictor | None
    seconds: float
    stop: Stop | None = None


def train_for(
    configs: Mapping[int, TrialConfig],
    epochs: Mapping[int, int],
    dataset: Dataset,
    device: str = "cpu",
    look: Callable[[], None] = lambda: None,
) -> Iterator[Trained]:
    """Trains configurations of one shape, each for its epochs, in cohorts.

    `train/epochs` stays what it is, so that a schedule of the learning rate runs as in a longer
    training that is cut off; `train/patience` has no effect.

    Args:
        configs: by number.
        epochs: of each, at least 1.
        dataset: whose training rows are learned from; its other rows are not read.
        device: where they train.
        look: is called every second or so, and may raise to end it.

    Yields:
        Each as it ends.
    """
    members = {number: lasting(config, epochs[number]) for number, config in configs.items()}
    first = next(iter(members.values()))
    windows = watching(dataset, first.data, device)
    solo = executor_for(first, input_shape(first, windows.groups), device) == "solo"
    size = 1 if solo else LARGEST
    starts = [MemberStart(number, config) for number, config in members.items()]
    for begin in range(0, len(starts), size):
        some = starts[begin : begin + size]
        training = Training(some, dataset, device=device, windows=windows, until=epochs)
        yield from _until_the_end(training, epochs, dataset, look)


def lasting(config: TrialConfig, epochs: int) -> TrialConfig:
    """Returns a configuration that nothing but a numeric failure ends before so many epochs."""
    longest = max(config.train.epochs, epochs)
    return replace(config, train=replace(config.train, patience=0, epochs=longest))


def watching(dataset: Dataset, config: DataConfig, device: str) -> Windows:
    """Returns the windows of a dataset in which the rows that are watched are evaluated."""
    watched = torch.from_numpy(watched_rows(dataset)).to(device)
    windows = make_windows(dataset, config, device)
    return replace(windows, valid_rows=watched, train_eval_rows=watched)


def facts_of(dataset: Dataset) -> dict[str, Any]:
    """Returns what a predictor knows of the data that it learned from."""
    return {"horizon": dataset.horizon, "lag": dataset.lag, "source": dataset.name}


def watched_rows(dataset: Dataset) -> np.ndarray:
    """Returns the training rows that a training is watched on, sorted by (time, symbol).

    With five or more symbols those of the last bars; with fewer all, as positions are measured
    against them.
    """
    rows = dataset.train_rows
    if dataset.panel:
        bars = np.unique(dataset.time[rows])
        rows = rows[dataset.time[rows] >= bars[-WATCHED:][0]]
    return rows[np.lexsort((dataset.symbol[rows], dataset.time[rows]))]


def _until_the_end(
    training: Training, epochs: Mapping[int, int], dataset: Dataset, look: Callable[[], None]
) -> Iterator[Trained]:
    seconds: dict[int, float] = {}
    while training.live:
        look()
        for report in training.advance(time.monotonic() + LOOK_S):
            number, wanted = report.number, epochs[report.number]
            seconds[number] = seconds.get(number, 0.0) + report.seconds
            failed = report.stop is not None and report.stop.reason != "completed"
            if failed:
                training.ended.pop(number)
                yield Trained(number, None, seconds[number], report.stop)
            elif report.epoch == wanted:
                if report.stop is None:
                    weights = training.executor.weights(training.live.index(number))
                    config = training.members[training.live.index(number)].config
                    training.retire([number])
                    training.ended.pop(number)
                else:
                    member = training.ended.pop(number)
                    weights, config = member.last_weights, member.config
                found = predictor_of(config, weights, training.windows, facts_of(dataset))
                yield Trained(number, found, seconds[number])
