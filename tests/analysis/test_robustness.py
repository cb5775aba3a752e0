"""What Sharpe ratios rest on, each figure computed again from the returns."""

import numpy as np
import pandas as pd
import pytest

from analysis.load import Run
from analysis.ranking import rank
from analysis.robustness import robustness
from tests.analysis.test_ranking import row, run_of, seed
from tests.analysis.verdict.test_luck import with_returns

DAYS = pd.bdate_range("2018-11-01", "2020-03-10")  # few of 2018 and of 2020, all of 2019


def run_with(returns: dict[int, np.ndarray], *rows: dict, **record: object) -> Run:
    run = with_returns(run_of(*rows), returns)
    frame = run.returns
    frame["timestamp"] = DAYS.to_numpy()[frame["timestamp"]]
    run.run.update(record)
    return run


def ratio(returns: np.ndarray, year: float = 252) -> float:
    return float(returns.mean() / returns.std(ddof=1) * np.sqrt(year))


def test_every_figure_is_the_mean_over_the_seeds() -> None:
    rng = np.random.default_rng(0)
    a, b = 0.01 * rng.standard_normal((2, len(DAYS)))
    rows = [row(0, 1.0), seed(1, 0, 0.8)]
    rows = [one | {"break_even_bps": 4.0 + one["number"]} for one in rows]
    run = run_with({0: a, 1: b}, *rows, one_bar_later={"0": 0.5, "1": 0.1, "7": 9.0})
    (found,) = robustness(run).to_dict("records")
    assert (found["rank"], found["number"]) == (1, 0)
    assert found["sharpe_mean"] == pytest.approx(0.9)
    assert found["one_bar_later"] == pytest.approx(0.3)
    assert found["break_even_bps"] == pytest.approx(4.5)
    without = [ratio(np.sort(each)[:-5]) for each in (a, b)]
    assert found["without_best_days"] == pytest.approx(np.mean(without))
    inside = DAYS.year == 2019
    of_2019 = np.mean([ratio(each[inside]) for each in (a, b)])
    assert found["year.2019"] == pytest.approx(of_2019)
    assert [name for name in found if name.startswith("year.")] == ["year.2019"]


def test_a_year_is_shown_from_sixty_days_on() -> None:
    days = pd.bdate_range("2018-12-31", periods=61)
    rng = np.random.default_rng(0)
    for count, shown in ((60, []), (61, ["year.2019"])):
        run = with_returns(run_of(row(0, 1.0)), {0: 0.01 * rng.standard_normal(count)})
        run.returns["timestamp"] = days.to_numpy()[:count]
        assert [name for name in robustness(run) if str(name).startswith("year.")] == shown


def test_what_a_seed_lacks_is_unknown() -> None:
    rng = np.random.default_rng(0)
    a = 0.01 * rng.standard_normal(len(DAYS))
    rows = [row(0, 1.0) | {"break_even_bps": 4.0}, seed(1, 0, 0.8), row(2, 0.5), row(3, None)]
    run = run_with({0: a, 2: a[:20]}, *rows, one_bar_later={"0": 0.5})
    found = robustness(run)
    assert found["number"].to_list() == [0, 2]
    unknown = found.drop(columns=["rank", "number", "sharpe_mean"]).to_numpy()
    assert np.isnan(unknown).all()
    few = with_returns(run_of(row(0, 1.0)), {0: a[:24]})
    assert np.isnan(robustness(few)["without_best_days"].to_numpy()).all(), "19 days left"
    enough = with_returns(run_of(row(0, 1.0)), {0: a[:25]})
    expected = ratio(np.sort(a[:25])[:-5])
    assert robustness(enough)["without_best_days"].to_list() == pytest.approx([expected])
    assert robustness(run_of(row(0, None))).empty


def test_bars_within_a_day_are_days() -> None:
    rng = np.random.default_rng(0)
    daily = 0.01 * rng.standard_normal(len(DAYS))
    run = run_with({0: daily}, row(0, 1.0))
    frame = run.returns.loc[run.returns.index.repeat(4)].reset_index(drop=True)
    frame["net_return"] /= 4
    frame["timestamp"] += pd.to_timedelta(np.tile(np.arange(4), len(daily)), unit="h")
    hourly = run_of(row(0, 1.0))
    hourly.__dict__["returns"] = frame
    hourly.run["data"]["periods_per_year"] = 4 * 252
    pd.testing.assert_frame_equal(robustness(hourly), robustness(run))


def test_neighbours_are_the_ranked_in_the_space() -> None:
    """Of eight trials along one side of the cube, those next to each."""
    text = "FloatDistribution(high=0.007, log=False, low=0.0, step=None)"
    rows = [row(n, 0.1 * n) for n in range(8)]  # lr is number × 0.001
    rows.append(row(8, 9.0, "PRUNED", "asha_rung") | {"params.optimizer/lr": 0.0071})
    run = run_of(*rows)
    run.run["space"] = {"parameters": {"optimizer/lr": text, "gone": "F(low=0)"}}
    found = robustness(run, rank(run)).set_index("number")
    assert found.loc[0, "neighbours"] == pytest.approx(0.2)
    assert found.loc[0, "distance"] == pytest.approx(2 / 7)
    assert found.loc[7, "neighbours"] == pytest.approx(0.5), "the pruned one is no neighbour"
    assert found["median_distance"].to_list() == pytest.approx([3 / 7] * 8), "18 of 28 pairs"
    unknown = robustness(run_of(*rows))[["neighbours", "distance", "median_distance"]].to_numpy()
    assert np.isnan(unknown).all(), "of an unknown space"
