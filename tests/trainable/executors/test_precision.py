"""bfloat16 in the products of training, float32 in all else; float16 is refused."""

from typing import Any

import pytest
import torch

from benchmarks.step.__main__ import run_steps
from tests.fixtures.modules import CONVOLUTIONS, TRANSFORMER, windowed
from tests.fixtures.trainings import changed, config, final, narrow, starts
from trainable.cli.errors import UserError
from trainable.config import TrialConfig
from trainable.executors import executor_for
from trainable.executors.precision import products
from trainable.models import InputShape
from trainable.training.loop import Training
from trainable.validation import validate


def after(steps: int, configs: list[TrialConfig], executor: str) -> Training:
    training = Training(starts(configs), narrow(), executor)
    run_steps(training, steps)
    return training


@pytest.mark.parametrize("name", [CONVOLUTIONS, TRANSFORMER])
@pytest.mark.parametrize("executor", ["vmapped", "serial", "solo"])
def test_bf16_trains_near_float32_with_weights_and_predictions_in_float32(
    executor: str, name: str
) -> None:
    exact = windowed(name, optimizer__name="sgd", optimizer__lr=1e-2)
    bf16 = changed(exact, train__precision="bf16")
    one, two = after(20, [exact], executor), after(20, [bf16], executor)
    start = final(after(0, [exact], executor), 0)
    moved, apart = (final(one, 0) - start).norm(), (final(two, 0) - final(one, 0)).norm()
    assert 0 < apart < 0.2 * moved
    assert final(two, 0).dtype == torch.float32
    rows = two.windows.valid_rows[:64]
    predictions = two.executor.predict(two.windows.at(rows))
    assert predictions.dtype == torch.float32
    assert len(set(predictions[0].tolist())) > 60  # bfloat16 has few numbers to tell rows apart
    assert torch.isfinite(two.plan.losses[:20]).all()


def test_the_form_by_hand_does_not_take_bf16() -> None:
    shape = InputShape(1, 3)
    assert executor_for(config(), shape, "cpu") == "cohort"
    assert executor_for(config(train__precision="tf32"), shape, "cpu") == "cohort"
    assert executor_for(config(train__precision="bf16"), shape, "cpu") == "vmapped"


def test_a_scaler_that_loses_every_later_batch_is_impossible() -> None:
    """System A's mixed precision: a step that was skipped left its scaler in a broken state."""
    for name in ("fp16", "float16"):
        with pytest.raises(UserError, match="float16 needs a loss scaler") as error:
            validate(config(train__precision=name))
        assert "fix.train/precision=bf16 works" in str(error.value)
    with pytest.raises(UserError, match="bf16"):
        validate(config(train__precision="bf61"))


def test_a_failed_step_in_bf16_leaves_later_ones_as_they_were() -> None:
    bf16 = windowed(CONVOLUTIONS, train__precision="bf16")
    training = after(8, [bf16, changed(bf16, train__seed=1)], "vmapped")
    training.executor.parts["head.bias"][0] = torch.nan  # type: ignore[attr-defined]
    run_steps(training, 1)
    assert training.plan.losses[8].isnan().tolist() == [True, False]
    run_steps(training, 11)
    assert torch.isfinite(training.plan.losses[9:20]).all()


def test_tf32_is_set_around_steps_of_a_gpu_only_and_set_back() -> None:
    backends: Any = torch.backends

    def now() -> tuple[str, str]:
        return backends.cuda.matmul.fp32_precision, backends.cudnn.conv.fp32_precision

    before = now()
    for precision, inside in (("tf32", "tf32"), ("float32", "ieee"), ("bf16", "tf32")):
        context = products(precision, torch.device("cuda"))
        for _ in range(2):
            with context:
                assert now() == (inside, inside)
            assert now() == before
    with products("tf32", torch.device("cpu")):
        assert now() == before
