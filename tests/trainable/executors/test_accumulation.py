"""A batch trained in parts: the same step as of the whole batch, in less memory."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from benchmarks.step.__main__ import run_steps
from tests.fixtures.modules import CONVOLUTIONS, windowed
from tests.fixtures.trainings import changed, config, final, finish, narrow, starts
from trainable.cli.errors import UserError
from trainable.config import TrialConfig
from trainable.losses import LOSSES
from trainable.training.loop import Training
from trainable.validation import check, validate

OF_ROWS = ["mse", "huber", "bce"]  # means over rows; adaptive_huber follows each part
EXECUTORS = ("cohort", "vmapped", "serial", "solo")


def trained(each: TrialConfig, executor: str, steps: int = 12) -> Training:
    training = Training(starts([each]), narrow(), executor, dtype=torch.float64)
    run_steps(training, steps)
    return training


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("loss", OF_ROWS)
def test_parts_give_the_step_of_the_whole_batch(loss: str, executor: str) -> None:
    name: dict[str, Any] = {} if executor == "cohort" else {"model__name": CONVOLUTIONS}
    whole = windowed(name.get("model__name", "mlp"), loss__name=loss, loss__dead_zone=0.004)
    one, four = (trained(changed(whole, train__accumulate=n), executor) for n in (1, 4))
    assert (final(one, 0) - final(four, 0)).abs().max() < 1e-9
    torch.testing.assert_close(one.plan.losses, four.plan.losses, equal_nan=True)
    torch.testing.assert_close(one.plan.norms, four.plan.norms, equal_nan=True)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_parts_that_drop_differ_in_their_numbers_and_go_on_exactly(executor: str) -> None:
    each = config(model__dropout=0.4, train__accumulate=2, train__seed=3)
    whole, half = trained(each, executor), trained(each, executor, 8)
    other = trained(each, executor, 0)
    other.i = 8
    other.executor.load(0, half.executor.state(0))
    run_steps(other, 4)
    assert torch.equal(final(other, 0), final(whole, 0))
    assert not torch.equal(final(whole, 0), final(trained(config(model__dropout=0.4), executor), 0))


@pytest.mark.parametrize("executor", EXECUTORS)
def test_warm_up_counts_optimizer_steps_not_micro_steps(executor: str) -> None:
    """System B counted micro-steps: its warm-up was as many times too long."""
    whole = config(schedule__warmup_steps=10, train__epochs=2, optimizer__lr=1e-2)
    one, four = (trained(changed(whole, train__accumulate=n), executor, 20) for n in (1, 4))
    assert one.plan.lr.tolist() == four.plan.lr.tolist()
    assert four.plan.lr[9, 0] == pytest.approx(1e-2)
    assert one.batches == four.batches
    assert one.taken == four.taken == 20
    reports = [[r.steps for r in finish(each)] for each in (one, four)]
    assert reports[0] == reports[1] == [20, 40]


def test_batches_that_cannot_be_divided_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"train/batch_size=16 is not divisible by .*=5; fix"):
        check(config(train__accumulate=5), narrow())
    validate(config(train__accumulate=4))
    monkeypatch.setitem(LOSSES, "mse", replace(LOSSES["mse"], batches="days"))
    with pytest.raises(UserError, match="loss/name=mse needs whole days") as error:
        validate(config(loss__name="mse", train__accumulate=2))
    assert "fix.train/accumulate=1 works" in str(error.value)
