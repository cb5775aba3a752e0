"""Where trials blow up, as far as those that ended tell."""

from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import (
    CategoricalDistribution,
    FloatDistribution,
)

from search.sampler.feasibility import Feasibility, ParameterRows
from search.sampler.observations import Observation
from tests.search.sampler.test_observations import made


def at(number: int, lr: float, **changes: object) -> Observation:
    params = {"optimizer/lr": lr, "model/dims": "abc"[number % 3]}
    spaces = {
        "optimizer/lr": FloatDistribution(1e-6, 1e2, log=True),
        "model/dims": CategoricalDistribution(["a", "b", "c"]),
    }
    return replace(made(number, params=params, distributions=spaces), **changes)  # pyright: ignore[reportArgumentType]


def test_feasibility_finds_the_edge_of_what_trains() -> None:
    rates = 10.0 ** np.random.default_rng(0).uniform(-6, 2, 60)
    trials = [
        at(i, lr, reason="nan_explosion") if lr > 1e-2 else at(i, lr, reports={1: 0.1})
        for i, lr in enumerate(rates)
    ]
    edge = Feasibility(trials)
    assert edge.failure_probability({"optimizer/lr": 1.0, "model/dims": "a"}) > 0.95
    assert edge.failure_probability({"optimizer/lr": 1e-4, "model/dims": "b"}) < 0.05
    # A conditional parameter may be missing.
    assert edge.failure_probability({"optimizer/lr": 1.0}) > 0.95


def test_feasibility_leaves_out_trials_stopped_before_failures_show() -> None:
    failed = [at(i, 1.0, reason="nan_explosion", reports={1: 0.9}) for i in range(5)]
    cut = [at(5 + i, 1.0, reports={1: 0.5}) for i in range(50)]
    lasted = [at(55 + i, 1e-4, reports={1: 0.9, 4: 0.9}) for i in range(5)]
    assert Feasibility([*failed, *cut, *lasted]).failure_probability({"optimizer/lr": 1.0}) > 0.9


def test_feasibility_claims_nothing_from_little() -> None:
    always = [at(i, 1.0, reason="nan_explosion") for i in range(50)]
    for told_so_far in ([], always, always[:3]):
        edge = Feasibility(told_so_far)
        assert not edge.fitted
        assert edge.failure_probability({"optimizer/lr": 1.0}) == 0.0


def test_feasibility_gives_the_base_rate_where_failures_have_no_cause() -> None:
    rng = np.random.default_rng(1)
    trials = [
        at(i, 10.0 ** rng.uniform(-6, 2), reason="collapsed" if rng.random() < 0.2 else "asha_rung")
        for i in range(400)
    ]
    trials = [
        trial if trial.reason == "collapsed" else replace(trial, reports={1: 0.0})
        for trial in trials
    ]
    edge = Feasibility(trials)
    for lr in (1e-5, 1e-2, 10.0):
        assert edge.failure_probability({"optimizer/lr": lr, "model/dims": "a"}) == pytest.approx(
            0.2, abs=0.1
        )


def test_rows_that_are_kept_are_those_of_the_spaces_at_hand() -> None:
    """A space that got wider at resume changes every row."""
    rates = 10.0 ** np.random.default_rng(1).uniform(-6, 2, 20)
    trials = [at(i, lr) for i, lr in enumerate(rates)]
    kept = ParameterRows()
    assert (kept.of(trials[:10]) == ParameterRows().of(trials[:10])).all()
    assert (kept.of(trials) == ParameterRows().of(trials)).all()
    wider = {"optimizer/lr": FloatDistribution(1e-9, 1e3, log=True)}
    trials.append(replace(trials[0], number=99, distributions=trials[0].distributions | wider))
    assert (kept.of(trials) == ParameterRows().of(trials)).all()
    assert not (kept.of(trials)[:10] == ParameterRows().of(trials[:10])).all()


@pytest.mark.parametrize("value", [0.0, -1.0, 1e9, "fast", None])
def test_a_value_of_another_branch_of_the_space_counts_as_missing(value: object) -> None:
    rows = ParameterRows()
    rows.of([at(0, 1e-3)])
    without = rows.row({"model/dims": "a"})
    assert (rows.row({"model/dims": "a", "optimizer/lr": value}) == without).all()
