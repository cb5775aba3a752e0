"""Which ended trials the sampler learns from, and how it treats each."""

from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import (
    FloatDistribution,
)
from optuna.trial import TrialState

from search.sampler.observations import (
    TOLD_LIMIT,
    TOLD_STEP,
    Observation,
    select_told,
    state_for_tpe,
)


def made(number: int, **changes: object) -> Observation:
    trial = Observation(
        number, {"a": 0.5}, {"a": FloatDistribution(0.0, 1.0)}, {}, "PRUNED", "asha_rung"
    )
    return replace(trial, **changes)  # pyright: ignore[reportArgumentType]


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
def test_how_tpe_treats_an_ended_trial(changes: dict, expected: TrialState | None) -> None:
    assert state_for_tpe(made(0, **changes)) is expected


def told(n: int) -> list[Observation]:
    rng = np.random.default_rng(3)
    return [
        made(i, state="COMPLETE", reason="completed", value=float(rng.normal()))
        if i % 4
        else made(i, reports={1: float(rng.normal())})
        for i in range(n)
    ]


def test_the_best_and_the_newest_are_selected() -> None:
    trials = told(3 * TOLD_LIMIT)
    selected = {trial.number for trial in select_told(trials)}
    assert len(selected) == TOLD_LIMIT
    assert set(range(2500, 3000)) <= selected
    completed = [trial for trial in trials[:2500] if trial.value is not None]
    best = sorted(completed, key=lambda trial: -(trial.value or 0.0))[: TOLD_LIMIT // 2]
    assert {trial.number for trial in best} <= selected


def test_the_selection_puts_pruned_after_complete_and_numeric_failures_last() -> None:
    pruned = [made(i, reports={1: 1.0}) for i in range(400)]
    deeper = [made(400 + i, reports={1: 0.0, 4: -1.0}) for i in range(200)]
    failed = [made(600 + i, reason="nan_explosion", reports={16: 9.0}) for i in range(200)]
    done = [made(800 + i, reason="completed", state="COMPLETE", value=-5.0) for i in range(200)]
    newest = [made(1000 + i, reports={1: 0.0}) for i in range(500)]
    selected = {trial.number for trial in select_told([*pruned, *deeper, *failed, *done, *newest])}
    assert set(range(800, 1500)) <= selected
    assert set(range(400, 600)) <= selected
    assert not selected & set(range(600, 800))
    falling = [made(i, state="COMPLETE", reason="completed", value=-float(i)) for i in range(1500)]
    assert set(range(500)) <= {trial.number for trial in select_told(falling)}


@pytest.mark.parametrize("n", [0, 1, TOLD_LIMIT - 1, TOLD_LIMIT, 1249, 1250, 2777])
def test_the_selection_is_bounded_and_made_again_only_now_and_then(n: int) -> None:
    selected = select_told(told(n))
    assert (
        len({trial.number for trial in selected})
        == len(selected)
        <= min(n, TOLD_LIMIT + TOLD_STEP - 1)
    )
    if n > TOLD_LIMIT:
        made_at = n - (n - TOLD_LIMIT) % TOLD_STEP
        assert {trial.number for trial in select_told(told(made_at))} <= {
            trial.number for trial in selected
        }
