"""A member that was saved goes on as if nothing had been, between two epochs and amid one."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.step.__main__ import run_steps
from tests.fixtures.trainings import best, config, finish, narrow, starts, trained
from trainable.config import TrialConfig
from trainable.data.dataset.windows import make_windows
from trainable.executors.dropout import Dropout
from trainable.executors.rng import set_state
from trainable.io.file_store import FileStore
from trainable.report import Report
from trainable.training.batch_sampler import RowSampler
from trainable.training.loop import Training
from trainable.training.member import MemberStart
from trainable.worker import checkpoint

each_executor = pytest.mark.parametrize("executor", ["cohort", "serial", "solo"])


@each_executor
def test_system_b8_going_on_from_a_checkpoint_equals_no_interruption(
    executor: str, tmp_path: Path
) -> None:
    each = config(
        model__dropout=0.3,
        train__epochs=5,
        train__steps_per_epoch=21,
        schedule__name="plateau",
        schedule__warmup_steps=30,
        schedule__plateau_patience=1,
    )
    whole = Training([MemberStart(3, each)], narrow(), executor)
    expected = finish(whole)

    first = Training([MemberStart(3, each)], narrow(), executor)
    reports = first.advance() + first.advance()
    checkpoint.write(FileStore.of(tmp_path), first.saved(3))
    finish(first)  # goes on, and must not touch what was saved
    read = checkpoint.read(FileStore.of(tmp_path), known=2)
    together = [MemberStart(3, each, read)]
    if executor == "cohort":
        together.insert(0, MemberStart(8, config_like(each, seed=9)))
    second = Training(together, narrow(), executor)
    reports += [report for report in finish(second) if report.number == 3]
    assert torch.equal(best(second.ended[3]), best(whole.ended[3]))
    assert_same(reports, expected)


@each_executor
@pytest.mark.parametrize(("steps", "saved_after"), [(1, 8), (9, 16)])
def test_system_b8_going_on_amid_an_epoch_equals_no_interruption(
    executor: str, steps: int, saved_after: int, tmp_path: Path
) -> None:
    """With a batch that failed before, which the epoch's figures still know of."""
    each = config(
        model__dropout=0.3,
        train__steps_per_epoch=21,
        schedule__name="warmup_cosine",
        schedule__warmup_steps=10,
    )
    view = make_windows(narrow(), each.data)
    rows = RowSampler(view.train_rows, each.train.batch_size).rows(each.train.seed, 21 + 4, 1)
    view.x[rows[0, 0]] = torch.nan
    whole = Training([MemberStart(3, each)], narrow(), executor, windows=view)
    expected = finish(whole)
    assert expected[1].values["nan_rate"]

    numbers = [3, 8] if executor == "cohort" else [3]
    first = Training([MemberStart(n, each) for n in numbers], narrow(), executor, windows=view)
    reports = first.advance()
    assert first.advance(steps=steps) == []
    for number in numbers:
        checkpoint.write(FileStore.of(tmp_path).within(number), first.saved(number))
    finish(first)
    read = [checkpoint.read(FileStore.of(tmp_path).within(number), known=1) for number in numbers]
    assert [each.steps for each in read if each is not None] == [saved_after] * len(numbers)
    going = [MemberStart(n, each, state) for n, state in zip(numbers, read, strict=True)]
    second = Training(going, narrow(), executor, windows=view)
    assert second.seconds > 0
    reports += finish(second)
    assert torch.equal(best(second.ended[3]), best(whole.ended[3]))
    assert_same([report for report in reports if report.number == 3], expected)


def assert_same(reports: list[Report], expected: list[Report]) -> None:
    """The same reports, but for their timing."""
    assert [(r.epoch, r.steps) for r in reports] == [(r.epoch, r.steps) for r in expected]
    for made, wanted in zip(reports, expected, strict=True):
        timing = ("steps_per_s", "tokens_per_s")
        assert [v for n, v in made.values.items() if n not in timing] == [
            v for n, v in wanted.values.items() if n not in timing
        ]
    np.testing.assert_array_equal(reports[-1].predictions, expected[-1].predictions)


def config_like(each: TrialConfig, seed: int) -> TrialConfig:
    return replace(each, train=replace(each.train, seed=seed))


def test_members_amid_an_epoch_go_on_with_those_after_as_many_steps_only() -> None:
    each = config()
    saved = []
    for steps in (8, 16):
        training = Training(starts([each]), narrow())
        training.advance(steps=steps)
        saved.append(training.saved(0))
    for others in ([saved[1]], [None]):
        going = [MemberStart(n, each, state) for n, state in enumerate([saved[0], *others])]
        with pytest.raises(ValueError, match="same number of steps"):
            Training(going, narrow())
    training = Training(starts([each]), narrow())
    training.advance()
    with pytest.raises(ValueError, match="by itself"):
        training.add([MemberStart(1, each, saved[0])])


def test_a_state_is_not_taken_by_the_other_executor_nor_between_two_points() -> None:
    training = Training(starts([config()]), narrow(), "solo")
    run_steps(training, 3)
    with pytest.raises(ValueError, match="after step 3"):
        training.saved(0)
    training.advance()
    with pytest.raises(ValueError, match="'solo' cannot go on as 'cohort'"):
        Training([MemberStart(0, config(), training.saved(0))], narrow(), "cohort")


@pytest.mark.parametrize(("before", "after"), [("cohort", "serial"), ("serial", "cohort")])
def test_a_large_network_goes_on_where_it_trains_otherwise(before: str, after: str) -> None:
    """A GPU trains it in a cohort, a CPU alone: a search may be resumed on either."""
    _, whole = trained([config()], narrow(), executor=before)
    training = Training(starts([config()]), narrow(), before)
    training.advance()
    rest = Training([MemberStart(0, config(), training.saved(0))], narrow(), after)
    reports = []
    while rest.live:
        reports += rest.advance()
    assert [r.epoch for r in reports] == [r.epoch for r in whole[1:]]
    found, wanted = (r.values["val_loss"] for r in (reports[-1], whole[-1]))
    assert found == pytest.approx(wanted, rel=1e-5)


def test_dropout_goes_on_from_another_devices_generator() -> None:
    """A CPU's generator cannot take a GPU's state, of 16 bytes."""
    drawn = []
    for steps in (10, 10, 20):
        dropout = Dropout([8], torch.device("cpu"), torch.float32)
        dropout.add(0, [0.3])
        on_gpu = torch.full((16,), steps, dtype=torch.uint8)
        set_state(dropout.generators[0], on_gpu)
        factors = dropout.factors(0, 4)
        assert factors is not None
        drawn.append(factors[0].clone())
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])
