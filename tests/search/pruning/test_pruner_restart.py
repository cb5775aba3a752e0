"""The pruner after a kill, on repeated reports, and what it keeps in memory."""

import weakref
from dataclasses import replace

import numpy as np
import pytest

from search.pruning.flat_sharpe import FlatRule
from search.pruning.history import DailyReturns
from search.pruning.pruner import Pruner
from search.pruning.rung_rules import RULES
from tests.fixtures.curves import DAYS, YEAR, V, curve, make_pruner, report
from trainable.report import Report, Stop


def campaign(seed: int) -> list[list[Report]]:
    """Returns batches of cohorts of four: trials improve, explode, repeat another or stay flat."""
    rng = np.random.default_rng(seed)
    batches: list[list[Report]] = []
    for cohort in range(6):
        curves = []
        for number in range(4 * cohort, 4 * cohort + 4):
            start, gain = rng.normal(0, 0.5), max(rng.normal(0, 0.5), 0.0)
            reports = curve(number, [start + gain * e / 20 for e in range(20)], seed)
            if number % 5 == 4:
                reports[7] = report(number, 8, None, stop=Stop("nan_explosion", {"step": 701}))
            if number % 7 == 6 and curves:
                reports[0] = replace(curves[-1][0], number=number)
            curves.append(reports)
        for first in range(0, 20, 4):
            batches.append([r for reports in curves for r in reports[first : first + 4]])
    order = rng.permutation(np.repeat(np.arange(6), 5))
    queues = [iter(batches[5 * c : 5 * c + 5]) for c in range(6)]
    return [next(queues[c]) for c in order]


def fresh(minimum: int = 3) -> Pruner:
    pruner = Pruner(
        (2, 8, 20), DAYS, YEAR, minimum=minimum, rule=RULES["ranks"], flat=FlatRule(window=5)
    )
    pruner.exempt(11)
    return pruner


def test_the_campaign_of_these_tests_shows_every_kind_of_end() -> None:
    ends = [v.reason for seed in range(6, 12) for v in fresh().restore(campaign(seed)).values()]
    expected = {"asha_rung", "nan_explosion", "frozen_metric", "completed", "flat_sharpe"}
    assert expected <= set(ends)


@pytest.mark.parametrize("seed", range(6, 12))
def test_a_killed_search_restored_decides_as_one_never_killed(seed: int) -> None:
    batches = campaign(seed)
    whole = fresh()
    expected = [whole.judge(batch) for batch in batches]
    for cut in (1, 9, 17, 26):
        pruner = fresh()
        lost = pruner.restore(batches[:cut])
        seen = {n for verdicts in expected[:cut] for n in verdicts}
        ended = {n: v for verdicts in expected[:cut] for n, v in verdicts.items() if v.ends}
        assert {n: v for n, v in lost.items() if v.ends} == ended
        assert lost.keys() == seen
        assert [pruner.judge(batch) for batch in batches[cut:]] == expected[cut:]
        assert pruner.rungs == whole.rungs


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
    pruner = make_pruner()
    ended = pruner.judge([report(n, 1, float(n)) for n in range(8)])[0]
    assert pruner.judge([report(0, 2, 99.0)])[0] == ended
    assert pruner.objective(0) == 0.0


def test_returns_are_kept_only_over_the_window_and_only_while_a_trial_lives(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[weakref.ref[np.ndarray]] = []
    daily = DailyReturns.of

    def noted(self: DailyReturns, of: Report) -> np.ndarray | None:
        returns = daily(self, of)
        assert returns is not None
        made.append(weakref.ref(returns))
        return returns

    monkeypatch.setattr(DailyReturns, "of", noted)
    pruner = make_pruner(50)
    reports = curve(0, [float(s) for s in np.linspace(-0.5, 4.0, 50)])
    held = []
    for each in reports:
        verdict = pruner.judge([each])[0]
        if verdict.ends:
            pruner.note_end(0, str(verdict.reason))
        held.append(sum(alive.nbytes for ref in made if (alive := ref()) is not None))
    assert len(made) == 50
    assert max(held) == 8 * V * 4
    assert held[-1] == 0


def test_an_end_that_is_told_before_its_last_report_counts_once_and_with_that_report() -> None:
    """As other drivers' are: the study tells the end before the reports are read."""
    in_order, early = make_pruner(4), make_pruner(4)
    rng = np.random.default_rng(5)
    for number in range(40):
        first, *rest = curve(number, rng.normal(0.5, 0.7, 2).tolist())
        last = replace(rest[-1], epoch=4, stop=Stop("completed", {"epoch": 4}))
        for each in (in_order, early):
            each.exempt(99)
            each.judge([first])
        early.note_end(number, "completed")
        for each in (in_order, early):
            each.judge([last])
            each.note_end(number, "completed")
            each.note_end(number, "completed")
    expected = in_order.expected_rise(40, 40)
    assert expected is not None
    assert early.expected_rise(40, 40) == expected


def test_an_empty_batch_is_nothing() -> None:
    assert make_pruner().judge([]) == {}
    assert make_pruner().restore([]) == {}
