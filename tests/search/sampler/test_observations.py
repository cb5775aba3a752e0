"""What the end of a trial teaches the sampler, and which trials it sees."""

from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import (
    FloatDistribution,
)
from optuna.trial import TrialState

from search.sampler.observations import TOLD_LIMIT, TOLD_STEP, Observation, lesson, view_of


def made(number: int, **changes: object) -> Observation:
    seen = Observation(
        number, {"a": 0.5}, {"a": FloatDistribution(0.0, 1.0)}, {}, "PRUNED", "asha_rung"
    )
    return replace(seen, **changes)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"reports": {1: 0.2}}, TrialState.PRUNED),
        ({"reason": "nan_explosion", "state": "PRUNED"}, TrialState.PRUNED),
        ({"reason": "collapsed"}, TrialState.PRUNED),
        ({"reason": "completed", "state": "COMPLETE", "value": 1.0}, TrialState.COMPLETE),
        ({"reason": "completed", "state": "COMPLETE", "value": None}, None),
        ({"reason": "worker_lost", "state": "FAIL"}, None),
        ({"reason": "out_of_memory", "state": "FAIL", "reports": {1: 0.2}}, None),
        ({"reason": "time_budget"}, None),
        ({"reason": "time_budget", "reports": {1: 0.2}}, TrialState.PRUNED),
    ],
)
def test_lessons(changes: dict, expected: TrialState | None) -> None:
    assert lesson(made(0, **changes)) is expected


def told(n: int) -> list[Observation]:
    rng = np.random.default_rng(3)
    return [
        made(i, state="COMPLETE", reason="completed", value=float(rng.normal()))
        if i % 4
        else made(i, reports={1: float(rng.normal())})
        for i in range(n)
    ]


def test_the_view_holds_the_best_and_the_newest() -> None:
    trials = told(3 * TOLD_LIMIT)
    view = {seen.number for seen in view_of(trials)}
    assert len(view) == TOLD_LIMIT
    assert set(range(2500, 3000)) <= view
    completed = [seen for seen in trials[:2500] if seen.value is not None]
    best = sorted(completed, key=lambda seen: -(seen.value or 0.0))[: TOLD_LIMIT // 2]
    assert {seen.number for seen in best} <= view


def test_the_view_puts_pruned_after_complete_and_numeric_failures_last() -> None:
    pruned = [made(i, reports={1: 1.0}) for i in range(400)]
    deeper = [made(400 + i, reports={1: 0.0, 4: -1.0}) for i in range(200)]
    failed = [made(600 + i, reason="nan_explosion", reports={16: 9.0}) for i in range(200)]
    done = [made(800 + i, reason="completed", state="COMPLETE", value=-5.0) for i in range(200)]
    newest = [made(1000 + i, reports={1: 0.0}) for i in range(500)]
    view = {seen.number for seen in view_of([*pruned, *deeper, *failed, *done, *newest])}
    assert set(range(800, 1500)) <= view
    assert set(range(400, 600)) <= view
    assert not view & set(range(600, 800))
    falling = [made(i, state="COMPLETE", reason="completed", value=-float(i)) for i in range(1500)]
    assert set(range(500)) <= {seen.number for seen in view_of(falling)}


@pytest.mark.parametrize("n", [0, 1, TOLD_LIMIT - 1, TOLD_LIMIT, 1249, 1250, 2777])
def test_the_view_is_bounded_and_only_cut_now_and_then(n: int) -> None:
    view = view_of(told(n))
    assert len({seen.number for seen in view}) == len(view) <= min(n, TOLD_LIMIT + TOLD_STEP - 1)
    if n > TOLD_LIMIT:
        cut = n - (n - TOLD_LIMIT) % TOLD_STEP
        assert {seen.number for seen in view_of(told(cut))} <= {seen.number for seen in view}
