"""Small datasets, configurations and complete trainings, for the tests of the training stack."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import torch

from trainable.config import TrialConfig, from_params
from trainable.data.build import build_dataset
from trainable.data.dataset import Dataset
from trainable.data.settings import DataSettings, SyntheticSettings
from trainable.data.synthetic import generate
from trainable.member import Member, Ticket
from trainable.report import Report, Stop
from trainable.training import Training

torch.set_num_threads(1)  # as the workers do; two threads on a busy machine wait for each other

SMALL = {
    "model/hidden_dims": "8-4",
    "model/dropout": 0.0,
    "optimizer/lr": 1e-3,
    "train/epochs": 3,
    "train/steps_per_epoch": 20,
    "train/batch_size": 16,
}


@cache
def market(symbols: int = 6, bars: int = 400, window: int = 3) -> Dataset:
    """A generated market with a strong signal; 30 features."""
    synthetic = SyntheticSettings(signal=0.3, symbols=symbols, bars=bars)
    return build_dataset(generate(synthetic), DataSettings(), window)


@cache
def narrow(symbols: int = 6) -> Dataset:
    """The same market with three features: quick where only the course of training matters."""
    full = market(symbols)
    return replace(
        full,
        features=np.ascontiguousarray(full.features[:, :3]),
        feature_names=full.feature_names[:3],
        feature_groups=full.feature_groups[:3],
    )


def config(**changes: Any) -> TrialConfig:
    """A small configuration; `optimizer__lr=0.1` sets `optimizer/lr`."""
    return from_params(SMALL | {key.replace("__", "/"): value for key, value in changes.items()})


def tickets(configs: Iterable[TrialConfig]) -> list[Ticket]:
    return [Ticket(number, each) for number, each in enumerate(configs)]


def finish(training: Training) -> list[Report]:
    """Trains until every member has ended."""
    reports: list[Report] = []
    while training.live:
        reports += training.advance()
    return reports


def trained(
    configs: Sequence[TrialConfig], dataset: Dataset, **options: Any
) -> tuple[dict[int, Member], list[Report]]:
    """Trains a cohort to its end; returns its members by number, and all reports."""
    training = Training(tickets(configs), dataset, **options)
    reports = finish(training)
    return training.ended, reports


def final(training: Training, number: int) -> torch.Tensor:
    """A live member's present weights, as one vector."""
    weights = training.engine.weights(training.live.index(number))
    return torch.cat([tensor.flatten() for tensor in weights.values()])


def best(member: Member) -> torch.Tensor:
    """A member's weights of its ranking epoch, as one vector."""
    return torch.cat([tensor.flatten() for tensor in member.best_weights.values()])


def stop_of(reports: Sequence[Report], number: int = 0) -> Stop:
    """Why a member stopped: said once, in its last report."""
    mine = [report for report in reports if report.number == number]
    assert [report.stop is None for report in mine] == [True] * (len(mine) - 1) + [False]
    stop = mine[-1].stop
    assert stop is not None
    return stop
