"""The pruner on hand-made curves: the objective, the rungs, and what the worker says."""

import math

import numpy as np
import pytest

from search.pruning.verdict import Verdict
from tests.fixtures.curves import V, make_pruner, report
from trainable.cli.errors import UserError
from trainable.report import Stop
from trainable.stop_reasons import KEEPS_MODEL, NUMERIC_FAILURES

# The objective


def test_the_objective_is_the_mean_of_the_last_three_reports() -> None:
    pruner = make_pruner()
    for epoch, sharpe in enumerate([1.0, 2.0, 6.0, None, None, 3.0], start=1):
        pruner.judge([report(0, epoch, sharpe)])
    assert [pruner.objective(0, e) for e in range(1, 7)] == [1.0, 1.5, 3.0, 4.0, 6.0, 3.0]
    assert pruner.objective(0) == 3.0


def test_an_objective_with_no_defined_report_is_none() -> None:
    pruner = make_pruner()
    pruner.judge([report(0, epoch, None) for epoch in (1, 2, 3)])
    assert pruner.objective(0) is None
    assert pruner.objective(0, 9) is None
    assert pruner.objective(5) is None


def test_the_validation_loss_is_better_when_lower() -> None:
    pruner = make_pruner(objective="val_loss")
    verdicts = pruner.judge([report(n, 1, val_loss=float(n)) for n in range(8)])
    assert [n for n, v in verdicts.items() if not v.ends] == [0, 1, 2]
    assert pruner.objective(3) == -3.0


def test_an_unknown_objective_is_the_persons_error() -> None:
    with pytest.raises(UserError, match="did you mean 'sharpe'"):
        make_pruner(objective="sharp")


# Rungs


def test_a_rung_judges_all_members_of_a_batch_together() -> None:
    verdicts = make_pruner().judge([report(n, 1, float(n)) for n in range(8)])
    assert [n for n, v in verdicts.items() if v.reason == "asha_rung"] == [0, 1, 2, 3, 4]


def test_nobody_is_judged_between_rungs() -> None:
    pruner = make_pruner(first=2)
    early = pruner.judge([report(n, 1, float(n)) for n in range(8)])
    assert not any(v.ends for v in early.values())
    assert [state.count for state in pruner.rungs] == [0, 0, 0]
    at_rung = pruner.judge([report(n, 2, float(n)) for n in range(8)])
    alive = [n for n, v in at_rung.items() if not v.ends]
    assert alive == [5, 6, 7]
    assert not any(v.ends for v in pruner.judge([report(n, 3, -9.0) for n in alive]).values())


def test_a_batch_of_several_epochs_decides_as_one_epoch_at_a_time() -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((32, 16))
    reports = [[report(n, e + 1, float(table[n, e])) for n in range(32)] for e in range(16)]
    one_by_one, at_once = make_pruner(), make_pruner()
    last: dict[int, Verdict] = {}
    for epoch in reports:
        last |= {n: v for n, v in one_by_one.judge(epoch).items()}
    together = at_once.judge([r for epoch in reports for r in epoch])
    assert together == last
    assert at_once.rungs == one_by_one.rungs
    assert {v.reason for v in together.values()} == {"asha_rung", "completed"}


def test_who_is_cut_at_a_rung_does_not_enter_the_next_one() -> None:
    pruner = make_pruner()
    pruner.judge([report(n, e, float(n)) for n in range(8) for e in range(1, 5)])
    assert [state.count for state in pruner.rungs] == [8, 3, 0]


def test_a_missed_rung_is_made_up_at_the_next_report() -> None:
    pruner = make_pruner()
    pruner.judge([report(n, 4, float(n)) for n in range(8)])
    pruner.judge([report(8, 3, 0.0)])
    assert pruner.judge([report(8, 5, -1.0)])[8].reason == "asha_rung"
    assert [state.count for state in pruner.rungs] == [1, 9, 0]


def test_the_last_epoch_completes() -> None:
    pruner = make_pruner(epochs=4)
    verdicts = pruner.judge([report(n, e, float(n)) for n in range(3) for e in range(1, 5)])
    assert {(v.action, v.reason) for v in verdicts.values()} == {("complete", "completed")}
    assert pruner.rungs[-1].count == 3


def test_facts_nan_trial_is_not_kept_by_a_rung() -> None:
    pruner = make_pruner()
    batch = [report(n, 1, -float(n)) for n in range(8)]
    verdicts = pruner.judge([*batch, report(8, 1, math.nan), report(9, 1, None)])
    assert verdicts[8].reason == verdicts[9].reason == "asha_rung"
    assert verdicts[8].evidence["value"] is None


def test_a_rung_of_only_undefined_values_stops_nobody_but_does_not_crash() -> None:
    verdicts = make_pruner(minimum=1).judge([report(n, 1, None) for n in range(8)])
    assert not any(v.ends for v in verdicts.values())


def test_a_seed_member_is_exempt_from_rungs_and_enters_none() -> None:
    pruner = make_pruner(epochs=4)
    pruner.exempt(8)
    batch = [report(n, 1, float(n)) for n in range(8)]
    assert not pruner.judge([*batch, report(8, 1, -99.0)])[8].ends
    assert pruner.rungs[0].count == 8
    assert pruner.judge([report(8, e, -99.0) for e in (2, 3, 4)])[8].reason == "completed"
    assert pruner.rungs[-1].count == 0


def test_what_is_finished_on_the_side_is_exempt_like_a_seed() -> None:
    pruner = make_pruner(epochs=4)
    pruner.exempt(8, to_its_end=True)
    batch = [report(n, 1, float(n)) for n in range(8)]
    assert not pruner.judge([*batch, report(8, 1, -99.0)])[8].ends
    assert pruner.judge([report(8, e, -99.0) for e in (2, 3, 4)])[8].reason == "completed"
    assert [state.count for state in pruner.rungs] == [8, 0]
    pruner.exempt(9, to_its_end=True)
    assert pruner.judge([report(9, 1, None, stop=Stop("collapsed"))])[9].reason == "collapsed"


# What the worker says


def test_a_trial_that_explodes_after_a_rung_leaves_no_value_to_be_held_to() -> None:
    pruner = make_pruner(minimum=1)
    pruner.judge([report(0, 1, 9.0)])
    pruner.judge([report(0, 2, stop=Stop("nan_explosion", {"step": 7}))])
    assert not pruner.judge([report(1, 1, 0.5)])[1].ends
    assert pruner.rungs[0].count == 1


@pytest.mark.parametrize("reason", NUMERIC_FAILURES)
def test_a_numeric_failure_passes_through_with_its_evidence(reason: str) -> None:
    pruner, evidence = make_pruner(), {"step": 17, "tensor": "layers.0.weight"}
    verdict = pruner.judge([report(0, 1, 5.0, stop=Stop(reason, evidence))])[0]
    assert verdict == Verdict("prune", reason, evidence)
    assert pruner.rungs[0].count == 0


def test_early_stopping_and_completion_pass_through_and_enter_their_rung() -> None:
    pruner = make_pruner()
    pruner.judge([report(n, 1, float(n)) for n in range(5, 10)])
    for number, reason in enumerate(["completed", "early_stopped", "converged"]):
        stop = Stop(reason, {"best_epoch": 1})
        verdict = pruner.judge([report(number, 1, -9.0, stop=stop)])[number]
        assert verdict == Verdict("complete", reason, {"best_epoch": 1})
    assert pruner.rungs[0].count == 8


@pytest.mark.parametrize("reason", KEEPS_MODEL)
def test_who_is_trained_to_the_end_before_a_verdict_comes_keeps_that_end(reason: str) -> None:
    """At a rung: below the cutoff at epoch 4, whose report comes together with the last one."""
    pruner, end = make_pruner(), Stop(reason, {"epoch": 6})
    pruner.judge([report(n, e, float(n)) for n in range(8) for e in range(1, 5)])
    pruner.judge([report(8, 1, 9.0)])
    batch = [report(8, 4, -9.0), report(8, 5, -9.0), report(8, 6, -9.0, stop=end)]
    assert pruner.judge(batch)[8] == Verdict("complete", reason, {"epoch": 6})
    assert pruner.judge(batch)[8] == Verdict("complete", reason, {"epoch": 6})
    assert pruner.epoch(8) == 6
    assert pruner.rungs[1].count == 4, "its value at the rung counts for the others"


def test_who_is_trained_to_the_end_has_a_defect_all_the_same() -> None:
    """Its metrics are those of another trial: whatever came later is the other's, too."""
    pruner, returns = make_pruner(), np.linspace(-0.01, 0.02, V)
    pruner.judge([report(0, 5, 1.0, net_returns=returns, val_loss=0.5)])
    same = report(1, 5, 1.0, net_returns=returns, val_loss=0.5)
    verdict = pruner.judge([same, report(1, 6, 2.0, stop=Stop("completed"))])[1]
    assert verdict.reason == "frozen_metric"


def test_the_time_budget_prunes() -> None:
    verdict = make_pruner().judge([report(0, 2, 1.0, stop=Stop("time_budget"))])[0]
    assert (verdict.action, verdict.reason) == ("prune", "time_budget")


def test_a_reason_that_no_worker_can_give_is_a_defect() -> None:
    with pytest.raises(ValueError, match="asha_rung"):
        make_pruner().judge([report(0, 2, 1.0, stop=Stop("asha_rung"))])


def test_a_retried_member_may_stop_at_an_epoch_it_had_reported() -> None:
    pruner = make_pruner()
    pruner.judge([report(0, 2, 1.0)])
    verdict = pruner.judge([report(0, 2, 1.0, stop=Stop("nan_explosion"))])[0]
    assert verdict.reason == "nan_explosion"
