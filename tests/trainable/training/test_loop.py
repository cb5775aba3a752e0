"""The course of training: steps, reports, ends, time, and going on exactly."""

import math
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from tests.fixtures.markets import make_market
from tests.fixtures.modules import registered
from tests.fixtures.trainings import best, changed, config, final, narrow, starts, stop_of, trained
from tests.trainable.data.dataset.test_build import altered_from
from trainable.cli.errors import UserError
from trainable.data.dataset.build import build_dataset
from trainable.data.settings import DataSettings
from trainable.report import Report
from trainable.train import train
from trainable.training.loop import Training

each_executor = pytest.mark.parametrize("executor", ["cohort", "serial", "solo"])


@each_executor
def test_steps_are_epochs_times_batches_and_reports_are_finite(executor: str) -> None:
    members, reports = trained([config(train__steps_per_epoch=0)], narrow(), executor=executor)
    batches = len(narrow().train_rows) // 16
    assert [report.epoch for report in reports] == [1, 2, 3]
    assert [report.steps for report in reports] == [batches, 2 * batches, 3 * batches]
    assert members[0].epoch == 3
    for report in reports:
        assert all(v is None or math.isfinite(v) for v in report.values.values())
        assert report.values["nan_rate"] == 0.0
        assert report.values["lr"] == 1e-3
        parts = [v for n, v in report.values.items() if n.startswith("grad_norm.")]
        assert len(parts) == 4
        assert all(parts)
        assert report.seconds > 0
        assert report.net_returns is not None
        assert np.isfinite(report.net_returns).all()


def test_contract_columns_are_reported() -> None:
    _, (report, *_) = trained([config()], narrow())
    wanted = (
        "train_loss val_loss sharpe sharpe_se sharpe_exposure train_sharpe ic train_ic rank_ic "
        "accuracy lr grad_norm nan_rate prediction_std steps_per_s tokens_per_s skill turnover "
        "max_drawdown break_even_bps grad_norm.input_norm grad_norm.hidden.0 grad_norm.head"
    )
    assert set(wanted.split()) <= set(report.values)


def test_the_last_epoch_completes_with_the_predictions_of_the_ranking_epoch() -> None:
    members, reports = trained([config(train__epochs=6)], narrow())
    assert stop_of(reports).reason == "completed"
    losses = [report.values["val_loss"] for report in reports]
    assert members[0].best_epoch == 1 + int(np.argmin(np.array(losses, float)))
    assert all(report.predictions is None for report in reports[:-1])
    expected = members[0].best_predictions
    assert expected is not None
    np.testing.assert_array_equal(reports[-1].predictions, expected)
    assert len(expected) == len(narrow().valid_rows)


def test_weights_of_the_ranking_epoch_are_kept() -> None:
    each = config(optimizer__lr=0.02, train__epochs=12, train__steps_per_epoch=40)
    members, _ = trained([each], narrow())
    epoch = members[0].best_epoch
    assert 1 <= epoch < 12
    again = Training(starts([each]), narrow())
    for _ in range(epoch):
        again.advance()
    assert torch.equal(best(members[0]), final(again, 0))


def test_no_better_loss_for_some_epochs_is_early_stopping_not_convergence() -> None:
    each = config(
        optimizer__lr=0.02, train__epochs=60, train__steps_per_epoch=40, train__patience=3
    )
    members, reports = trained([each], narrow())
    stop = stop_of(reports)
    assert stop.reason == "early_stopped"
    assert stop.evidence["waited"] == 3
    assert stop.evidence["epoch"] == len(reports) == members[0].best_epoch + 3
    assert reports[-1].predictions is not None
    _, longer = trained([replace(each, train=replace(each.train, patience=0, epochs=20))], narrow())
    assert len(longer) == 20


def test_advance_returns_in_time_and_loses_nothing() -> None:
    configs = [config(train__seed=k, model__dropout=0.2) for k in range(3)]
    whole, expected = trained(configs, narrow())
    pieces = Training(starts(configs), narrow())
    reports: list[Report] = []
    calls = 0
    while pieces.live:
        reports += pieces.advance(until=time.monotonic() - 1)
        calls += 1
    assert calls == 3 * 3, "each time to a step where members can be saved, of 20, or to the end"
    for number, member in pieces.ended.items():
        assert torch.equal(best(member), best(whole[number]))
    assert [(r.number, r.epoch, r.steps) for r in reports] == [
        (r.number, r.epoch, r.steps) for r in expected
    ]
    assert [r.values["val_loss"] for r in reports] == [r.values["val_loss"] for r in expected]


def test_the_plateau_waits_for_the_warm_up() -> None:
    each = config(
        schedule__name="plateau",
        schedule__warmup_steps=100,
        schedule__plateau_patience=1,
        optimizer__lr=1e-9,
        train__epochs=8,
        optimizer__weight_decay=0.0,
    )
    training = Training(starts([each]), narrow())
    for _ in range(4):
        training.advance()
    assert training.members[0].plateau.bad == 0
    assert not training.members[0].history[-1].warm
    constant = changed(each, schedule__name="constant")
    training = Training(starts([constant]), narrow())
    training.advance()
    assert training.members[0].history[-1].warm, "a constant rate has no warm-up"


def test_time_is_shared_by_the_members_that_took_it() -> None:
    each = config(train__steps_per_epoch=60)
    wild = changed(each, optimizer__lr=1e30)
    training = Training(starts([wild, each, each]), narrow())
    begun = time.monotonic()
    reports = [report for _ in range(2) for report in training.advance()]
    spent = time.monotonic() - begun
    assert [report.number for report in reports] == [0, 1, 2]
    assert all(report.seconds > 0 for report in reports)
    assert sum(report.seconds for report in reports) == pytest.approx(spent, rel=0.2)
    assert reports[1].seconds > reports[0].seconds


def test_changing_all_prices_after_a_date_changes_no_prediction_before_it() -> None:
    prices = make_market(bars=800, symbols=5)
    a = build_dataset(prices, DataSettings(), 4)
    date = (a.split.valid[0] + a.split.valid[1]) // 2
    b = build_dataset(altered_from(prices, date), DataSettings(), 4)
    assert a.feature_names == b.feature_names
    before = torch.from_numpy(a.time[a.valid_rows] < date)
    assert 0 < before.float().mean() < 1
    each = config(data__window=4, model__dropout=0.2, train__epochs=4)
    one, two = (Training(starts([each]), dataset) for dataset in (a, b))
    for _ in range(3):
        one.advance()
        two.advance()
        assert torch.equal(final(one, 0), final(two, 0))
        p, q = (t.executor.predict(t.windows.at(t.windows.valid_rows)) for t in (one, two))
        assert torch.equal(p[:, before], q[:, before])
        assert not torch.equal(p[:, ~before], q[:, ~before])


@each_executor
def test_the_generator_numbers_its_configurations(executor: str) -> None:
    configs = [config(train__seed=k) for k in range(2)]
    reports = list(train(configs, narrow(), executor))
    assert sorted((r.number, r.epoch) for r in reports) == [
        (n, e) for n in (0, 1) for e in (1, 2, 3)
    ]
    alone = list(train(configs[1], narrow(), executor))
    losses = [r.values["val_loss"] for r in reports if r.number == 1]
    assert losses == [r.values["val_loss"] for r in alone]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"model__name": "graph", "model__hidden": 8}, "graph trains alone: .* whole days"),
        ({"optimizer__name": "shampoo"}, "optimizer shampoo has no batched form"),
    ],
)
@pytest.mark.parametrize("executor", ["cohort", "vmapped", "serial"])
def test_what_trains_alone_is_refused_by_other_executors(
    executor: str, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(UserError, match=f"executor={executor}: {why}.*; executor=solo works"):
        list(train(config(**changes), narrow(), executor))


def test_calibrated_cohorts_are_as_large_as_pays_and_change_no_number() -> None:
    """A large network fills a core alone: it is trained one after another."""
    large = {"model__hidden_dims": "512-256", "train__epochs": 2, "train__steps_per_epoch": 1}
    configs = [config(train__seed=k, **large) for k in range(2)]
    together, one_by_one = (
        list(train(configs, narrow(), calibrated=calibrated)) for calibrated in (False, True)
    )
    assert [r.number for r in together] == [0, 1, 0, 1]
    assert [r.number for r in one_by_one] == [0, 0, 1, 1]
    losses = {(r.number, r.epoch): r.values["val_loss"] for r in together}
    assert losses == {(r.number, r.epoch): r.values["val_loss"] for r in one_by_one}


def test_few_symbols_are_measured_on_all_training_rows_and_may_sit_at_a_bound() -> None:
    dataset = narrow(symbols=2)
    members, reports = trained([config(train__epochs=2)], dataset)
    assert stop_of(reports).reason == "completed"
    assert all(0 < epoch.bound < 0.99 for epoch in members[0].history)


def test_a_model_that_cannot_be_fused_is_trained_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered(
        monkeypatch,
        lambda c, shape: nn.Sequential(
            nn.Flatten(),
            nn.Linear(shape.size, 4),
            nn.BatchNorm1d(4),
            nn.Linear(4, 1),
            nn.Flatten(0),
        ),
    )
    configs = [config(model__name="own", train__seed=k) for k in range(2)]
    assert len(list(train(configs, narrow()))) == 6
    assert Training(starts(configs[:1]), narrow()).executor_name == "solo"
