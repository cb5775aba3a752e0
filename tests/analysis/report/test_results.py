"""Figures of the report, each computed again in another way."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.load import load_run
from analysis.report.content import Figure, Missing, Ranked, plain, short
from analysis.report.costs import sharpe_over_costs
from analysis.report.results import book, drawdown_of, equity, every_configuration, wealth_of
from analysis.report.space import explosions, importances, parallel, slices
from analysis.report.training import compute, learning_curves, rungs, train_and_validation
from tests.fixtures.reports import parquet
from tests.fixtures.runs import add_record, make_run
from trainable.metrics.return_statistics import max_drawdown
from trainable.stop_reasons import NUMERIC_FAILURES


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_run(tmp_path_factory.mktemp("runs") / "usual", trials=40)
    data = {"name": "us20", "periods_per_year": 252.0, "cost_bps": 1.0}
    add_record(made, data=data, rungs=[2, 8, 32, 50])
    return made


@pytest.fixture(scope="module")
def ranked(folder: Path) -> Ranked:
    return Ranked(load_run(folder))


def returns_of(folder: Path, number: int) -> Any:
    """Net returns by timestamp, straight from the file."""
    frame = parquet(folder / "returns.parquet")
    return frame.loc[frame["number"] == number].set_index("timestamp")["net_return"]


def test_equity_is_cumulated_returns_of_all_seeds_in_equal_shares(
    folder: Path, ranked: Ranked
) -> None:
    (as_traded, at_one_risk) = equity(ranked)
    assert isinstance(as_traded, Figure)
    assert isinstance(at_one_risk, Figure)
    best = ranked.finalists[0]
    trials = parquet(folder / "trials.parquet")
    mine = (trials["number"] == best["number"]) | (trials["parent"] == best["number"]).fillna(False)
    numbers = trials.loc[mine & (trials["state"] == "COMPLETE"), "number"]
    assert len(numbers) == best["sharpe_seeds"] == 3
    mean: Any = sum(returns_of(folder, int(number)) for number in numbers) / len(numbers)
    wealth = 100 * ((1 + mean).cumprod() - 1)
    fall = 100 * ((1 + mean).cumprod() / (1 + mean).cumprod().cummax().clip(lower=1) - 1)
    up, down = as_traded.traces[:2]
    assert up["name"] == f"trial {best['number']}"
    on = pd.to_datetime(list(up["x"]))
    assert len(on) == 1_000, "thinned"
    assert up["y"] == pytest.approx(wealth[on].to_list(), rel=1e-3)
    place = on.searchsorted(fall.index)
    lowest = fall.groupby(place).min()
    assert down["y"] == pytest.approx(lowest.to_list(), rel=1e-3), "no low point is thinned out"
    slope = at_one_risk.traces[0]["y"][-1] / (len(mean) / 252)
    assert slope == pytest.approx(10 * mean.mean() / mean.std(ddof=1) * sqrt(252), rel=1e-3)


@given(st.lists(st.floats(-0.2, 0.2), min_size=1, max_size=40))
def test_drawdown_is_the_one_of_the_ranking(values: list[float]) -> None:
    returns = np.array(values)
    wealth, peak, worst = 1.0, 1.0, 0.0
    for value in values:
        wealth *= 1 + value
        peak = max(peak, wealth)
        worst = min(worst, wealth / peak - 1)
    assert drawdown_of(returns).min() == pytest.approx(worst)
    assert drawdown_of(returns).min() == pytest.approx(max_drawdown(returns))
    assert wealth_of(returns)[-1] == pytest.approx(wealth - 1)


def test_a_book_needs_the_returns_of_all_its_trials(ranked: Ranked) -> None:
    first = int(ranked.finalists[0]["number"])
    assert book(ranked.run, [first]) is not None
    assert book(ranked.run, [first, 10_000]) is None
    assert book(ranked.run, []) is None


def test_every_configuration_stands_at_the_sharpe_ratio_of_the_ranking(ranked: Ranked) -> None:
    figure = every_configuration(ranked)
    assert isinstance(figure, Figure)
    drawn = [y for trace in figure.traces if trace["name"] != "one seed" for y in trace["y"]]
    known = [r["sharpe_mean"] if r["state"] == "COMPLETE" else r["sharpe"] for r in ranked.rows]
    known = [value for value in known if value == value]
    assert sorted(drawn) == pytest.approx(sorted(known), rel=1e-3)
    names = {note["text"].rpartition(" ")[0] for note in figure.layout["annotations"]}
    assert names == {"luck line", "luck line, 3 seeds", "equal_weight", "ridge", "momentum"}
    low, high = figure.layout["yaxis"]["range"]
    assert low < min(drawn) < max(drawn) < high


def test_what_costs_leave_goes_through_the_searchs_own_and_the_break_even(ranked: Ranked) -> None:
    for row in ranked.finalists[:3]:
        number = int(row["number"])
        (seed,) = [s for s in ranked.seeds[number] if s["number"] == number]
        at = np.array([1.0])
        found = sharpe_over_costs(ranked, number, at)
        assert found is not None
        assert found[0] == pytest.approx(row["sharpe_mean"])
        alone = Ranked(ranked.run)
        alone.__dict__["seeds"] = {number: [seed]}
        nothing = sharpe_over_costs(alone, number, np.array([float(seed["break_even_bps"])]))
        assert nothing is not None
        assert nothing[0] == pytest.approx(0, abs=1e-9)


def test_rungs_count_every_trial_once(ranked: Ranked) -> None:
    figure = rungs(ranked)
    assert isinstance(figure, Figure)
    ended = sum(sum(trace["y"]) for trace in figure.traces if trace["name"] != "went on")
    assert ended == len(ranked.rows)
    on = next(trace["y"] for trace in figure.traces if trace["name"] == "went on")
    assert on == [sum(row["epochs"] > level for row in ranked.rows) for level in (2, 8, 32, 50)]


def test_compute_is_the_seconds_of_all_trials(folder: Path, ranked: Ranked) -> None:
    figure = compute(ranked)
    assert isinstance(figure, Figure)
    assert sum(figure.traces[0]["x"]) == pytest.approx(
        parquet(folder / "trials.parquet")["seconds"].sum(), rel=1e-3
    )


def test_learning_curves_have_every_epoch(folder: Path, ranked: Ranked) -> None:
    figure = learning_curves(ranked)
    assert isinstance(figure, Figure)
    epochs = parquet(folder / "epochs.parquet")
    searched = epochs[epochs["number"].isin(ranked.run.searched["number"])]
    drawn = [x for t in figure.traces if t["showlegend"] for x in t["x"] if x is not None]
    assert len(drawn) == len(searched)


def test_training_against_validation_is_of_the_ranking_epoch(folder: Path, ranked: Ranked) -> None:
    figure = train_and_validation(ranked)[0]
    assert isinstance(figure, Figure)
    points = {
        text: (x, y)
        for trace in figure.traces
        for text, x, y in zip(trace["text"], trace["x"], trace["y"], strict=True)
    }
    trials = parquet(folder / "trials.parquet").set_index("number")
    epochs = parquet(folder / "epochs.parquet").set_index(["number", "epoch"])
    for text, (x, y) in points.items():
        number = int(text.removeprefix("trial "))
        at = epochs.loc[(number, trials.loc[number, "ranking_epoch"])]
        assert (x, y) == pytest.approx((at["train_sharpe"], at["sharpe"]), rel=1e-3)
    assert len(points) == len([row for row in ranked.rows if row["sharpe"] == row["sharpe"]])


def test_importance_orders_slices_and_parallel_coordinates(ranked: Ranked) -> None:
    shares = importances(ranked)
    assert shares is not None
    assert sum(shares.values()) == pytest.approx(1)
    drawn = [block.title for block in slices(ranked) if isinstance(block, Figure)]
    assert drawn == list(shares)
    figure = parallel(ranked)
    assert isinstance(figure, Figure)
    names = [text.replace("<br>", "") for text in figure.layout["xaxis"]["ticktext"]]
    assert names == list(shares)
    lines = sum(sum(y is None for y in trace["y"]) + 1 for trace in figure.traces)
    assert lines == sum(row["sharpe"] == row["sharpe"] for row in ranked.rows)


def test_explosions_are_where_the_rate_is_high(tmp_path: Path) -> None:
    made = make_run(tmp_path / "wild", trials=60)
    trials = parquet(made / "trials.parquet")
    high = (trials["params.optimizer/lr"] > 5e-5) & trials["kind"].isin(["search", "enqueued"])
    trials.loc[high, ["state", "stop_reason"]] = ["PRUNED", "nan_explosion"]
    trials.to_parquet(made / "trials.parquet")
    ranked = Ranked(load_run(made))
    first, shares = explosions(ranked)
    assert isinstance(first, Figure)
    assert isinstance(shares, Figure)
    assert first.layout["xaxis"]["title"]["text"] == "optimizer/lr"
    count = sum(row["stop_reason"] in NUMERIC_FAILURES for row in ranked.rows)
    crosses = [len(t["x"]) for t in first.traces if not t["name"].startswith("no ")]
    assert sum(crosses) == count
    assert shares.traces[0]["y"][-1] == 100
    assert shares.traces[0]["y"][0] < 50


def test_no_explosion_is_said(tmp_path: Path) -> None:
    calm = make_run(tmp_path / "calm", trials=12)
    trials = parquet(calm / "trials.parquet")
    bad = trials["stop_reason"].isin(NUMERIC_FAILURES)
    trials.loc[bad, "stop_reason"] = "asha_rung"
    trials.to_parquet(calm / "trials.parquet")
    (block,) = explosions(Ranked(load_run(calm)))
    assert block == Missing("No trial failed numerically: nowhere in the space did one blow up.")
    wild = make_run(tmp_path / "wild", trials=4, survivors=False)
    (block,) = explosions(Ranked(load_run(wild)))
    assert isinstance(block, Missing)
    assert block.why.startswith("Every trial failed numerically")


@given(st.lists(st.floats(allow_nan=True, allow_infinity=True)), st.integers(2, 8))
def test_short_numbers_keep_their_digits(values: list[float], digits: int) -> None:
    for value, kept in zip(values, short(values, digits), strict=True):
        if np.isfinite(value):
            assert kept == pytest.approx(value, rel=10.0 ** (1 - digits))
        else:
            assert kept is None


@pytest.mark.parametrize(
    ("text", "drawn"),
    [("a", "a"), ("<b>&", "&lt;b&gt;&amp;"), ("%{x}", "%&#123;x}"), (3, "3")],
)
def test_names_are_drawn_as_they_are(text: object, drawn: str) -> None:
    assert plain(text) == drawn
