"""Every two parts that can be chosen together: they train, are saved, and predict the same."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures.pairwise import Case, pairwise
from tests.fixtures.trainings import market, starts
from trainable.cli.errors import UserError
from trainable.config import TrialConfig, from_params
from trainable.data.dataset.dataset import Dataset
from trainable.io.file_store import FileStore
from trainable.losses import LOSSES
from trainable.models import MODELS
from trainable.optimizers import OPTIMIZERS
from trainable.predict import load, save
from trainable.schedules import SCHEDULES
from trainable.training.loop import Training
from trainable.validation import check

PHASES = '{"0": {"huber": 0.3, "ic": 0.1}, "1": {"mse@5": 0.1, "sharpe": 0.5}}'
VALUES: dict[str, list[Any]] = {
    "model/name": [*MODELS],
    "loss/name": [name for name in LOSSES if name != "variance"],  # a part of a sum only
    "optimizer/name": [*OPTIMIZERS],
    "schedule/name": [*SCHEDULES],
    "train/precision": ["float32", "bf16"],
    "train/accumulate": [1, 2],
    "data/target": ["scaled", "z_by_day"],
    "train/feature_noise": [0.0, 0.1],
}
SMALL: dict[str, Any] = {
    "model/hidden": 8, "model/hidden_dims": "8", "model/layers": 1, "model/attention_heads": 2,
    "model/graph_heads": 2, "model/networks": 2, "model/dropout": 0.1, "data/window": 3,
    "train/batch_size": 24, "train/steps_per_epoch": 3, "train/epochs": 2,
    "loss/phases": PHASES, "loss/horizons": "1-5", "schedule/warmup_steps": 1,
    "optimizer/lr": 3e-3, "train/patience": 0,
}  # fmt: skip


@cache
def three_features() -> Dataset:
    """A market with one feature of each group that the ensemble needs."""
    full = market(6)
    groups = list(full.feature_groups)
    first = [groups.index(group) for group in ("price", "volume", "volatility")]
    return replace(
        full,
        features=np.ascontiguousarray(full.features[:, first]),
        feature_names=tuple(full.feature_names[i] for i in first),
        feature_groups=tuple(full.feature_groups[i] for i in first),
    )


def config_of(case: Case, seed: int = 0) -> TrialConfig:
    return from_params({**SMALL, **case, "train/seed": seed})


@cache
def _allowed(case: tuple[tuple[str, Any], ...]) -> bool:
    try:
        check(config_of(dict(case)), three_features())
    except UserError:
        return False
    return True


@cache
def cases() -> list[Case]:
    """Returns the cover: not as tests are collected, which each process of a test run does."""
    return pairwise(VALUES, lambda case: _allowed(tuple(sorted(case.items()))))


def test_the_cover_is_small_and_leaves_nothing_out() -> None:
    assert len(cases()) <= 200
    for name, values in VALUES.items():
        assert {case[name] for case in cases()} == set(values)


@pytest.mark.parametrize("model", MODELS)
def test_trains_and_predicts_the_same_again(model: str, tmp_path: Path) -> None:
    for number, case in enumerate(case for case in cases() if case["model/name"] == model):
        print(case)  # shown where it fails
        check_one(case, tmp_path / str(number))


def check_one(case: Case, folder: Path) -> None:
    dataset, each = three_features(), config_of(case)
    training = Training(starts([each]), dataset)
    reports = []
    while training.live:
        reports += training.advance()
    stop = reports[-1].stop
    assert stop is not None
    assert stop.reason in ("completed", "lr_stalled")
    for report in reports:
        assert report.values["train_loss"] is not None
        assert report.values["val_loss"] is not None
        norms = {n: v for n, v in report.values.items() if n.startswith("grad_norm")}
        assert None not in norms.values(), norms
    member = training.ended[0]
    store = FileStore.of(folder)
    facts = {"horizon": dataset.horizon}
    save(store, each, member.best_weights, training.windows, facts)
    predicted = load(folder).predict(dataset, dataset.valid_rows)
    assert predicted == pytest.approx(member.best_predictions, rel=1e-4, abs=1e-5)
