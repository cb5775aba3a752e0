"""What an epoch is worth, worked out from its predictions: loss, skill, rows without a label."""

from dataclasses import replace

import numpy as np
import pytest

from tests.fixtures.members import EXECUTORS, reports_of
from tests.fixtures.trainings import config, narrow
from trainable.data.dataset.dataset import Dataset
from trainable.report import Report

DELTA = 0.4


def with_missing_labels(share: float = 0.4) -> Dataset:
    """Validation rows, many of which have no label; those that have lie far from 0."""
    dataset = narrow()
    target = dataset.target.copy()
    rows = dataset.valid_rows
    missing = np.random.default_rng(3).random(len(rows)) < share
    target[rows[missing]] = np.nan
    return replace(dataset, target=target)


def elementwise(name: str, p: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The loss of each row, targets in units of their training standard deviation."""
    if name == "mse":
        return (p - y) ** 2
    if name == "bce":
        up = y > 0
        return np.log1p(np.exp(-p)) * up + np.log1p(np.exp(p)) * ~up
    size = np.abs(p - y)
    return np.where(size <= DELTA, size**2 / 2, DELTA * (size - DELTA / 2))


def last(executor: str, loss: str, dataset: Dataset, **changes: object) -> Report:
    each = config(
        loss__name=loss, loss__delta=DELTA, train__epochs=1, train__steps_per_epoch=30,
        optimizer__lr=0.02, **changes,
    )  # fmt: skip
    (reports,) = reports_of(executor, [each], dataset).values()
    return reports[-1]


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("loss", ["mse", "huber", "adaptive_huber", "bce"])
def test_the_validation_loss_is_the_mean_over_the_rows_with_a_label(
    executor: str, loss: str
) -> None:
    dataset = with_missing_labels()
    report = last(executor, loss, dataset)
    assert report.predictions is not None
    p = report.predictions.astype(float)
    scale = float(np.std(dataset.target[dataset.train_rows].astype(float)))
    y = dataset.target[dataset.valid_rows].astype(float) / scale
    known = np.isfinite(y)
    assert 0.3 < known.mean() < 0.9
    wanted = elementwise(loss, p[known], y[known]).mean()
    nothing = elementwise(loss, np.zeros(known.sum()), y[known]).mean()
    assert report.values["val_loss"] == pytest.approx(wanted, rel=1e-5)
    assert report.values["skill"] == pytest.approx(1 - wanted / nothing, rel=1e-3, abs=1e-6)
    as_zero = elementwise(loss, p, np.nan_to_num(y)).mean()
    assert wanted != pytest.approx(as_zero, rel=1e-2)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_skill_is_above_0_for_who_predicts_better_than_nothing_and_below_for_others(
    sign: float,
) -> None:
    """The label is a feature; on the validation rows, or against, what was learnt."""
    dataset = narrow()
    target = np.nan_to_num(dataset.features[:, 0]).clip(-0.05, 0.05)
    target[dataset.valid_rows] *= sign
    dataset = replace(dataset, target=target.astype(np.float32))
    report = last("cohort", "mse", dataset)
    loss, skill = report.values["val_loss"], report.values["skill"]
    y = target[dataset.valid_rows].astype(float) / dataset.target_scale
    assert loss is not None
    assert skill == pytest.approx(1 - loss / np.mean(y**2), rel=1e-4)
    assert skill is not None
    assert skill * sign > 0.1


def test_rows_without_a_label_still_earn() -> None:
    """They have a return: what a label lacks is the end of its horizon, not the next bar."""
    whole, missing = (last("cohort", "mse", each) for each in (narrow(), with_missing_labels()))
    assert whole.net_returns is not None
    assert missing.net_returns is not None
    np.testing.assert_array_equal(missing.net_returns, whole.net_returns)
    assert missing.values["sharpe"] == whole.values["sharpe"]
    assert missing.values["ic"] != whole.values["ic"]


def test_the_training_loss_is_the_mean_over_the_epochs_batches() -> None:
    """On the same rows in two epochs of half as many steps, it is the mean of both."""
    common = {"loss__name": "mse", "optimizer__lr": 1e-9, "train__batch_size": 8}
    one = config(**common, train__epochs=1, train__steps_per_epoch=20)
    two = config(**common, train__epochs=2, train__steps_per_epoch=10)
    losses = [
        np.mean([r.values["train_loss"] or np.nan for r in reports_of("cohort", [each])[0]])
        for each in (one, two)
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
