"""Schedules by hand, counted in optimizer steps, and the plateau against torch's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.trainings import config, narrow, stop_of, trained
from trainable.config import from_params
from trainable.schedules import SCHEDULES
from trainable.schedules.plateau import Plateau, PlateauConfig
from trainable.training.epoch_plan import learning_rates
from trainable.training.member import Member

WARM = [name for name in SCHEDULES if name != "constant"]
LINEAR = [name for name in WARM if name != "one_cycle"]  # which rises along a cosine


def shares(name: str, total: int, **fields: float) -> np.ndarray:
    params = {f"schedule/{key}": value for key, value in fields.items()}
    chosen = from_params({"schedule/name": name, **params}).schedule
    return SCHEDULES[name].share(chosen, np.arange(1, total + 1), total)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("warmup", [0, 1, 7, 50])
def test_rates_are_above_zero_and_never_above_the_peak(name: str, warmup: int) -> None:
    share = shares(name, 100, warmup_steps=warmup)
    assert share.shape == (100,)
    assert share.min() > 0
    assert 0.99 < share.max() <= 1.0  # without a warm-up the first step is just past the peak


@pytest.mark.parametrize("name", LINEAR)
def test_warm_up_is_linear_and_reaches_the_peak_at_its_last_step(name: str) -> None:
    share = shares(name, 100, warmup_steps=10)
    np.testing.assert_allclose(share[:10], np.arange(1, 11) / 10)


@pytest.mark.parametrize("warmup", [1, 7, 50])
@pytest.mark.parametrize("name", WARM)
def test_warm_up_steps_end_at_the_peak_in_every_schedule(name: str, warmup: int) -> None:
    """The rungs and the checks of a configuration count on it."""
    share = shares(name, 100, warmup_steps=warmup)
    assert share[warmup - 1] == 1.0
    assert (np.diff(share[:warmup]) > 0).all()


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("total", [1, 2, 3, 500])
def test_system_b4_no_rate_is_stuck_at_zero(name: str, total: int) -> None:
    """With the defaults no step has a rate of zero: neither the first one nor the last one."""
    share = shares(name, total)
    assert share.shape == (total,)
    assert np.isfinite(share).all()
    assert share.min() > 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_system_b4_reported_rate_is_the_one_that_the_last_step_of_the_epoch_had(name: str) -> None:
    each = config(schedule__name=name, schedule__warmup_steps=7, train__steps_per_epoch=5)
    _, reports = trained([each], narrow())
    rates = [report.values["lr"] for report in reports]
    expected = each.optimizer.lr * shares(name, 15, warmup_steps=7)[4::5]
    assert rates == pytest.approx(list(expected), rel=1e-12)
    assert min(expected) > 0


def test_constant_and_warm_up_stay_at_the_peak() -> None:
    assert (shares("constant", 30, warmup_steps=10) == 1).all()
    assert (shares("warmup", 30, warmup_steps=10)[9:] == 1).all()
    assert (shares("warmup", 30) == 1).all()


def test_cosine_passes_the_middle_and_ends_at_the_floor() -> None:
    share = shares("warmup_cosine", 110, warmup_steps=10, floor=0.2)
    assert share[59] == pytest.approx(0.6)
    assert share[-1] == pytest.approx(0.2)
    assert (np.diff(share[9:]) < 0).all()
    assert shares("warmup_cosine", 10, floor=0.0)[-1] == 0.0


@pytest.mark.parametrize("name", SCHEDULES)
def test_system_b4_warm_up_counts_optimizer_steps_over_epochs(name: str) -> None:
    """Epoch by epoch, the rates are those of one long run."""
    each = config(schedule__name=name, schedule__warmup_steps=30, train__epochs=4)
    member, rates = Member(0, each), []
    for _ in range(4):
        rates.append(learning_rates(member, 20))
        member.epoch += 1
    np.testing.assert_array_equal(
        np.concatenate(rates), each.optimizer.lr * shares(name, 80, warmup_steps=30)
    )


def of_torch(make: Callable[[torch.optim.Optimizer], Any], steps: int) -> np.ndarray:
    """The rates of a scheduler of torch, from before its first step on."""
    sgd = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
    scheduler, rates = make(sgd), []
    for _ in range(steps):
        rates.append(sgd.param_groups[0]["lr"])
        sgd.step()
        if len(rates) < steps:
            scheduler.step()
    return np.array(rates)


@pytest.mark.parametrize("multiplier", [1, 2, 3])
@pytest.mark.parametrize("warmup", [0, 9])
def test_cosine_restarts_are_torchs_after_the_warm_up(multiplier: int, warmup: int) -> None:
    """The last step of the warm-up is the first of torch's, at the peak."""
    fields = {"period": 7, "period_multiplier": multiplier, "floor": 0.1}
    share = shares("cosine_restarts", 100, warmup_steps=warmup, **fields)
    restarts = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts
    expected = of_torch(lambda sgd: restarts(sgd, 7, multiplier, eta_min=0.1), 101 - warmup)
    np.testing.assert_allclose(share[warmup:], expected[1:], rtol=1e-12)


@pytest.mark.parametrize("warmup", [0, 9])
def test_cyclical_is_torchs_triangle_from_its_peak_on(warmup: int) -> None:
    share = shares("cyclical", 100, warmup_steps=warmup, period=14, floor=0.1)
    triangle = torch.optim.lr_scheduler.CyclicLR
    expected = of_torch(lambda sgd: triangle(sgd, 0.1, 1.0, 7, cycle_momentum=False), 200)
    np.testing.assert_allclose(share[warmup:], expected[8 : 108 - warmup], rtol=1e-12)


@pytest.mark.parametrize("warmup", [2, 30])
def test_one_cycle_is_torchs(warmup: int) -> None:
    share = shares("one_cycle", 100, warmup_steps=warmup, start=0.1, floor=0.001)
    options = {"pct_start": warmup / 100, "div_factor": 10, "final_div_factor": 100}
    one_cycle = torch.optim.lr_scheduler.OneCycleLR
    expected = of_torch(lambda sgd: one_cycle(sgd, 1.0, 100, cycle_momentum=False, **options), 100)
    np.testing.assert_allclose(share, expected, rtol=1e-9)


def test_hold_keeps_the_peak_for_its_share_of_the_steps() -> None:
    share = shares("warmup_hold_cosine", 110, warmup_steps=10, hold=0.4, floor=0.2)
    assert (share[9:50] == 1).all()
    assert share[50] < 1
    assert share[79] == pytest.approx(0.6)
    assert share[-1] == pytest.approx(0.2)
    plain = shares("warmup_cosine", 110, warmup_steps=10, floor=0.2)
    unheld = shares("warmup_hold_cosine", 110, warmup_steps=10, hold=0.0, floor=0.2)
    np.testing.assert_allclose(unheld, plain, rtol=1e-12)


def test_a_rate_that_touches_zero_between_two_peaks_has_not_stalled() -> None:
    """The epochs end at the lowest rate of each cycle, which is 0 here."""
    fields = {"schedule__period": 20, "schedule__floor": 0.0, "schedule__warmup_steps": 0}
    each = config(schedule__name="cyclical", train__steps_per_epoch=10, train__epochs=5, **fields)
    _, reports = trained([each], narrow())
    assert reports[0].values["lr"] == 0.0
    assert stop_of(reports).reason == "completed"


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0.1, 2), min_size=1, max_size=40), st.integers(1, 4))
def test_plateau_is_torchs(losses: list[float], patience: int) -> None:
    p = torch.zeros(1, requires_grad=True)
    sgd = torch.optim.SGD([p], lr=1.0)
    oracle = torch.optim.lr_scheduler.ReduceLROnPlateau(
        sgd, factor=0.5, patience=patience, min_lr=0.05, eps=0
    )
    plateau = Plateau(PlateauConfig(plateau_patience=patience, factor=0.5, floor=0.05))
    for loss in losses:
        oracle.step(loss)
        plateau.after_epoch(loss)
        assert plateau.scale == sgd.param_groups[0]["lr"]


def test_plateau_lowers_the_members_rates() -> None:
    member = Member(0, config(schedule__name="plateau", schedule__plateau_patience=1))
    for loss in (1.0, 1.0, 1.0):
        member.plateau.after_epoch(loss)
    assert learning_rates(member, 2).tolist() == [0.0005, 0.0005]


def test_other_schedules_do_not_look_at_the_loss() -> None:
    member = Member(0, config(schedule__name="warmup", schedule__plateau_patience=1))
    for loss in (1.0, 1.0, 1.0):
        member.plateau.after_epoch(loss)
    assert learning_rates(member, 2).tolist() == [0.001, 0.001]
