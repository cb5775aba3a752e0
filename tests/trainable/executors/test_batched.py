"""A cohort equals its members trained one by one, whoever the neighbours are."""

from itertools import cycle, islice
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks.step.__main__ import run_steps
from tests.fixtures.losses import OF_ROWS
from tests.fixtures.trainings import best, changed, config, final, finish, narrow, starts, trained
from trainable.config import TrialConfig
from trainable.executors.base import StepResult
from trainable.optimizers import OPTIMIZERS
from trainable.report import Report
from trainable.schedules import SCHEDULES
from trainable.training.loop import Training

FIRST = "input_norm.weight"
BATCHED = [name for name, optimizer in OPTIMIZERS.items() if optimizer.has_batched_form]
# Every optimizer with two of the losses and of the schedules.
CASES = [*islice(zip(cycle(BATCHED), cycle(SCHEDULES), cycle(OF_ROWS)), 2 * len(BATCHED))]


def various(**shared: Any) -> list[TrialConfig]:
    """Four members that differ in all that may differ but dropout."""
    each = [
        {"lr": 1e-3, "weight_decay": 0.0, "clip": 0.05, "momentum": 0.9},
        {"lr": 5e-3, "weight_decay": 0.1, "clip": 5.0, "momentum": 0.0, "head_lr": 3.0},
        {
            "lr": 2e-4,
            "weight_decay": 0.01,
            "clip": 0.5,
            "momentum": 0.5,
            "beta2": 0.9,
            "beta1": 0.5,
        },
        {"lr": 3e-3, "weight_decay": 1.0, "clip": 1e9, "momentum": 0.99, "head_lr": 0.2},
    ]
    return [
        config(
            **shared,
            **{f"optimizer__{name}": value for name, value in fields.items()},
            train__seed=k,
            schedule__warmup_steps=12 * k,
            schedule__floor=0.1 * k,
            schedule__plateau_patience=1 + k,
            loss__delta=0.5 + k,
        )
        for k, fields in enumerate(each)
    ]


@pytest.mark.parametrize(("optimizer", "schedule", "loss"), CASES)
def test_cohort_and_one_by_one_agree_to_1e_9_after_90_steps(
    optimizer: str, schedule: str, loss: str
) -> None:
    case = CASES.index((optimizer, schedule, loss))
    configs = various(
        optimizer__name=optimizer,
        schedule__name=schedule,
        loss__name=loss,
        loss__dead_zone=(0.0, 0.004)[case % 3 == 0],
        train__steps_per_epoch=30,
    )
    k = (case + case // 4) % 4  # each case trains one of the four alone, by the case's schedule
    mixed = zip(configs, islice(cycle([*SCHEDULES]), 4), strict=True)
    configs = [
        each if i == k else changed(each, schedule__name=name)
        for i, (each, name) in enumerate(mixed)
    ]
    check_against_one_by_one(configs, k, steps=30)


@pytest.mark.parametrize(
    ("loss", "norm", "window"),
    [
        (loss, norm, (1, 3)[(i + norm) % 2])
        for i, loss in enumerate(OF_ROWS)
        for norm in (True, False)
    ],
)
def test_members_with_and_without_a_dead_zone_agree_with_one_by_one(
    loss: str, norm: bool, window: int
) -> None:
    case = [*OF_ROWS].index(loss)
    configs = various(
        optimizer__name=BATCHED[case % len(BATCHED)],
        schedule__name="warmup_cosine",
        loss__name=loss,
        model__norm=norm,
        data__window=window,
        train__steps_per_epoch=30,
        train__batch_size=13,
    )
    zones = [0.004, 0.0, 0.008, 0.0]
    configs = [
        changed(each, loss__dead_zone=zone) for each, zone in zip(configs, zones, strict=True)
    ]
    check_against_one_by_one(configs, (case + norm + 2 * (window == 3)) % 4, steps=30)


def check_against_one_by_one(configs: list[TrialConfig], k: int, steps: int) -> None:
    """Trains all as a cohort and the k-th alone, both in float64, two epochs and a part of one.

    Args:
        configs: of the cohort.
        k: which is trained alone too.
        steps: of an epoch.
    """
    options: dict[str, Any] = {"dtype": torch.float64}
    together = Training(starts(configs), narrow(), "cohort", **options)
    for _ in range(2):
        together.advance()
    run_steps(together, steps)
    for executor in ("serial", "solo"):
        alone = Training(starts([configs[k]]), narrow(), executor, **options)
        for _ in range(2):
            alone.advance()
        run_steps(alone, steps)
        assert together.members[k].steps == alone.members[0].steps == 3 * steps
        assert (final(together, k) - final(alone, 0)).abs().max() < 1e-9
        both = [(m.best_val_loss, m.plateau.scale) for m in (together.members[k], alone.members[0])]
        assert both[0] == pytest.approx(both[1], abs=1e-9)


def dropping(count: int, **shared: Any) -> list[TrialConfig]:
    """Members that differ in everything, dropout included."""
    return [
        config(
            **shared,
            train__seed=k,
            model__dropout=0.15 * (k % 4),
            optimizer__lr=1e-3 * (k + 1),
            optimizer__clip=0.2 * (k + 1),
            loss__dead_zone=0.002 * (k % 3),
            schedule__warmup_steps=5 * k,
        )
        for k in range(count)
    ]


def told(reports: list[Report], number: int) -> list[dict[str, float | None]]:
    """All that a member reported, less how fast it was."""
    timing = ("steps_per_s", "tokens_per_s")
    mine = [report.values for report in reports if report.number == number]
    return [{n: v for n, v in values.items() if n not in timing} for values in mine]


def test_a_targets_zero_counts_without_a_dead_zone_whatever_the_neighbours_have() -> None:
    full = narrow()
    target = full.target.copy()
    target[full.train_rows[::3]] = 0.0
    object.__setattr__(dataset := type(full)(**{**vars(full)}), "target", target)
    configs = [config(), config(loss__dead_zone=0.004)]
    pair, _ = trained(configs, dataset)
    alone, _ = trained(configs[:1], dataset)
    assert torch.equal(best(pair[0]), best(alone[0]))
    assert not torch.equal(best(pair[0]), best(pair[1]))


@pytest.mark.parametrize("between", [True, False])
def test_members_that_retire_do_not_change_the_others(between: bool) -> None:
    configs = dropping(5)
    alone, reports = trained([configs[3]], narrow())
    cohort = Training(starts(configs), narrow())
    found = cohort.advance()
    cohort.retire([0, 99])
    if not between:
        run_steps(cohort, 7)
    cohort.retire([4, 0])
    assert cohort.live == [1, 2, 3]
    found += cohort.advance()
    if not between:
        run_steps(cohort, 20)  # the last step of the epoch has been taken; its end has not
    cohort.retire([1, 2])
    found += finish(cohort)
    assert torch.equal(best(cohort.ended[3]), best(alone[0]))
    assert told(found, 3) == told(reports, 0)
    assert set(cohort.ended) == set(range(5))


@pytest.mark.parametrize("when", [3, 8, 11, 20])
def test_a_nan_in_one_member_never_touches_another(when: int) -> None:
    configs = dropping(3)
    alone, reports = trained([configs[1]], narrow())
    cohort = Training(starts(configs), narrow())
    run_steps(cohort, when)
    cohort.executor.parts[FIRST][0] = torch.nan  # type: ignore[attr-defined]
    cohort.executor.parts[FIRST][2] = torch.inf  # type: ignore[attr-defined]
    found = finish(cohort)
    assert torch.equal(best(cohort.ended[1]), best(alone[0]))
    assert told(found, 1) == told(reports, 0)


def test_large_finite_weights_are_finite_though_their_sum_is_not() -> None:
    executor: Any = Training(starts(dropping(2)), narrow()).executor
    executor.p[:] = 3e38
    assert executor.finite() == [None, None]
    executor.parts[FIRST][1] = torch.inf
    assert executor.finite() == [None, FIRST]


def test_last_good_weights_do_not_depend_on_a_neighbours_nan() -> None:
    """A neighbour whose weights break must not keep the others' last good weights from moving."""

    def run(neighbour: bool) -> torch.Tensor:
        cohort = Training(starts(dropping(2, train__steps_per_epoch=100)), narrow())
        step = cohort.executor.step

        def breaking(i: int, *batch: Any) -> StepResult:
            result = step(i, *batch)
            if i == 15 and neighbour:
                cohort.executor.parts[FIRST][0] = torch.nan  # type: ignore[attr-defined]
            if i == 17:
                cohort.executor.parts[FIRST][1] = torch.nan  # type: ignore[attr-defined]
            return result

        cohort.executor.step = breaking  # type: ignore[method-assign]
        run_steps(cohort, 19)
        return final(cohort, 1)

    assert bool(torch.isfinite(run(True)).all())
    assert torch.equal(run(True), run(False))


def test_a_stop_at_the_epochs_last_step_leaves_the_survivors_gradient_norms() -> None:
    configs = dropping(2)
    _, reports = trained([configs[1]], narrow())
    cohort = Training(starts(configs), narrow())
    run_steps(cohort, 20)
    cohort.retire([0])
    (report,) = cohort.advance()
    assert told([report], 1) == told(reports, 0)[:1]
    assert report.values["grad_norm.head"]


def test_dropout_drops_its_share_and_keeps_the_mean() -> None:
    shares = [0.0, 0.25, 0.9]
    configs = [config(model__dropout=share, model__hidden_dims="64") for share in shares]
    executor = Training(starts(configs), narrow()).executor
    dropout = executor.dropout  # type: ignore[attr-defined]
    draws = [dropout.factors(i, 500)[0].clone() for i in range(3)]
    for draw in draws:
        assert (draw == 0).float().mean((1, 2)).tolist() == pytest.approx(shares, abs=0.01)
        assert draw.mean((1, 2)).tolist() == pytest.approx([1.0] * 3, abs=0.05)
    assert not torch.equal(draws[0], draws[1])


def test_members_of_two_shapes_are_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="one shape"):
        Training(starts([config(), config(train__batch_size=32)]), narrow())


def test_factors_of_a_member_rolled_back_are_those_of_its_own_count() -> None:
    """Only its columns are made anew; they equal the whole table made anew."""
    cohort = Training(starts(various(train__steps_per_epoch=30)), narrow())
    run_steps(cohort, 11)
    executor: Any = cohort.executor
    executor.restore([2])
    made = {name: table.clone() for name, table in executor.factors.items()}
    executor.plan(executor.lr, cohort.i)
    assert executor.skipped.tolist() == [0, 0, 3, 0]
    for name, table in executor.factors.items():
        np.testing.assert_array_equal(made[name].numpy(), table.numpy())
