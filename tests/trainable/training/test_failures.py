"""Trainings that cannot succeed end early with evidence, and broken weights are rolled back."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.step.__main__ import run_steps
from tests.fixtures.trainings import (
    changed,
    config,
    final,
    market,
    narrow,
    starts,
    stop_of,
    trained,
)
from trainable.config import TrialConfig
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows, make_windows
from trainable.optimizers import OPTIMIZERS
from trainable.training.batch_sampler import RowSampler
from trainable.training.loop import SNAPSHOT_EVERY, Training

RATES = (1e6, 1e15, 1e30)
EXPLOSIVE_LOSSES = ("mse", "adaptive_huber", "bce")  # each optimizer meets each at one of the rates
BATCH_EVIDENCE = {"step", "tensor", "value", "lr", "dates", "symbols"}
each_executor = pytest.mark.parametrize("executor", ["cohort", "serial", "solo"])


def broken_view(dataset: Dataset, rows: list[int]) -> Windows:
    """The dataset as seen by the network, with NaN in these training rows."""
    view = make_windows(dataset, config().data)
    view.x[view.train_rows[rows]] = torch.nan
    return view


def explosive(optimizer: str, norm: bool, lr: float, loss: str) -> TrialConfig:
    return config(
        optimizer__name=optimizer,
        optimizer__lr=lr,
        model__norm=norm,
        model__hidden_dims="16-8",
        loss__name=loss,
        train__steps_per_epoch=60,
    )


@pytest.mark.parametrize(
    ("optimizer", "executor"),
    [
        (name, executor)
        for name, optimizer in OPTIMIZERS.items()
        for executor in ("cohort", "solo")
        if executor == "solo" or optimizer.has_batched_form
    ],
)
@pytest.mark.parametrize("lr", RATES)
def test_system_a1_explosions_stop_within_the_first_epoch_with_evidence(
    optimizer: str, executor: str, lr: float
) -> None:
    loss = EXPLOSIVE_LOSSES[(RATES.index(lr) + [*OPTIMIZERS].index(optimizer)) % 3]
    for norm in (True, False):
        each = explosive(optimizer, norm, lr, loss)
        _, reports = trained([each], narrow(), executor=executor)
        stop = stop_of(reports)
        assert len(reports) == 1
        assert reports[0].epoch == 1
        assert stop.reason in ("nan_explosion", "collapsed")
        if stop.reason == "nan_explosion":
            assert set(stop.evidence) >= BATCH_EVIDENCE
            assert stop.evidence["lr"] == pytest.approx(lr)
            assert 1 <= stop.evidence["step"] <= reports[0].steps
            assert set(stop.evidence["symbols"]) <= set(narrow().symbols)
        assert all(v is None or math.isfinite(v) for v in reports[0].values.values())


@each_executor
def test_system_a1_nan_batches_do_not_rise_while_the_run_goes_on(executor: str) -> None:
    view = broken_view(narrow(), list(range(0, 1000, 20)))  # 57 % of the batches of 16
    _, reports = trained(
        [config(train__steps_per_epoch=0)], narrow(), windows=view, executor=executor
    )
    stop = stop_of(reports)
    assert stop.reason == "nan_explosion"
    assert len(reports) == 1
    batches = len(narrow().train_rows) // 16
    assert stop.evidence["batches"] == batches
    assert stop.evidence["failed_batches"] == math.floor(0.1 * batches) + 1
    assert stop.evidence["tensor"] == "loss"
    assert stop.evidence["value"] == "nan"
    assert stop.evidence["step"] == reports[0].steps < batches
    assert stop.evidence["dates"][0] < stop.evidence["dates"][1]
    rate = reports[0].values["nan_rate"]
    assert rate == pytest.approx(stop.evidence["failed_batches"] / reports[0].steps)


@each_executor
def test_system_a4_nan_rate_is_per_epoch_and_of_all_batches(executor: str) -> None:
    view = broken_view(narrow(), [5])
    batches = len(view.train_rows) // 16
    each = config(train__steps_per_epoch=0, train__seed=4)
    _, reports = trained([each], narrow(), windows=view, executor=executor)
    assert stop_of(reports).reason == "completed"
    order = RowSampler(view.train_rows, 16)
    for turn, report in enumerate(reports):
        rows = order.rows(4, turn * batches, batches)
        failed = int((rows == view.train_rows[5]).any(1).sum())
        assert report.values["nan_rate"] == pytest.approx(failed / batches)
    assert reports[-1].steps == 3 * batches


@each_executor
def test_system_a5_a_skipped_step_loses_no_later_batch(executor: str) -> None:
    """The batch after a good one kept fails; what follows equals training without it."""
    each = config(train__steps_per_epoch=40, optimizer__name="sgd")
    first = Training(starts([each]), narrow(), executor)
    run_steps(first, 1)
    bad = first.plan.rows[SNAPSHOT_EVERY, 0, 0]
    view = make_windows(narrow(), each.data)
    view.x[bad] = torch.nan
    with_bad = Training(starts([each]), narrow(), executor, windows=view)
    run_steps(with_bad, SNAPSHOT_EVERY + 4)
    without = Training(starts([each]), narrow(), executor)
    run_steps(without, SNAPSHOT_EVERY)
    without.i += 1
    run_steps(without, 3)
    assert torch.equal(final(with_bad, 0), final(without, 0))
    assert with_bad.members[0].failed == 1
    assert with_bad.members[0].in_a_row == 0
    assert with_bad.members[0].steps == SNAPSHOT_EVERY + 4
    losses = with_bad.plan.losses[: SNAPSHOT_EVERY + 4, 0]
    assert losses.isnan().nonzero().flatten().tolist() == [SNAPSHOT_EVERY]


@each_executor
def test_the_parts_of_a_failed_batchs_loss_are_not_averaged(executor: str) -> None:
    phases = '{"0": {"huber": 1, "mse": 0.5}}'
    each = config(train__steps_per_epoch=40, loss__name="weighted", loss__phases=phases)
    first = Training(starts([each]), narrow(), executor)
    run_steps(first, 1)
    view = make_windows(narrow(), each.data)
    view.x[first.plan.rows[3, 0, 0]] = torch.nan
    training = Training(starts([each]), narrow(), executor, windows=view)
    run_steps(training, 8)
    failed = training.plan.losses[:8, 0].isnan()
    assert failed.any()
    for part in training.plan.parts.values():
        assert torch.equal(part[:8, 0].isnan(), failed)


@each_executor
@pytest.mark.parametrize("after", [1, 5, 7])
def test_system_a6_weights_are_rolled_back_to_the_last_good_ones(executor: str, after: int) -> None:
    each = config(train__steps_per_epoch=40)
    training = Training(starts([each]), narrow(), executor)
    run_steps(training, SNAPSHOT_EVERY)
    good = final(training, 0)
    run_steps(training, after)
    assert not torch.equal(final(training, 0), good)
    spoil(training)
    run_steps(training, 1)
    assert torch.equal(final(training, 0), good)
    assert training.members[0].failed == 1
    run_steps(training, 10)
    assert bool(torch.isfinite(final(training, 0)).all())
    assert training.members[0].failed == 1


def spoil(training: Training) -> None:
    """Makes the weights of the first member infinite."""
    executor: Any = training.executor
    if training.executor_name != "solo":
        executor = executor.members[0] if training.executor_name == "serial" else executor
        executor.p[0] = torch.inf
        return
    with torch.no_grad():
        for parameter in executor.model.parameters():
            parameter.fill_(torch.inf)


@each_executor
def test_weights_broken_by_the_epochs_last_step_are_rolled_back_before_it_is_judged(
    executor: str,
) -> None:
    each = config(train__steps_per_epoch=20)
    training = Training(starts([each]), narrow(), executor)
    run_steps(training, 19)
    step = training.executor.step

    def last_step(*args: Any) -> Any:
        result = step(*args)
        spoil(training)
        return result

    training.executor.step = last_step  # type: ignore[method-assign]
    (report,) = training.advance()
    assert report.stop is None
    assert report.values["val_loss"] is not None
    assert report.values["nan_rate"] == 1 / 20


def test_evidence_names_the_weights_that_broke() -> None:
    each = config(train__steps_per_epoch=8)
    training = Training(starts([each]), narrow())
    step = training.executor.step

    def last_step(i: int, *args: Any) -> Any:
        result = step(i, *args)
        if i == 7:
            training.executor.parts["hidden.1.linear.bias"][0] = torch.inf  # type: ignore[attr-defined]
        return result

    training.executor.step = last_step  # type: ignore[method-assign]
    (report,) = training.advance()
    assert report.stop is not None
    assert report.stop.evidence["tensor"] == "weights hidden.1.linear.bias"
    assert report.stop.evidence["step"] == report.steps == 8


@pytest.mark.parametrize("share", [0.0, 0.02])
def test_a_constant_prediction_stops_at_once(share: float) -> None:
    """Features that say nothing, or a dead network: exact constants on the validation rows."""
    view = make_windows(narrow(), config().data)
    view.x[view.valid_rows] = share
    _, reports = trained([config()], narrow(), windows=view)
    stop = stop_of(reports)
    assert stop.reason == "collapsed"
    assert len(reports) == 1
    assert stop.evidence["rule"] == "the prediction is a constant"
    assert stop.evidence["prediction_std"] == 0.0
    assert stop.evidence["step"] == 20


def test_a_healthy_network_on_noise_is_not_called_collapsed() -> None:
    rng = np.random.default_rng(0)
    noise = replace(market(), target=rng.normal(0, 0.01, len(market().target)).astype(np.float32))
    each = config(train__epochs=8, train__steps_per_epoch=0, optimizer__lr=3e-3)
    _, reports = trained([each], noise)
    assert stop_of(reports).reason == "completed"


def test_a_learning_rate_too_small_to_move_a_weight_is_a_frozen_metric() -> None:
    _, reports = trained([config(optimizer__lr=1e-14, train__epochs=9)], narrow())
    stop = stop_of(reports)
    assert stop.reason == "frozen_metric"
    assert stop.evidence["epochs"] == [1, 2, 3]


def test_a_learning_rate_lowered_to_nothing_has_stalled() -> None:
    each = config(
        schedule__name="plateau",
        schedule__floor=0.0,
        schedule__factor=1e-6,
        schedule__plateau_patience=1,
        optimizer__lr=0.05,
        train__epochs=40,
        train__patience=0,
    )
    _, reports = trained([each], narrow())
    stop = stop_of(reports)
    assert stop.reason == "lr_stalled"
    assert stop.evidence["lr"] <= 1e-9 * stop.evidence["peak"]


def test_measuring_steps_survives_members_that_explode() -> None:
    each = config(train__steps_per_epoch=60)
    wild = changed(each, optimizer__lr=1e30)
    training = Training(starts([wild, wild]), narrow())
    run_steps(training, 15)
    run_steps(training, 60)
    assert training.live == []
    training.i = training.batches
    assert run_steps(training, 10) == 1
