"""System C's rule: a head whose predictions become too narrow is perturbed, and that is counted."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.fixtures.members import interrupted_after, never_interrupted
from tests.fixtures.trainings import config, market, narrow, starts
from trainable.cli.errors import UserError
from trainable.models import MODELS
from trainable.models.base import InputShape, Model
from trainable.models.mlp import MlpConfig
from trainable.training.degeneracy import needs_reset
from trainable.training.loop import Training
from trainable.training.member import Member
from trainable.validation import check

WATCHED = {"train__reset_below": 0.9, "train__epochs": 7, "train__steps_per_epoch": 8}
EXECUTORS = ("cohort", "vmapped", "serial", "solo")


def resets(spreads: list[float], least: float) -> list[bool]:
    member = Member(0, config(train__reset_below=least))
    return [needs_reset(member, spread) for spread in spreads]


def test_three_narrow_evaluations_in_a_row_are_needed_after_smoothing() -> None:
    assert resets([0.05] * 7, 0.1) == [False, False, True] * 2 + [False]
    assert resets([0.05, 0.05, 0.3, 0.05, 0.05, 0.05, 0.05], 0.1) == [False] * 6 + [True]
    # The smoothed spread is 1, 0.5, 0.25, 0.125: one narrow evaluation alone says little.
    assert resets([1.0, 0.0, 0.0, 0.0], 0.6) == [False, False, False, True]


def test_nothing_is_reset_where_it_is_not_asked_for() -> None:
    assert resets([0.0] * 9, 0.0) == [False] * 9


@pytest.mark.parametrize("executor", EXECUTORS)
def test_system_c3_resets_are_made_and_counted(executor: str) -> None:
    """System C reported "0 resets": its monitor looked for a line that was never printed."""
    training = Training(starts([config(**WATCHED)]), narrow(), executor)
    heads, counts = [], []
    while training.live:
        (report,) = training.advance()
        counts.append(report.values["resets"])
        if training.live:
            heads.append(training.executor.weights(0)["head.weight"].clone())
    assert counts == [0, 0, 1, 1, 1, 2, 2]
    steps = [float((b - a).abs().max()) for a, b in pairwise(heads)]
    assert steps[1] > 1.5 * max(steps[0], steps[2])  # the third epoch ended with noise


def test_only_the_head_of_the_member_that_asked_is_changed() -> None:
    configs = [config(**WATCHED, train__seed=1), config(**WATCHED, train__seed=2)]
    configs[1] = config(**{**WATCHED, "train__reset_below": 0.0}, train__seed=2)
    together = Training(starts(configs), narrow(), "cohort")
    alone = Training(starts(configs[1:]), narrow(), "cohort")
    together.advance()
    together.advance()
    reports = together.advance()
    for _ in range(3):
        alone.advance()
    assert [report.values.get("resets") for report in reports] == [1, None]
    for name, tensor in alone.executor.weights(0).items():
        assert torch.equal(tensor, together.executor.weights(1)[name])


@pytest.mark.parametrize("executor", ["cohort", "solo"])
def test_a_resumed_member_is_reset_as_one_that_never_stopped(executor: str, tmp_path: Path) -> None:
    each = config(**WATCHED)
    whole = never_interrupted(executor, each)
    for epochs in (2, 3):
        resumed = interrupted_after(tmp_path / str(epochs), executor, each, epochs=epochs)
        assert [r.values["resets"] for r in resumed.reports] == [0, 0, 1, 1, 1, 2, 2]
        assert (resumed.weights == whole.weights).all()


def test_a_model_without_a_head_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def headless(each: MlpConfig, shape: InputShape) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(shape.size, 1), nn.Flatten(0))

    monkeypatch.setitem(MODELS, "mlp", Model(MlpConfig, headless))
    with pytest.raises(UserError, match=r"no component of mlp has a name that begins with head"):
        check(config(**WATCHED), market())
