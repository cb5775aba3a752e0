"""The executor of one model: random numbers of its own, and state that goes on exactly."""

from typing import Any

import pytest
import torch

from benchmarks.step.__main__ import run_steps
from tests.fixtures.trainings import config, final, narrow, starts
from trainable.config import TrialConfig
from trainable.executors.base import component
from trainable.executors.solo import SoloExecutor
from trainable.models import InputShape
from trainable.optimizers import OPTIMIZERS
from trainable.training.loop import Training


def solo(each: TrialConfig) -> Training:
    return Training(starts([each]), narrow(), "solo")


def test_dropout_draws_from_its_own_generator() -> None:
    each = config(model__dropout=0.5)
    torch.manual_seed(1)
    one = solo(each)
    run_steps(one, 10)
    torch.manual_seed(2)
    expected = torch.rand(1)
    torch.manual_seed(2)
    two = solo(each)
    run_steps(two, 10)
    assert torch.rand(1) == expected
    assert torch.equal(final(one, 0), final(two, 0))
    other = solo(config(model__dropout=0.5, train__seed=1))
    run_steps(other, 10)
    assert not torch.equal(final(one, 0), final(other, 0))


def test_dropout_is_off_in_predictions() -> None:
    training = solo(config(model__dropout=0.5))
    run_steps(training, 2)
    x = training.windows.at(training.windows.valid_rows)
    assert torch.equal(training.executor.predict(x), training.executor.predict(x))
    assert training.executor.predict(x).shape == (1, len(x))


def same_state(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_goes_on_where_it_was(name: str) -> None:
    fields = {"optimizer__name": name, "model__dropout": 0.3, "optimizer__head_lr": 0.5}
    each = config(**fields)
    whole = solo(each)
    run_steps(whole, 20)
    half = solo(each)
    run_steps(half, 11)
    other = solo(config(**fields, train__seed=1))
    run_steps(other, 0)
    other.plan.rows = whole.plan.rows
    other.i = 11
    saved = half.executor.state(0)
    assert all(isinstance(tensor, torch.Tensor) for tensor in saved.values())
    other.executor.load(0, saved)
    run_steps(other, 9)
    assert torch.equal(final(other, 0), final(whole, 0))
    assert same_state(other.executor.state(0), whole.executor.state(0))


@pytest.mark.parametrize("name", ["sophia", "lamb", "muon", "gpro"])
def test_a_roll_back_to_the_start_counts_steps_anew(name: str) -> None:
    """Counts are kept by tensor or by group, and are no tensors everywhere."""
    each = config(optimizer__name=name)
    fresh, back = solo(each), solo(each)
    run_steps(back, 5)
    back.executor.restore([0])
    back.i = 0
    run_steps(fresh, 4)
    run_steps(back, 4)
    assert torch.equal(final(fresh, 0), final(back, 0))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_roll_back_takes_the_optimizers_state_back_too(name: str) -> None:
    training = solo(config(optimizer__name=name))
    run_steps(training, 8)
    executor: Any = training.executor
    good = executor.state(0)
    run_steps(training, 5)
    executor.restore([0])
    state = executor.state(0)
    assert set(state) == set(good)
    assert all(torch.equal(state[key], good[key]) for key in good if key != "rng")


def test_a_roll_back_before_the_first_good_step_is_the_start() -> None:
    training = solo(config())
    start = final(training, 0)
    run_steps(training, 3)
    training.executor.restore([0])
    assert torch.equal(final(training, 0), start)


def test_it_trains_one_member_only() -> None:
    with pytest.raises(ValueError, match="expected 1"):
        SoloExecutor([config(), config()], InputShape(1, 3), torch.device("cpu"), torch.float32)


def test_components_of_parameters() -> None:
    assert component("hidden.0.linear.weight") == "hidden.0"
    assert component("head.bias") == "head"
    assert component("input_norm.weight") == "input_norm"


def test_norms_by_component_make_up_the_whole() -> None:
    for executor in ("solo", "cohort"):
        training = Training(starts([config()]), narrow(), executor)
        run_steps(training, 5)
        (norms,) = training.executor.component_norms()
        assert set(norms) == {"input_norm", "hidden.0", "hidden.1", "head"}
        whole = sum(norm**2 for norm in norms.values()) ** 0.5
        assert whole <= config().optimizer.clip
        assert whole == pytest.approx(float(training.plan.norms[4, 0]), rel=1e-5)
