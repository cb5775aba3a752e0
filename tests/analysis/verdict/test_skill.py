"""The verdict: planted skill and none, tries over all runs, and the words for both."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from analysis.load import Run
from analysis.ranking import summary_sentences
from analysis.statistics.snooping.cross_fit import cross_fit
from analysis.statistics.snooping.reality_check import reality_check
from analysis.verdict.skill import Skill, skill, verdict
from tests.analysis.test_ranking import row, run_of, seed
from tests.analysis.verdict.test_luck import with_returns

DAYS, TRIALS, FINALISTS = 756, 24, 4


def searched(sharpe: float, seed_of: int = 0, prior: int = 0) -> Run:
    """A run whose trials all have this true annual Sharpe ratio; the first four finished."""
    rng = np.random.default_rng(seed_of)
    common, own = rng.standard_normal((1, DAYS)), rng.standard_normal((TRIALS + 4, DAYS))
    returns = 0.01 * (np.sqrt(0.4) * common + np.sqrt(0.6) * own + sharpe / np.sqrt(252))
    ratios = returns.mean(axis=1) / returns.std(axis=1, ddof=1) * np.sqrt(252)
    rows = [
        row(n, float(ratio)) if n < FINALISTS else row(n, float(ratio), "PRUNED", "asha_rung")
        for n, ratio in enumerate(ratios[:TRIALS])
    ]
    rows += [seed(TRIALS + k, k, float(ratios[TRIALS + k])) for k in range(4)]
    run = with_returns(run_of(*rows, periods=DAYS), dict(enumerate(returns)))
    run.run["settings"] = {"tries": {"prior": prior}}
    return run


def found(run: Run) -> Skill:
    result = skill(run)
    assert result is not None
    return result


def test_planted_skill_is_found_and_said_with_what_to_expect() -> None:
    result = found(searched(2.5))
    assert result.found
    said = verdict(result)
    assert said.startswith("More than chance (p ")
    earned = f"{result.choice.sharpe:.2f} ± {result.choice.error:.2f}"
    assert said.endswith(f"): cross-validated Sharpe ratio {earned}.")
    assert summary_sentences(searched(2.5))[0] == said


def test_what_a_leak_would_be_too_is_said_to_be_so() -> None:
    result, useless = found(searched(2.5)), found(searched(0.0, 3))
    assert verdict(result, too_good=True).startswith("More than chance, as a leak is too (p ")
    assert verdict(useless, too_good=True) == verdict(useless)
    run = searched(9.0)
    alarm, said, *_ = summary_sentences(run)
    assert alarm.startswith("Too good, so look for a leak first: ")
    assert said == verdict(found(run), too_good=True)


def test_useless_trials_are_not_told_from_chance() -> None:
    assert sum(found(searched(0.0, number)).found for number in range(8)) <= 1
    assert verdict(found(searched(0.0, 3))).startswith("Not told from chance (p = ")


def test_the_figures_are_those_of_all_searched_trials_pruned_ones_included() -> None:
    run = searched(1.0)
    result = found(run)
    returns = np.array([run.curve(n)["net_return"] for n in range(TRIALS)]).T
    choice, best = cross_fit(returns, 252), reality_check(returns, 252)
    assert choice is not None
    assert best is not None
    assert result.choice.sharpe == pytest.approx(choice.sharpe)
    assert result.choice.p == choice.p
    assert result.best.best == pytest.approx(best.best)
    assert result.best.trials == TRIALS


def test_what_was_tried_elsewhere_makes_it_harder() -> None:
    alone, more = found(searched(1.2)), found(searched(1.2, prior=9 * TRIALS))
    assert (alone.searches, more.searches) == (1.0, 10.0)
    assert more.p == pytest.approx(1 - (1 - alone.p) ** 10)
    assert more.provable > alone.provable
    assert replace(alone, choice=replace(alone.choice, sharpe=-9.0), searches=50.0).p == 1.0


@pytest.mark.parametrize(("series", "strengths"), [(10, (1.2,) * 4), (300, (2.5, 3.0))])
def test_what_chance_reaches_is_held_against_the_same_tries_as_p(
    series: int, strengths: Sequence[float]
) -> None:
    """Who is told that useless trials reach less is also told that it is more than chance."""
    for seed_of, sharpe in enumerate(strengths):
        result = found(searched(sharpe, seed_of, prior=(series - 1) * TRIALS))
        assert result.testable
        bar = result.choice.point(result.level)
        assert result.choice.sharpe is not None
        assert result.found == (result.choice.sharpe >= bar)


def test_after_too_many_tries_nothing_is_tested() -> None:
    result = found(searched(8.0, prior=5000 * TRIALS))
    assert (result.testable, result.found) == (False, False)
    assert "this is one of 5,001 such searches" in verdict(result)


def test_bars_within_a_day_are_judged_by_days() -> None:
    """A morning of twenty bars is one day; days of four bars are as days of one."""
    rng = np.random.default_rng(0)
    daily = 0.01 * rng.standard_normal((2, 100))
    bars = np.repeat(daily / 4, 4, axis=1) + np.tile([1e-3, -1e-3, 2e-3, -2e-3], 100)
    frames = [
        pd.DataFrame(
            {
                "number": number,
                "epoch": 1,
                "timestamp": np.repeat(np.arange(100), 4).astype("datetime64[D]")
                + np.tile(np.arange(4), 100).astype("timedelta64[h]"),
                "net_return": values,
            }
        )
        for number, values in enumerate(bars)
    ]
    run = run_of(row(0, 1.0), row(1, 0.5))
    run.__dict__["returns"] = pd.concat(frames, ignore_index=True)
    run.run["data"]["periods_per_year"] = 4 * 252
    result = found(run)
    choice = cross_fit(daily.T, 252)
    assert choice is not None
    assert result.choice.p == choice.p
    assert result.ensemble.returns == pytest.approx(daily.mean(axis=0))
    morning = pd.concat([frame.iloc[:40] for frame in frames], ignore_index=True)
    run = run_of(row(0, 1.0), row(1, 0.5))
    run.__dict__["returns"] = morning
    assert skill(run) is None


def test_where_nothing_would_be_chosen_no_figure_is_shown() -> None:
    result = found(searched(-6.0))
    assert (result.choice.sharpe, result.p, result.found) == (None, 1.0, False)
    assert "so none would be chosen" in verdict(result)
    losing = replace(result, choice=replace(result.choice, sharpe=-4.0))
    assert verdict(losing).endswith(": cross-validated, the trials earn nothing.")
    assert "-4" not in verdict(losing)
    assert "To hold nothing would have been better." in summary_sentences(searched(-6.0))


@pytest.mark.parametrize(("better", "alike"), [(0.0, [0, 1, 2, 3]), (6.0, [0])])
def test_the_finalists_that_cannot_be_told_apart(better: float, alike: Sequence[int]) -> None:
    run = searched(0.0)
    returns = run.returns
    mine = returns["number"].isin([0, TRIALS])
    returns.loc[mine, "net_return"] += 0.01 * better / np.sqrt(252)
    result = found(run)
    assert list(result.alike or ()) == alike


def test_one_finalist_alone_is_compared_with_nobody() -> None:
    run = run_of(row(0, 1.0), row(1, 0.0, "PRUNED", "asha_rung"), periods=300)
    rng = np.random.default_rng(0)
    result = found(with_returns(run, dict(enumerate(0.01 * rng.standard_normal((2, 300))))))
    assert result.alike is None


def test_without_enough_days_or_finalists_nothing_is_said() -> None:
    short = with_returns(run_of(row(0, 1.0), periods=19), {0: np.arange(19) / 1e3})
    assert skill(short) is None
    pruned = run_of(row(0, 1.0, "PRUNED", "asha_rung"), periods=300)
    rng = np.random.default_rng(0)
    assert skill(with_returns(pruned, {0: 0.01 * rng.standard_normal(300)})) is None
