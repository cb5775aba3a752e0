"""The flat rule measures in annual Sharpe ratios, whatever its periods are."""

import math

import numpy as np
import pytest

from analysis.statistics.paired_sharpe import newey_west_variance
from search.pruning.asha import rung_epochs
from search.pruning.flat_sharpe import FlatRule, flatness
from search.pruning.pruner import Pruner
from search.pruning.verdict import Verdict
from trainable.report import Report

each_year = pytest.mark.parametrize("year", [12.0, 252.0, 365.0, 1638.0])
PERIODS = 200


def ratio(x: np.ndarray) -> float:
    return float(x.mean() / x.std())


def influence(x: np.ndarray) -> np.ndarray:
    z = (x - x.mean()) / x.std()
    return z - ratio(x) / 2 * (z**2 - 1)


@each_year
def test_improvement_error_and_bound_are_annual(year: float) -> None:
    rng = np.random.default_rng(0)
    before = rng.normal(0.001, 0.01, PERIODS)
    now = before + rng.normal(0.0001, 0.0005, PERIODS)
    rule = FlatRule(margin=50.0, confidence=0.9)
    found = flatness(before, now, 0.0, year, rule)
    error = math.sqrt(newey_west_variance(influence(now) - influence(before)) * year)
    gain = (ratio(now) - ratio(before)) * math.sqrt(year)
    assert found.flat
    assert found.evidence["improvement"] == pytest.approx(gain)
    assert found.evidence["standard_error"] == pytest.approx(error)
    assert found.evidence["upper_bound"] == pytest.approx(gain + 1.2815515655 * error)


def test_the_margin_is_annual() -> None:
    """The same gain a period is nothing in a year of 12, and a lot in one of 100,000."""
    before = np.random.default_rng(0).normal(0.001, 0.01, PERIODS)
    now = before + 3e-5
    gain = ratio(now) - ratio(before)
    for year, flat in ((12.0, True), (100_000.0, False)):
        assert (gain * math.sqrt(year) < 0.1) == flat
        assert flatness(before, now, 0.0, year, FlatRule()).flat == flat


def judged(stamps: np.ndarray, year: float, returns: np.ndarray) -> Verdict:
    """What ends a trial that reports the same returns but for a trifle at every epoch."""
    judge = Pruner(rung_epochs(40, 1, 4), stamps, year)
    noise = np.random.default_rng(1)
    for epoch in range(1, 41):
        net = returns + 1e-5 * noise.standard_normal(len(returns))
        values: dict[str, float | None] = {
            "sharpe": ratio(net), "val_loss": 1.0 + epoch / 1000, "ic": 0.01, "rank_ic": 0.0,
        }  # fmt: skip
        report = Report(0, epoch, epoch, values, net_returns=net)
        verdict = judge.judge([report])[0]
        if verdict.ends:
            return verdict
    raise AssertionError("it never ended")


@each_year
@pytest.mark.parametrize("bars_a_day", [1, 4])
def test_the_judge_sums_bars_to_days_and_counts_the_days_of_a_year(
    year: float, bars_a_day: int
) -> None:
    step = np.timedelta64(24 // bars_a_day, "h")
    stamps = np.datetime64("2020-01-01", "h") + np.arange(PERIODS * bars_a_day) * step
    returns = np.random.default_rng(0).normal(-0.001, 0.01, len(stamps))
    verdict = judged(stamps, year * bars_a_day, returns)
    assert verdict.reason == "flat_sharpe"
    evidence = verdict.evidence
    assert evidence["days"] == PERIODS
    scale = math.sqrt(year)
    # What the smoothed ends differ by, drawn again in the same order: a window of 5.
    noise = np.random.default_rng(1)
    nets = [returns + 1e-5 * noise.standard_normal(len(returns)) for _ in range(40)]
    days = [net.reshape(PERIODS, bars_a_day).sum(axis=1) for net in nets]
    ends = [
        (np.mean(days[last - 8 : last - 5], axis=0), np.mean(days[last - 3 : last], axis=0))
        for last in range(8, 41)
    ]
    gains = [(ratio(now) - ratio(before)) * scale for before, now in ends]
    errors = [
        math.sqrt(newey_west_variance(influence(now) - influence(before))) * scale
        for before, now in ends
    ]
    second = 1  # epoch 9: the lowest loss, of the first epoch, is a fifth of 40 epochs old
    assert evidence["improvement"] == pytest.approx(gains[second], rel=1e-3)
    assert evidence["standard_error"] == pytest.approx(errors[second], rel=1e-3)
