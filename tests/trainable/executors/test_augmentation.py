"""Noise and hidden rows: each member's own, in training only, and exact after a resume."""

import pytest
import torch

from benchmarks.step.__main__ import run_steps
from tests.fixtures.modules import CONVOLUTIONS, windowed
from tests.fixtures.trainings import changed, config, final, narrow, starts
from trainable.config import TrainConfig, TrialConfig
from trainable.executors.augmentation import augmented, changes_inputs
from trainable.training.loop import Training

EXECUTORS = ("cohort", "vmapped", "serial", "solo")


def generators(*seeds: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def after(steps: int, configs: list[TrialConfig], executor: str) -> Training:
    training = Training(starts(configs), narrow(), executor, dtype=torch.float64)
    run_steps(training, steps)
    return training


def test_noise_has_its_deviation_and_the_inputs_stay_as_they_are() -> None:
    x = torch.full((2, 400, 4, 5), 3.0)
    noisy, plain = augmented(x, [TrainConfig(feature_noise=0.2), TrainConfig()], generators(0, 1))
    assert float((noisy - 3).std()) == pytest.approx(0.2, rel=0.05)
    assert float(noisy.mean()) == pytest.approx(3, abs=0.01)
    assert torch.equal(plain, x[1])
    assert bool((x == 3).all())


def test_earlier_rows_are_hidden_and_the_present_one_never_is() -> None:
    x = torch.ones(1, 500, 6, 3)
    (rows,) = augmented(x, [TrainConfig(time_mask=0.3)], generators(0))
    assert bool((rows[:, -1] == 1).all())
    hidden = (rows[:, :-1] == 0).all(-1)
    assert float(hidden.float().mean()) == pytest.approx(0.3, abs=0.02)
    assert torch.equal(hidden, (rows[:, :-1] == 0).any(-1))  # a whole row or none of it
    (one,) = augmented(x[:, :, :1], [TrainConfig(time_mask=0.3)], generators(0))
    assert bool((one == 1).all())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_member_draws_its_own_whoever_is_beside_it(executor: str) -> None:
    name = "mlp" if executor == "cohort" else CONVOLUTIONS
    each = windowed(
        name, model__dropout=0.2, train__feature_noise=0.1, train__time_mask=0.2, train__seed=5
    )
    alone = after(12, [each], executor)
    assert changes_inputs(each.train)
    without = changed(each, train__feature_noise=0.0, train__time_mask=0.0)
    assert (final(alone, 0) - final(after(12, [without], executor), 0)).abs().max() > 1e-5
    if executor != "solo":
        plain = windowed(name, train__seed=1)
        both = after(12, [plain, each], executor)
        assert (final(both, 1) - final(alone, 0)).abs().max() < 1e-9
        assert (final(both, 0) - final(after(12, [plain], executor), 0)).abs().max() < 1e-9
        both.retire([0])
        run_steps(both, 4)
        run_steps(alone, 4)
        assert (final(both, 1) - final(alone, 0)).abs().max() < 1e-9


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_resume_draws_on_where_it_was(executor: str) -> None:
    each = windowed("mlp", model__dropout=0.2, train__feature_noise=0.1, train__time_mask=0.2)
    whole, half = after(13, [each], executor), after(8, [each], executor)
    other = after(0, [each], executor)
    other.i = 8
    other.executor.load(0, half.executor.state(0))
    run_steps(other, 5)
    assert torch.equal(final(other, 0), final(whole, 0))


def test_predictions_see_the_inputs_as_they_are() -> None:
    for executor in EXECUTORS:
        training = after(3, [config(train__feature_noise=0.5)], executor)
        x = training.windows.at(training.windows.valid_rows[:16])
        assert torch.equal(training.executor.predict(x), training.executor.predict(x))


def test_one_of_two_large_networks_sees_noise() -> None:
    """Each network of a serial cohort prepares its own inputs."""
    each = [config(train__seed=0), config(train__seed=1, train__feature_noise=0.2)]
    for order in (each, each[::-1]):
        together = after(6, order, "serial")
        for k, one in enumerate(order):
            assert torch.equal(final(together, k), final(after(6, [one], "serial"), 0))
