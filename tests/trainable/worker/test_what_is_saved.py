"""A checkpoint holds all that a member's training depends on, field by field of its record."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fixtures.members import (
    EXECUTORS,
    Outcome,
    interrupted_after,
    interrupted_after_each,
    never_interrupted,
)
from tests.fixtures.trainings import config

TIMING = ("steps_per_s", "tokens_per_s")
PLATEAU = config(
    model__hidden_dims="16-8",
    model__dropout=0.2,
    optimizer__lr=3e-3,
    schedule__name="plateau",
    schedule__warmup_steps=10,
    schedule__plateau_patience=1,
    schedule__factor=0.5,
    schedule__floor=0.01,
    train__patience=6,
    train__epochs=20,
)
FROZEN = config(optimizer__lr=1e-30, train__epochs=9)
BROKEN = config(train__steps_per_epoch=160)
each_executor = pytest.mark.parametrize("executor", EXECUTORS)


def check_equal(found: Outcome, wanted: Outcome) -> None:
    """The same reports but for their timing, and the same model."""
    assert len(found.reports) == len(wanted.reports)
    for made, other in zip(found.reports, wanted.reports, strict=True):
        assert (made.number, made.epoch, made.steps) == (other.number, other.epoch, other.steps)
        values = [{n: v for n, v in r.values.items() if n not in TIMING} for r in (made, other)]
        assert values[0] == values[1]
        assert made.stop == other.stop
        for a, b in ((made.net_returns, other.net_returns), (made.predictions, other.predictions)):
            assert (a is None) == (b is None)
            if a is not None and b is not None:
                np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(found.weights, wanted.weights)


@pytest.fixture(scope="module")
def plateau() -> Outcome:
    return never_interrupted("cohort", PLATEAU)


def test_the_course_that_is_interrupted_here_has_all_that_can_be_lost(plateau: Outcome) -> None:
    """The rate falls twice before the best epoch, and early stopping waits six epochs after it."""
    rates = [r.values["lr"] for r in plateau.reports]
    losses: Any = [r.values["val_loss"] for r in plateau.reports]
    stop = plateau.reports[-1].stop
    assert stop is not None
    best = int(np.argmin(np.array(losses, float))) + 1
    assert (stop.reason, stop.evidence["best_epoch"], stop.evidence["waited"]) == (
        "early_stopped", best, 6,
    )  # fmt: skip
    assert rates[best - 1] == pytest.approx(3e-3 * 0.5)
    assert rates[-1] == pytest.approx(3e-3 * 0.125)
    assert losses[-1] is not None
    assert losses[-2] is not None
    assert sum(loss is not None and loss < min(losses[:2]) for loss in losses[2:best]) > 1


def test_going_on_after_any_epoch_equals_no_interruption(plateau: Outcome, tmp_path: Path) -> None:
    found = interrupted_after_each(tmp_path, "cohort", PLATEAU)
    assert len(found) + 1 == len(plateau.reports) == 13
    for each in found:
        check_equal(each, plateau)


@each_executor
@pytest.mark.parametrize(("epochs", "steps"), [(0, 8), (9, 0), (6, 16)])
def test_whoever_trains_it(executor: str, epochs: int, steps: int, tmp_path: Path) -> None:
    found = interrupted_after(tmp_path, executor, PLATEAU, epochs, steps)
    check_equal(found, never_interrupted(executor, PLATEAU))


@each_executor
@pytest.mark.parametrize("epochs", [1, 2])
def test_the_epochs_before_are_remembered(executor: str, epochs: int, tmp_path: Path) -> None:
    """Metrics that stay the same for three epochs in a row, two of them before the file."""
    found = interrupted_after(tmp_path, executor, FROZEN, epochs)
    stop = found.reports[-1].stop
    assert stop is not None
    assert (stop.reason, stop.evidence["epochs"]) == ("frozen_metric", [1, 2, 3])
    check_equal(found, never_interrupted(executor, FROZEN))


@each_executor
@pytest.mark.parametrize("steps", [8, 16])
def test_failed_batches_are_remembered(executor: str, steps: int, tmp_path: Path) -> None:
    """More than a tenth of 160 batches, all in a row, some before the file and some after."""
    found = interrupted_after(tmp_path, executor, BROKEN, steps=steps, broken=True)
    stop = found.reports[-1].stop
    assert stop is not None
    assert stop.reason == "nan_explosion"
    counted = [stop.evidence[key] for key in ("step", "failed_batches", "in_a_row", "batches")]
    assert counted == [17, 17, 17, 160]
    check_equal(found, never_interrupted(executor, BROKEN, broken=True))
