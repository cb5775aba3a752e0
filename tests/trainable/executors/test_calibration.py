"""How large a cohort is made: as measured, as large as pays, and no larger than wanted."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from tests.fixtures.modules import CONVOLUTIONS, registered, windowed
from tests.fixtures.trainings import config, market, narrow
from trainable.config import TrialConfig
from trainable.data.dataset.windows import make_windows
from trainable.executors import calibration, executor_for, why_alone
from trainable.executors.base import rows_at_once
from trainable.executors.calibration import best_size, row_seconds, step_seconds
from trainable.losses import LOSSES
from trainable.losses.base import Columns, LossResult, Targets


def measured(monkeypatch: pytest.MonkeyPatch, seconds: dict[int, float]) -> list[int]:
    """Has a member's step take so many seconds in a cohort of each size; returns what was asked."""
    asked: list[int] = []

    def fake(configs: Sequence[TrialConfig], *rest: object) -> float:
        asked.append(len(configs))
        return seconds[len(configs)]

    monkeypatch.setattr(calibration, "step_seconds", fake)
    return asked


@pytest.mark.parametrize(
    ("most", "best", "asked"),
    [
        (1, 1, [1]),
        (2, 2, [2]),
        (6, 6, [2, 4, 6]),
        (8, 8, [2, 4, 8]),
        (20, 8, [2, 4, 8, 16, 20]),  # 16 saves less than three percent
        (100, 32, [2, 4, 8, 16, 32, 64, 100]),  # the second to gain nothing ends it
    ],
)
def test_sizes_double_while_that_saves_time(
    monkeypatch: pytest.MonkeyPatch, most: int, best: int, asked: list[int]
) -> None:
    found = measured(
        monkeypatch,
        {1: 1.0, 2: 0.9, 4: 0.5, 6: 0.45, 8: 0.4, 16: 0.39, 20: 0.4, 32: 0.1, 64: 0.11, 100: 0.1},
    )
    view = make_windows(narrow(), config().data)
    assert best_size(config(), view, "cpu", most) == best
    assert found == asked


def test_a_step_is_timed_on_the_rows_of_training() -> None:
    view = make_windows(narrow(), config().data)
    assert 0 < step_seconds([config(train__seed=k) for k in range(3)], view, "cpu") < 1


def test_what_gains_nothing_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch, {})
    view = make_windows(narrow(), config().data)
    large = config(model__hidden_dims="512-256")
    assert executor_for(large, view.shape, "cpu") == "serial"
    assert executor_for(large, view.shape, "cuda") == "cohort"
    assert why_alone(config(), view.shape, "cpu") is None
    assert "mlp 512-256 is too large" in (why_alone(large, view.shape, "cpu") or "")
    assert best_size(large, view, "cpu", 64) == 1
    registered(monkeypatch, lambda c, shape: nn.GRU(shape.features, 4))
    own = config(model__name="own")
    assert executor_for(own, view.shape, "cpu") == "solo"
    why = "own trains alone: nn.GRU has no form for many members"
    assert why_alone(own, view.shape, "cpu") == why
    assert best_size(own, view, "cpu", 64) == 1
    assert asked == []


def test_cohorts_without_a_form_by_hand_are_measured_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = measured(monkeypatch, {2: 1.0, 4: 0.5, 8: 0.6, 16: 0.7})
    each = windowed(CONVOLUTIONS)
    assert best_size(each, make_windows(narrow(), each.data), "cpu", 64) == 4
    assert asked == [2, 4, 8, 16]


def test_a_step_of_a_model_over_whole_days_is_timed() -> None:
    each = config(model__name="graph", model__hidden=8, train__batch_size=24)
    assert 0 < step_seconds([each], make_windows(market(), each.data), "cpu", 1) < 5


def test_a_step_over_whole_days_is_timed_on_as_many_as_a_batch_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[tuple[torch.Size, int]] = []

    def spied(p: Tensor, targets: Targets, columns: Columns, training: bool) -> LossResult:
        assert targets.rows is not None
        seen.append((targets.y.shape, targets.rows.symbols))
        return LOSSES["sharpe"].of_batch(p, targets, columns, training)

    monkeypatch.setitem(LOSSES, "ic", replace(LOSSES["ic"], of_batch=spied))
    each = config(loss__name="ic", train__batch_size=47)
    step_seconds([each] * 3, make_windows(narrow(), each.data), "cpu", 1)
    assert seen[0] == ((3, 8 * 6), 6)  # 8 days of 6 symbols


def test_slow_steps_are_timed_but_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(0, 1000, 2))  # each look at it takes two seconds
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    view = make_windows(narrow(), config().data)
    assert step_seconds([config()], view, "cpu", 20) == 2.0
    assert next(clock) <= 2 * 2 * 2, "one step, and one to warm up"


@pytest.mark.parametrize("model", ["mlp", "graph"])
def test_a_step_of_a_loss_of_several_horizons_on_whole_days_is_timed(model: str) -> None:
    each = config(
        model__name=model,
        loss__name="weighted",
        loss__horizons="1-5",
        loss__phases='{"0": {"huber": 1.0, "sharpe": 0.5, "ic": 0.1}}',
        train__batch_size=24,
    )
    assert 0 < step_seconds([each], make_windows(market(), each.data), "cpu", 1) < 5


@pytest.mark.parametrize("model", ["mlp", "graph", "transformer"])
def test_an_evaluated_row_is_timed(model: str, monkeypatch: pytest.MonkeyPatch) -> None:
    each = config(model__name=model, model__hidden_dims="4", data__window=1, train__batch_size=24)
    windows = make_windows(market(), each.data)
    found = row_seconds([each] * (1 if model == "graph" else 3), windows, "cpu")
    assert 0 < found < 0.01
    clock = iter(range(100))  # a look at it takes a second
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    rows = windows.symbols if model == "graph" else rows_at_once(windows)
    assert row_seconds([each], windows, "cpu") == 1 / rows


def test_few_rows_of_long_windows_are_predicted_at_once() -> None:
    """Their activations must fit into a core's cache; and never fewer than are aligned."""
    dataset = market(window=200)
    sizes = {
        window: rows_at_once(make_windows(dataset, config(data__window=window).data))
        for window in (1, 5, 60, 200)
    }
    assert sizes == {1: 256, 5: 256, 60: 32, 200: 16}
