"""One bar later: the same as a dataset that was made with one more bar of lag, and by hand."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.fixtures.markets import holes, make_market, without
from tests.fixtures.panels import noise, on_rows, panel
from trainable.data.dataset.build import build_dataset
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.metrics.portfolio import PositionScale, position_scale
from trainable.metrics.robustness.one_bar_later import LateScoring, one_bar_later
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring

NO_SCALE = PositionScale(np.zeros((1, 1, 1)), np.zeros((1, 1, 1), bool), np.zeros((1, 1, 1)))


def ended(market: Market) -> Market:
    """One symbol ends amid the data, and another begins there."""
    hidden = np.zeros(market.present.shape, bool)
    hidden[300:, 1] = True
    hidden[:50, 2] = True
    return without(market, hidden)


@pytest.mark.parametrize("lag", [0, 1])
@pytest.mark.parametrize("horizon", [1, 5])
@pytest.mark.parametrize("change", [lambda market: market, holes, ended])
def test_returns_and_labels_are_those_of_one_more_bar_of_lag(
    change: Callable[[Market], Market], horizon: int, lag: int
) -> None:
    market = change(make_market(bars=400, symbols=6, seed=3))
    made, later = (
        build_dataset(market, DataSettings(horizon=horizon, lag=lag + more, delisting_return=-0.5))
        for more in (0, 1)
    )
    found = one_bar_later(made)
    assert found.lag == later.lag
    np.testing.assert_array_equal(found.forward_returns, later.forward_returns)
    inside = later.label_end < len(market.timestamps)
    assert inside.mean() > 0.9
    assert (found.label_end[inside] >= later.label_end[inside]).all()
    same = found.label_end == later.label_end
    assert same[inside].mean() > 0.99, "but for the last bars of a symbol that ends"


def test_nights_and_halts_of_sessions_are_those_of_one_more_bar_of_lag() -> None:
    market = holes(make_market(bars=600, symbols=6, intraday=True, session=60, seed=4))
    made, later = (build_dataset(market, DataSettings(horizon=3, lag=lag)) for lag in (1, 2))
    assert made.overnight == "flat"
    found = one_bar_later(made)
    np.testing.assert_array_equal(found.forward_returns, later.forward_returns)
    rows = later.valid_rows
    grid = np.random.default_rng(0).standard_normal(market.present.shape)
    on = [scoring(each, rows) for each in (replace(later, label_end=found.label_end), found)]
    ratios = [score(one, on_rows(later, grid, rows), np.ones((1, 3)) * [1, 2, 4]) for one in on]
    assert ratios[0][0].values["sharpe"] == ratios[1][0].values["sharpe"]


def by_hand(weights: np.ndarray, returns: np.ndarray, cost_bps: float) -> float:
    """The annual Sharpe ratio of weights [V, N] that earn returns [V, N], changes charged."""
    change = np.diff(weights, axis=0, prepend=np.zeros((1, weights.shape[1])))
    net = (weights * returns).sum(axis=1) - cost_bps * 1e-4 * np.abs(change).sum(axis=1)
    return float(net.mean() / net.std(ddof=1) * np.sqrt(252))


def test_each_position_earns_the_day_after_the_one_that_it_was_meant_for() -> None:
    """Days 60 to 119 validate: the position of day 118 would earn the return of day 119."""
    returns = noise(120, 6, seed=1)
    dataset = panel(returns, valid=(60, 120), cost_bps=3.0)
    grid = np.random.default_rng(2).standard_normal(returns.shape)
    p = on_rows(dataset, grid, dataset.valid_rows)[0]
    decided = grid - grid.mean(axis=1, keepdims=True)
    decided /= np.abs(decided).sum(axis=1, keepdims=True)
    scored = LateScoring(dataset)
    assert scored.in_time(p, NO_SCALE) == pytest.approx(
        by_hand(decided[60:119], returns[60:119], 3.0)
    )
    later = by_hand(decided[60:118], returns[61:119], 3.0)
    assert scored.later(p, NO_SCALE) == pytest.approx(later)


def test_what_lies_beyond_the_validation_part_is_not_looked_at() -> None:
    returns = noise(150, 6, seed=1)
    grid = np.random.default_rng(2).standard_normal(returns.shape)
    other = returns.copy()
    other[119:] = 9.0  # the return from the last validation day on, and all of the gate
    found = []
    for each in (returns, other):
        dataset = panel(each, valid=(60, 120))
        p = on_rows(dataset, grid, dataset.valid_rows)[0]
        found.append(LateScoring(dataset).later(p, NO_SCALE))
    assert found[0] == found[1]


def test_a_signal_of_one_day_is_lost_and_a_lasting_one_is_kept() -> None:
    rng = np.random.default_rng(3)
    signal, common = rng.standard_normal((2, 500, 8))
    lasting = np.cumsum(0.05 * common, axis=0)
    ratios = {}
    for name, known in (("brief", signal), ("lasting", lasting)):
        dataset = panel(0.002 * known + noise(500, 8), valid=(100, 500), cost_bps=0.0)
        p = on_rows(dataset, known, dataset.valid_rows)[0]
        ratios[name] = (
            LateScoring(dataset).in_time(p, NO_SCALE),
            LateScoring(dataset).later(p, NO_SCALE),
        )
    in_time, later = ratios["brief"]
    assert in_time > 4 * np.sqrt(252 / 400)
    assert abs(later) < 3 * np.sqrt(252 / 400)
    in_time, later = ratios["lasting"]
    assert later > 0.8 * in_time > 0


def test_positions_of_few_symbols_keep_their_scale() -> None:
    returns = noise(120, 2, seed=5)
    dataset = panel(returns, valid=(60, 120), cost_bps=2.0)
    grid = np.random.default_rng(6).standard_normal(returns.shape)
    p = on_rows(dataset, grid, dataset.valid_rows)[0]
    seen = on_rows(dataset, grid, dataset.train_rows)
    scale = position_scale(seen)
    clipped = np.clip(grid / seen.std(), -1, 1)
    decided = (clipped - np.clip(seen / seen.std(), -1, 1).mean()) / 2
    scored = LateScoring(dataset)
    assert scored.in_time(p, scale) == pytest.approx(
        score(scoring(dataset, dataset.valid_rows), p[None], seen)[0].values["sharpe"]
    )
    assert scored.later(p, scale) == pytest.approx(by_hand(decided[60:118], returns[61:119], 2.0))


def test_of_a_single_validation_day_nothing_is_left() -> None:
    dataset = panel(noise(62, 6), valid=(60, 62))
    assert len(np.unique(dataset.time[dataset.valid_rows])) == 1
    assert LateScoring(dataset).later(np.arange(6.0), NO_SCALE) is None
