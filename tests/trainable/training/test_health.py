"""The health rules on hand-made histories: when they stop, with what evidence, and when not."""

import math
from dataclasses import replace
from typing import Any

import pytest

from trainable.report import Stop
from trainable.training import health
from trainable.training.health import Epoch, Failure

GOOD = Epoch(
    epoch=1,
    step=100,
    warm=True,
    last=False,
    spread=0.1,
    constant=False,
    bound=0.5,
    train_loss=0.5,
    zero_loss=0.5,
    val_loss=0.5,
    sharpe=1.0,
    lr=1e-4,
    peak=1e-3,
)
FAILURE = Failure(7, "gradient hidden.0", "nan", 1e-3, ("2020-01-01", "2020-02-01"), ("A", "B"))


def history(*changes: dict[str, Any]) -> list[Epoch]:
    """Healthy epochs, whose loss differs, with these changes."""
    return [
        replace(
            GOOD, **{"epoch": i + 1, "step": 100 * (i + 1), "val_loss": 0.5 - 0.01 * i} | change
        )
        for i, change in enumerate(changes)
    ]


def stopped(*changes: dict[str, Any]) -> Stop:
    stop = health.judge(history(*changes))
    assert stop is not None
    return stop


def test_system_a4_nan_rate_is_failed_of_all_batches_of_the_epoch() -> None:
    assert health.nan_rate(57, 100) == 0.57
    assert health.nan_rate(100, 100) == 1.0
    assert health.nan_rate(0, 0) == 0.0


@pytest.mark.parametrize(
    ("failed", "in_a_row", "batches", "stops"),
    [
        (10, 1, 100, False),  # exactly a tenth is allowed
        (11, 1, 100, True),
        (24, 24, 1000, False),
        (25, 25, 1000, True),
        (25, 3, 1000, False),
        (1, 1, 9, True),  # of nine batches one is more than a tenth
        (1, 1, 10, False),
    ],
)
def test_too_many_failed_batches(failed: int, in_a_row: int, batches: int, stops: bool) -> None:
    stop = health.too_many_failures(failed, in_a_row, batches, FAILURE)
    assert (stop is not None) == stops
    if stop is not None:
        assert stop.reason == "nan_explosion"
        assert stop.evidence == {
            "step": 7,
            "tensor": "gradient hidden.0",
            "value": "nan",
            "lr": 1e-3,
            "dates": ["2020-01-01", "2020-02-01"],
            "symbols": ["A", "B"],
            "failed_batches": failed,
            "in_a_row": in_a_row,
            "batches": batches,
        }


@pytest.mark.parametrize("name", ["train_loss", "val_loss"])
@pytest.mark.parametrize("value", [None, math.inf, 500.1])
def test_a_diverged_loss_is_an_explosion(name: str, value: float | None) -> None:
    stop = stopped({}, {name: value})
    assert stop.reason == "nan_explosion"
    expected = value if value == 500.1 else "not finite"
    assert stop.evidence == {
        "epoch": 2,
        "step": 200,
        "tensor": name,
        "value": expected,
        "limit": 500.0,
        "lr": 1e-4,
    }


@pytest.mark.parametrize("spread", [math.nan, math.inf])
def test_a_prediction_that_is_not_finite_where_no_label_is_known_is_an_explosion(
    spread: float,
) -> None:
    stop = stopped({}, {"spread": spread})
    assert stop.reason == "nan_explosion"
    assert stop.evidence == {
        "epoch": 2,
        "step": 200,
        "tensor": "prediction",
        "value": "not finite",
        "lr": 1e-4,
    }


def test_a_loss_of_a_thousand_times_nothing_is_just_not_an_explosion() -> None:
    assert health.judge(history({"val_loss": 500.0, "train_loss": 500.0})) is None


def test_an_exactly_constant_prediction_stops_at_once_even_while_warming_up() -> None:
    stop = stopped({"constant": True, "spread": 0.0, "warm": False})
    assert stop.reason == "collapsed"
    assert stop.evidence == {
        "epoch": 1,
        "step": 100,
        "lr": 1e-4,
        "prediction_std": 0.0,
        "at_bound": 0.5,
        "rule": "the prediction is a constant",
    }


@pytest.mark.parametrize("change", [{"spread": 9e-5}, {"bound": 0.99}])
def test_a_vanishing_spread_or_a_bound_stops_after_two_warm_epochs(change: dict[str, Any]) -> None:
    cold = change | {"warm": False}
    assert health.judge(history(change)) is None
    assert health.judge(history(cold, change)) is None
    assert health.judge(history(change, {}, change)) is None
    assert stopped(cold, change, change).reason == "collapsed"


@pytest.mark.parametrize("change", [{"spread": 1e-4}, {"bound": 0.98}, {"spread": 0.003}])
def test_a_small_spread_on_noise_is_no_collapse(change: dict[str, Any]) -> None:
    assert health.judge(history(*[change] * 5)) is None


def test_frozen_metric_is_bit_identical_over_three_epochs() -> None:
    same = {"val_loss": 0.5}
    assert health.judge(history(same, same)) is None
    assert health.judge(history(same, same, {"val_loss": math.nextafter(0.5, 1)})) is None
    assert health.judge(history(same, same, same | {"sharpe": 1.1})) is None
    stop = stopped({}, same, same, same)
    assert stop.reason == "frozen_metric"
    assert stop.evidence == {"epochs": [2, 3, 4], "val_loss": 0.5, "sharpe": 1.0}
    assert stopped(*[same | {"sharpe": None}] * 3).reason == "frozen_metric"


def test_learning_rate_at_zero_before_the_end() -> None:
    zero = {"lr": 1e-12}
    assert health.judge(history(zero | {"last": True})) is None
    assert health.judge(history({"lr": 1.1e-12})) is None
    stop = stopped({}, zero)
    assert stop.reason == "lr_stalled"
    assert stop.evidence == {"epoch": 2, "step": 200, "lr": 1e-12, "peak": 1e-3}
    assert stopped({"lr": 0.0}).reason == "lr_stalled"


def test_the_gravest_reason_is_given() -> None:
    everything = {"val_loss": None, "constant": True, "lr": 0.0}
    assert stopped(*[everything] * 3).reason == "nan_explosion"
