"""The judge on hand-made curves: which rule ends a trial, when, and with which evidence."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from search.flatness import FlatRule
from search.pruning import Judge
from search.rungs import rung_levels
from search.verdict import Verdict
from trainable.errors import UserError
from trainable.report import NUMERIC_FAILURES, Report, Stop

DAYS = np.arange("2015-01-01", "2018-06-04", dtype="datetime64[D]")
V = len(DAYS)
YEAR = 252.0


def judge_for(epochs: int = 16, first: int = 1, **options: Any) -> Judge:
    return Judge(rung_levels(epochs, first, 4), DAYS, YEAR, **options)


def report(number: int, epoch: int, sharpe: float | None = None, **rest: Any) -> Report:
    """Returns a healthy report: a loss of its own at every epoch of every trial."""
    loss = rest.pop("val_loss", 1.0 - 1e-3 * epoch - 1e-6 * number)
    values = {"sharpe": sharpe, "val_loss": loss, "ic": rest.pop("ic", 0.01)}
    values |= {"rank_ic": rest.pop("rank_ic", None)}
    return Report(number, epoch, 100 * epoch, values, **rest)


def sharpe_of(returns: np.ndarray) -> float:
    return float(returns.mean() / returns.std(ddof=1)) * math.sqrt(YEAR)


def curve(
    number: int, sharpes: Sequence[float], seed: int = 0, jitter: float = 0.03, ic: float = 0.01
) -> list[Report]:
    """Returns one report an epoch whose returns have about the Sharpe ratio asked for.

    The epochs share their market; `jitter` is the part of the returns that is each epoch's own.
    """
    rng = np.random.default_rng([seed, number])
    shared = rng.standard_normal(V)
    shared -= shared.mean()
    reports = []
    for epoch, sharpe in enumerate(sharpes, start=1):
        noise = shared + jitter * rng.standard_normal(V)
        returns = 0.01 * (noise + sharpe / math.sqrt(YEAR))
        reports.append(
            report(number, epoch, sharpe_of(returns), net_returns=returns, ic=ic * sharpe)
        )
    return reports


def ending(judge: Judge, reports: Sequence[Report]) -> tuple[int, Verdict]:
    """Returns epoch and verdict at which a trial fed epoch by epoch ended."""
    for each in reports:
        verdict = judge.judge([each])[each.number]
        if verdict.ends:
            return each.epoch, verdict
    pytest.fail("the trial did not end")


# The objective


def test_the_objective_is_the_mean_of_the_last_three_reports() -> None:
    judge = judge_for()
    for epoch, sharpe in enumerate([1.0, 2.0, 6.0, None, None, 3.0], start=1):
        judge.judge([report(0, epoch, sharpe)])
    assert [judge.objective(0, e) for e in range(1, 7)] == [1.0, 1.5, 3.0, 4.0, 6.0, 3.0]
    assert judge.objective(0) == 3.0


def test_an_objective_with_no_defined_report_is_none() -> None:
    judge = judge_for()
    judge.judge([report(0, epoch, None) for epoch in (1, 2, 3)])
    assert judge.objective(0) is None
    assert judge.objective(0, 9) is None
    assert judge.objective(5) is None


def test_the_validation_loss_is_better_when_lower() -> None:
    judge = judge_for(objective="val_loss")
    verdicts = judge.judge([report(n, 1, val_loss=float(n)) for n in range(8)])
    assert [n for n, v in verdicts.items() if not v.ends] == [0, 1, 2]
    assert judge.objective(3) == -3.0


def test_an_unknown_objective_is_the_persons_error() -> None:
    with pytest.raises(UserError, match="did you mean 'sharpe'"):
        judge_for(objective="sharp")


# Rungs


def test_a_rung_judges_all_members_of_a_batch_together() -> None:
    verdicts = judge_for().judge([report(n, 1, float(n)) for n in range(8)])
    assert [n for n, v in verdicts.items() if v.reason == "asha_rung"] == [0, 1, 2, 3, 4]


def test_nobody_is_judged_between_rungs() -> None:
    judge = judge_for(first=2)
    early = judge.judge([report(n, 1, float(n)) for n in range(8)])
    assert not any(v.ends for v in early.values())
    assert [state.count for state in judge.rungs] == [0, 0, 0]
    at_rung = judge.judge([report(n, 2, float(n)) for n in range(8)])
    alive = [n for n, v in at_rung.items() if not v.ends]
    assert alive == [5, 6, 7]
    assert not any(v.ends for v in judge.judge([report(n, 3, -9.0) for n in alive]).values())


def test_a_batch_of_several_epochs_decides_as_one_epoch_at_a_time() -> None:
    rng = np.random.default_rng(0)
    table = rng.standard_normal((32, 16))
    reports = [[report(n, e + 1, float(table[n, e])) for n in range(32)] for e in range(16)]
    one_by_one, at_once = judge_for(), judge_for()
    last: dict[int, Verdict] = {}
    for epoch in reports:
        last |= {n: v for n, v in one_by_one.judge(epoch).items()}
    together = at_once.judge([r for epoch in reports for r in epoch])
    assert together == last
    assert at_once.rungs == one_by_one.rungs
    assert {v.reason for v in together.values()} == {"asha_rung", "completed"}


def test_who_is_cut_at_a_rung_does_not_enter_the_next_one() -> None:
    judge = judge_for()
    judge.judge([report(n, e, float(n)) for n in range(8) for e in range(1, 5)])
    assert [state.count for state in judge.rungs] == [8, 3, 0]


def test_a_missed_rung_is_made_up_at_the_next_report() -> None:
    judge = judge_for()
    judge.judge([report(n, 4, float(n)) for n in range(8)])
    judge.judge([report(8, 3, 0.0)])
    assert judge.judge([report(8, 5, -1.0)])[8].reason == "asha_rung"
    assert [state.count for state in judge.rungs] == [1, 9, 0]


def test_the_last_epoch_completes() -> None:
    judge = judge_for(epochs=4)
    verdicts = judge.judge([report(n, e, float(n)) for n in range(3) for e in range(1, 5)])
    assert {(v.action, v.reason) for v in verdicts.values()} == {("complete", "completed")}
    assert judge.rungs[-1].count == 3


def test_facts_nan_trial_is_not_kept_by_a_rung() -> None:
    judge = judge_for()
    batch = [report(n, 1, -float(n)) for n in range(8)]
    verdicts = judge.judge([*batch, report(8, 1, math.nan), report(9, 1, None)])
    assert verdicts[8].reason == verdicts[9].reason == "asha_rung"
    assert verdicts[8].evidence["value"] is None


def test_a_rung_of_only_undefined_values_stops_nobody_but_does_not_crash() -> None:
    verdicts = judge_for(minimum=1).judge([report(n, 1, None) for n in range(8)])
    assert not any(v.ends for v in verdicts.values())


def test_a_seed_member_is_exempt_from_rungs_and_enters_none() -> None:
    judge = judge_for(epochs=4)
    judge.exempt(8)
    batch = [report(n, 1, float(n)) for n in range(8)]
    assert not judge.judge([*batch, report(8, 1, -99.0)])[8].ends
    assert judge.rungs[0].count == 8
    assert judge.judge([report(8, e, -99.0) for e in (2, 3, 4)])[8].reason == "completed"
    assert judge.rungs[-1].count == 0


# What the worker says


@pytest.mark.parametrize("reason", NUMERIC_FAILURES)
def test_a_numeric_failure_passes_through_with_its_evidence(reason: str) -> None:
    judge, evidence = judge_for(), {"step": 17, "tensor": "layers.0.weight"}
    verdict = judge.judge([report(0, 1, 5.0, stop=Stop(reason, evidence))])[0]
    assert verdict == Verdict("prune", reason, evidence)
    assert judge.rungs[0].count == 0


def test_early_stopping_and_completion_pass_through_and_enter_their_rung() -> None:
    judge = judge_for()
    judge.judge([report(n, 1, float(n)) for n in range(5, 10)])
    for number, reason in enumerate(["completed", "converged"]):
        stop = Stop(reason, {"best_epoch": 1})
        verdict = judge.judge([report(number, 1, -9.0, stop=stop)])[number]
        assert verdict == Verdict("complete", reason, {"best_epoch": 1})
    assert judge.rungs[0].count == 7


def test_the_time_budget_prunes() -> None:
    verdict = judge_for().judge([report(0, 2, 1.0, stop=Stop("time_budget"))])[0]
    assert (verdict.action, verdict.reason) == ("prune", "time_budget")


def test_a_reason_that_no_worker_can_give_is_a_defect() -> None:
    with pytest.raises(ValueError, match="asha_rung"):
        judge_for().judge([report(0, 2, 1.0, stop=Stop("asha_rung"))])


def test_a_retried_member_may_stop_at_an_epoch_it_had_reported() -> None:
    judge = judge_for()
    judge.judge([report(0, 2, 1.0)])
    verdict = judge.judge([report(0, 2, 1.0, stop=Stop("nan_explosion"))])[0]
    assert verdict.reason == "nan_explosion"


# Frozen metrics


def test_system_c1_bit_identical_metric_is_a_defect() -> None:
    frozen = [report(0, e, 0.08177260619898637, val_loss=0.5) for e in range(1, 4)]
    epoch, verdict = ending(judge_for(), frozen)
    assert epoch == 3
    assert (verdict.action, verdict.reason) == ("prune", "frozen_metric")
    assert verdict.evidence == {
        "epochs": [1, 2, 3],
        "val_loss": 0.5,
        "sharpe": 0.08177260619898637,
    }


def test_one_bit_of_difference_is_not_frozen() -> None:
    judge = judge_for()
    last = float(np.nextafter(0.5, 1.0))
    losses = [0.5, 0.5, last, last, 0.5]
    reports = [report(0, e, 0.1, val_loss=x) for e, x in enumerate(losses, start=1)]
    assert not judge.judge(reports)[0].ends


def test_undefined_metrics_are_not_frozen() -> None:
    judge = judge_for()
    assert not judge.judge([report(0, e, None, val_loss=0.5) for e in range(1, 6)])[0].ends
    assert not judge.judge([report(1, e, 0.5, val_loss=None) for e in range(1, 6)])[1].ends


def test_an_exempt_seed_member_can_be_frozen() -> None:
    judge = judge_for()
    judge.exempt(0)
    verdict = judge.judge([report(0, e, 0.1, val_loss=0.5) for e in range(1, 4)])[0]
    assert verdict.reason == "frozen_metric"


def test_system_c1_two_different_trials_with_the_same_bits_are_a_defect() -> None:
    judge = judge_for()
    returns = np.random.default_rng(0).standard_normal(V)
    judge.register(3, "lr 1e-3")
    judge.register(4, "lr 1e-4")
    twins = [report(n, 1, 0.7, val_loss=0.5, net_returns=returns.copy()) for n in (4, 3)]
    verdicts = judge.judge(twins)
    assert not verdicts[3].ends
    assert verdicts[4].reason == "frozen_metric"
    assert verdicts[4].evidence == {"same_as": 3, "epoch": 1, "val_loss": 0.5, "sharpe": 0.7}
    assert judge.rungs[0].count == 1


def test_twins_must_agree_in_epoch_returns_and_metrics_and_have_all_of_them() -> None:
    judge = judge_for(minimum=50)
    returns = np.random.default_rng(0).standard_normal(V)
    other = returns.copy()
    other[-1] = np.nextafter(other[-1], 9.0)
    batch = [
        report(0, 1, 0.7, val_loss=0.5, net_returns=returns),
        report(1, 2, 0.7, val_loss=0.5, net_returns=returns),
        report(2, 1, 0.7, val_loss=0.5, net_returns=other),
        report(3, 1, 0.8, val_loss=0.5, net_returns=returns),
        report(4, 1, None, val_loss=0.5, net_returns=None),
        report(5, 1, None, val_loss=0.5, net_returns=None),
    ]
    assert not any(v.ends for v in judge.judge(batch).values())


def test_the_same_configuration_and_seed_may_have_the_same_bits() -> None:
    judge = judge_for()
    returns = np.random.default_rng(0).standard_normal(V)
    for number in (0, 1):
        judge.register(number, "lr 1e-3, seed 0")
        twin = report(number, 1, 0.7, val_loss=0.5, net_returns=returns)
        assert not judge.judge([twin])[number].ends


# The flat Sharpe


def filled(judge: Judge, levels: Sequence[int], value: float) -> Judge:
    """Puts three other trials of one value on some rungs."""
    for number in range(100, 103):
        judge.judge([report(number, e, value) for e in range(1, max(levels) + 1)])
    return judge


def rises(sharpes: Sequence[float]) -> str | None:
    return ending(judge_for(50), curve(0, sharpes))[1].reason


def test_a_constant_curve_with_noise_is_called_flat_soon_after_the_window() -> None:
    """Window 10, smoothing 3, streak 3: epoch 15 at the earliest."""
    epochs = [ending(judge_for(50), curve(0, [0.8] * 50, seed))[0] for seed in range(20)]
    assert min(epochs) == 15
    assert float(np.median(epochs)) <= 17
    assert max(epochs) <= 25


def test_a_curve_that_still_improves_is_almost_never_called_flat() -> None:
    """0.3 annual Sharpe per window of ten epochs, from below zero, over the whole training."""
    sharpes = [float(s) for s in np.linspace(-0.5, 1.0, 50)]
    reasons = [ending(judge_for(50), curve(0, sharpes, seed))[1].reason for seed in range(40)]
    assert reasons.count("completed") >= 39


def test_a_late_riser_is_not_called_flat_before_its_plateau() -> None:
    sharpes = [1.2 * (1 - math.exp(-e / 8)) for e in range(50)]
    for seed in range(10):
        epoch, _ = ending(judge_for(50), curve(0, sharpes, seed))
        assert sharpes[-1] - sharpes[epoch - 1] < 0.1, seed


def test_flat_and_not_positive_is_pruned_with_its_figures() -> None:
    judge = judge_for(50)
    epoch, verdict = ending(judge, curve(0, [-0.4] * 50))
    assert (verdict.action, verdict.reason) == ("prune", "flat_sharpe")
    evidence = verdict.evidence
    assert evidence["upper_bound"] < evidence["margin"] == 0.1
    assert (evidence["window"], evidence["days"]) == (10, V)
    assert evidence["sharpe"] == evidence["value"] == judge.objective(0, epoch)
    assert evidence["sharpe"] < 0
    assert evidence["median"] is None
    json.dumps(evidence, allow_nan=False)


def test_flat_at_a_positive_sharpe_above_the_last_rungs_median_has_converged() -> None:
    judge = filled(judge_for(50), [16], value=0.5)
    _, verdict = ending(judge, curve(0, [0.8] * 50))
    assert (verdict.action, verdict.reason) == ("complete", "converged")
    assert (verdict.evidence["median"], verdict.evidence["median_level"]) == (0.5, 16)


def test_flat_at_a_positive_sharpe_below_the_last_rungs_median_is_pruned() -> None:
    judge = filled(judge_for(50), [50], value=1.5)
    _, verdict = ending(judge, curve(0, [0.8] * 50))
    assert (verdict.action, verdict.reason) == ("prune", "flat_sharpe")
    assert verdict.evidence["median_level"] == 50


def test_flat_and_alone_on_all_rungs_has_converged_when_positive() -> None:
    assert rises([0.8] * 50) == "converged"


def test_no_flat_verdict_before_the_warm_up_has_ended() -> None:
    judge = judge_for(50, warmup_ends=30)
    assert ending(judge, curve(0, [-0.4] * 50))[0] == 33  # three epochs in a row after it


def test_no_flat_verdict_while_the_ic_rises() -> None:
    judge = judge_for(50)
    reports = curve(0, [-0.4] * 50)
    rising = [
        report(0, r.epoch, r.values["sharpe"], net_returns=r.net_returns, ic=0.001 * r.epoch)
        for r in reports
    ]
    assert ending(judge, rising)[1].reason == "completed"


def test_no_flat_verdict_without_position_at_either_end_of_the_window() -> None:
    reports = curve(0, [-0.4] * 50)
    assert ending(judge_for(50), reports)[0] == 15
    reports[12] = report(0, 13, None)
    assert ending(judge_for(50), reports)[0] == 18
    always = [report(0, epoch, None) for epoch in range(1, 51)]
    assert ending(judge_for(50), always)[1].reason == "completed"


def test_no_flat_verdict_on_the_validation_loss_while_it_falls() -> None:
    falling = judge_for(50, objective="val_loss")
    assert ending(falling, curve(0, [-0.4] * 50))[1].reason == "completed"
    still = judge_for(50, objective="val_loss")
    reports = [
        report(
            0, r.epoch, r.values["sharpe"], net_returns=r.net_returns, val_loss=1 + r.epoch * 1e-9
        )
        for r in curve(0, [-0.4] * 50)
    ]
    assert ending(still, reports)[1].reason == "flat_sharpe"


def test_an_exempt_seed_member_is_never_called_flat() -> None:
    judge = judge_for(50)
    judge.exempt(0)
    assert ending(judge, curve(0, [-0.4] * 50))[1].reason == "completed"


def test_intraday_returns_are_judged_by_days() -> None:
    bars = 7
    stamps = (
        DAYS[:, None].astype("datetime64[h]") + np.arange(14, 14 + bars).astype("timedelta64[h]")
    ).ravel()
    rng = np.random.default_rng(0)
    base = rng.standard_normal(len(stamps))
    judge = Judge((1, 50), stamps, YEAR * bars)
    reports = []
    for epoch in range(1, 51):
        returns = 1e-3 * (base + 0.03 * rng.standard_normal(len(stamps)))
        sharpe = float(returns.mean() / returns.std() * math.sqrt(YEAR * bars))
        reports.append(report(0, epoch, sharpe, net_returns=returns))
    epoch, verdict = ending(judge, reports)
    assert epoch < 25
    assert verdict.evidence["days"] == V


def test_returns_of_another_length_are_a_defect() -> None:
    with pytest.raises(ValueError, match="trial 3: 5 returns for"):
        judge_for().judge([report(3, 1, 1.0, net_returns=np.zeros(5))])


# Idempotence, restart, memory


def campaign(seed: int) -> list[list[Report]]:
    """Returns batches of cohorts of four whose members improve, explode, freeze or stay flat."""
    rng = np.random.default_rng(seed)
    batches: list[list[Report]] = []
    for cohort in range(6):
        curves = []
        for number in range(4 * cohort, 4 * cohort + 4):
            start, gain = rng.normal(0, 0.5), max(rng.normal(0, 0.5), 0.0)
            reports = curve(number, [start + gain * e / 20 for e in range(20)], seed)
            if number % 5 == 4:
                reports[7] = report(number, 8, None, stop=Stop("nan_explosion", {"step": 701}))
            if number % 7 == 6:
                reports[:3] = [report(number, e, 3.0, val_loss=0.5) for e in (1, 2, 3)]
            curves.append(reports)
        for first in range(0, 20, 4):
            batches.append([r for reports in curves for r in reports[first : first + 4]])
    order = rng.permutation(np.repeat(np.arange(6), 5))
    queues = [iter(batches[5 * c : 5 * c + 5]) for c in range(6)]
    return [next(queues[c]) for c in order]


def fresh(minimum: int = 3) -> Judge:
    judge = Judge((2, 8, 20), DAYS, YEAR, minimum=minimum, flat=FlatRule(window=5))
    judge.exempt(11)
    return judge


def test_the_campaign_of_these_tests_shows_every_kind_of_end() -> None:
    ends = [v.reason for seed in range(6) for v in fresh().restore(campaign(seed)).values()]
    expected = {"asha_rung", "nan_explosion", "frozen_metric", "completed", "flat_sharpe"}
    assert expected <= set(ends)


@pytest.mark.parametrize("seed", range(6))
def test_a_killed_search_restored_decides_as_one_never_killed(seed: int) -> None:
    batches = campaign(seed)
    whole = fresh()
    expected = [whole.judge(batch) for batch in batches]
    for cut in (1, 9, 17, 26):
        judge = fresh()
        lost = judge.restore(batches[:cut])
        seen = {n for verdicts in expected[:cut] for n in verdicts}
        ended = {n: v for verdicts in expected[:cut] for n, v in verdicts.items() if v.ends}
        assert {n: v for n, v in lost.items() if v.ends} == ended
        assert lost.keys() == seen
        assert [judge.judge(batch) for batch in batches[cut:]] == expected[cut:]
        assert judge.rungs == whole.rungs


@pytest.mark.parametrize("seed", range(3))
def test_repeated_reports_change_nothing_and_get_the_same_verdict(seed: int) -> None:
    batches = campaign(seed)
    rng = np.random.default_rng(seed)
    once, twice = fresh(), fresh()
    for position, batch in enumerate(batches):
        expected = once.judge(batch)
        assert twice.judge([*batch, *batch[::2]]) == expected
        assert twice.judge(batch) == expected
        old = batches[int(rng.integers(position + 1))]
        twice.judge(old)
        assert twice.rungs == once.rungs
        for each in batch:
            expected_value = once.objective(each.number, each.epoch)
            assert twice.objective(each.number, each.epoch) == expected_value


def test_a_member_that_has_ended_keeps_its_verdict_whatever_it_reports() -> None:
    judge = judge_for()
    ended = judge.judge([report(n, 1, float(n)) for n in range(8)])[0]
    assert judge.judge([report(0, 2, 99.0)])[0] == ended
    assert judge.objective(0) == 0.0


def test_returns_are_kept_only_over_the_window_and_only_while_a_trial_lives() -> None:
    judge = judge_for(50)
    reports = curve(0, [float(s) for s in np.linspace(-0.5, 4.0, 50)])
    held = []
    for each in reports:
        judge.judge([each])
        history = judge._members[0].history
        held.append(sum(e.returns.nbytes for e in history._epochs if e.returns is not None))
    assert max(held) == 13 * V * 4
    assert held[-1] == 0


def test_an_empty_batch_is_nothing() -> None:
    assert judge_for().judge([]) == {}
    assert judge_for().restore([]) == {}
