from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.statistics.snooping.luck_line import luck_line, luck_sentence, luck_verdict
from trainable.cli.errors import UserError


def test_64_useless_trials_on_1247_days() -> None:
    assert round(luck_line(64, 1247, 252), 2) == 1.07


def test_one_trial_expects_nothing() -> None:
    assert luck_line(1, 1247, 252) == 0.0


@pytest.mark.parametrize("trials", [4, 16, 64, 512])
def test_line_is_what_simulated_useless_trials_reach(trials: int) -> None:
    periods, searches = 250, 4_000_000 // (250 * trials)
    random = np.random.default_rng(trials)
    returns = random.normal(0, 0.01, (max(searches, 60), trials, periods))
    sharpe = returns.mean(2) / returns.std(2, ddof=1) * sqrt(252)
    best = sharpe.max(1)
    error = best.std(ddof=1) / sqrt(len(best))
    assert luck_line(trials, periods, 252) == pytest.approx(best.mean(), abs=4 * error + 0.04)


@given(st.integers(1, 100_000), st.integers(10, 1_000_000), st.floats(1, 100_000))
def test_more_trials_reach_more_and_more_periods_less(
    trials: int, periods: int, year: float
) -> None:
    line = luck_line(trials, periods, year)
    assert line >= 0
    assert luck_line(trials + 1, periods, year) > line
    assert luck_line(trials, 2 * periods, year) <= line


@given(st.floats(1, 1e6))
def test_parts_of_trials_are_between_whole_ones(trials: float) -> None:
    assert luck_line(int(trials), 9, 252) <= luck_line(trials, 9, 252)
    assert luck_line(trials, 9, 252) <= luck_line(int(trials) + 1, 9, 252)


@pytest.mark.parametrize(("trials", "periods", "year"), [(0, 9, 252), (9, 0, 252), (9, 9, 0.0)])
def test_out_of_range_is_refused(trials: int, periods: int, year: float) -> None:
    with pytest.raises(UserError, match="at least 1 trial"):
        luck_line(trials, periods, year)


def test_sentence_names_best_trials_and_days() -> None:
    expected = "best 1.12; 64 useless trials on 1,247 days would reach 1.07"
    assert luck_sentence(1.12, 64, 1247, 252) == expected
    assert luck_sentence(None, 1, 1247, 252).startswith("no best yet; 1 useless trial on")
    assert "170,000 periods" in luck_sentence(0.5, 2, 170_000, 98_280)


def test_verdict_says_below_and_how_far_above() -> None:
    assert "nothing here is better than luck" in luck_verdict(1.0, 0.4, 1.07)
    assert luck_verdict(1.27, 0.4, 1.07).endswith("by 0.5 standard errors: not yet evidence")
    assert luck_verdict(2.07, 0.4, 1.07).endswith("by 2.5 standard errors")
    assert "unknown" in luck_verdict(2.0, None, 1.07)
