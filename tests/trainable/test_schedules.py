"""Schedules by hand, counted in optimizer steps, and the plateau against torch's."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fixtures.trainings import config
from trainable.config import from_params
from trainable.schedules import SCHEDULES
from trainable.schedules.plateau import Plateau, PlateauConfig
from trainable.training.epoch_plan import learning_rates
from trainable.training.member import Member

WARM = [name for name in SCHEDULES if name != "constant"]


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
    assert 0.999 < share.max() <= 1.0


@pytest.mark.parametrize("name", WARM)
def test_warm_up_is_linear_and_reaches_the_peak_at_its_last_step(name: str) -> None:
    share = shares(name, 100, warmup_steps=10)
    np.testing.assert_allclose(share[:10], np.arange(1, 11) / 10)


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
