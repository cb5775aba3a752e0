"""Positions and what they earn: the contract's rules, worked out by hand."""

import numpy as np
import pytest

from tests.fixtures.panels import noise, on_rows, panel, scored
from trainable.metrics.portfolio import hold
from trainable.metrics.scoring import scoring


def test_five_symbols_by_hand() -> None:
    returns = np.zeros((12, 5))
    returns[6] = [0.01, 0.02, 0.03, 0.04, 0.05]
    returns[7] = [0.01, 0.0, 0.0, 0.0, -0.01]
    grid = noise(12, 5)
    grid[6:] = [1.0, 2.0, 3.0, 4.0, 5.0]  # weights −2, −1, 0, 1, 2 sixths
    got = scored(panel(returns, valid=(6, 9), cost_bps=10.0), grid)
    entry = 10e-4 * 1.0
    assert got.net_returns == pytest.approx([(-0.02 - 0.02 + 0.04 + 0.1) / 6 - entry, -0.04 / 6])
    assert got.values["turnover"] == pytest.approx(0.5)


def test_four_symbols_by_hand() -> None:
    """Position = clip(prediction ÷ training std, ±1) ÷ N − its training mean."""
    returns = np.zeros((12, 4))
    returns[6] = [0.01, 0.02, 0.03, 0.04]
    grid = np.zeros((12, 4))
    grid[:5] = [0.0, 0.0, 2.0, 2.0]  # std 1, clipped positions 0 0 1 1, mean 0.5
    grid[6:] = [-3.0, 0.5, 0.25, 7.0]  # positions −1, 0.5, 0.25, 1
    got = scored(panel(returns, valid=(6, 8), cost_bps=0.0), grid)
    held = np.array([-1.5, 0.0, -0.25, 0.5]) / 4
    assert got.net_returns == pytest.approx([held @ returns[6]])
    assert got.values["turnover"] == pytest.approx(np.abs(held).sum())


def test_n_counts_the_symbols_tradable_at_the_bar() -> None:
    present = np.ones((12, 3), bool)
    present[7, 0] = False
    grid = noise(12, 3, seed=3)
    dataset = panel(noise(12, 3), present=present, valid=(6, 12), cost_bps=0.0)
    everyone = panel(noise(12, 3), valid=(6, 12), cost_bps=0.0)
    got, full = scored(dataset, grid).net_returns, scored(everyone, grid).net_returns
    assert got is not None
    assert full is not None
    assert got[0] == pytest.approx(full[0])
    training = on_rows(dataset, grid, dataset.train_rows)[0]
    clipped = np.clip(grid[7, 1:] / training.std(), -1, 1)
    mean = np.clip(training / training.std(), -1, 1).mean()
    assert got[1] == pytest.approx(((clipped - mean) / 2) @ noise(12, 3)[7, 1:])


def test_a_missing_symbol_is_sold_and_the_sale_is_charged() -> None:
    present = np.ones((14, 5), bool)
    present[8, 4] = False
    grid = np.tile([-2.0, -1.0, 0.0, 1.0, 2.0], (14, 1)) + noise(14, 5) * 1e-3
    grid[6:] = [-2.0, -1.0, 0.0, 1.0, 2.0]
    got = scored(panel(np.zeros((14, 5)), present=present, valid=(6, 11), cost_bps=1e4), grid)
    # Bar 8: four symbols −2 −1 0 1, mean −0.5: weights −1.5, −0.5, 0.5, 1.5 quarters.
    change = abs(-1.5 / 4 + 2 / 6) + abs(-0.5 / 4 + 1 / 6) + 0.5 / 4 + abs(1.5 / 4 - 1 / 6) + 2 / 6
    assert got.net_returns == pytest.approx([-1.0, 0.0, -change, -change])


def test_positions_of_a_long_horizon_overlap_and_unwind() -> None:
    weights = np.array([[3.0], [6.0], [9.0], [0.0], [0.0]])
    held = hold(weights, np.ones((5, 1), bool), 3)
    assert held[:, 0] == pytest.approx([3.0, 4.5, 6.0, 5.0, 3.0])


def test_scored_bars_run_on_until_positions_have_unwound_inside_the_part() -> None:
    dataset = panel(noise(40, 6), valid=(20, 34), horizon=4, lag=1)
    on = scoring(dataset, dataset.valid_rows)
    last = int(dataset.time[dataset.valid_rows].max())
    assert last + 1 + 4 == 33  # the label of the last row ends with the part
    assert on.timestamps[0] == dataset.timestamps[20]
    assert on.timestamps[-1] == dataset.timestamps[last + 3]
    # One bar more and its return would end outside: positions stop there.
    late = np.append(dataset.valid_rows, np.flatnonzero(dataset.time == last + 1))
    assert scoring(dataset, late).timestamps[-1] == dataset.timestamps[32 - 1]


def test_cost_is_turnover_times_basis_points_and_break_even_is_where_it_ends() -> None:
    returns, grid = noise(300, 8), noise(300, 8, seed=1)
    grid += 0.3 * returns
    free = scored(panel(returns, cost_bps=0.0), grid)
    limit = free.values["break_even_bps"]
    assert limit is not None
    paid = scored(panel(returns, cost_bps=limit), grid)
    assert paid.net_returns is not None
    assert abs(paid.net_returns.mean()) < 1e-15
    assert paid.values["break_even_bps"] == pytest.approx(limit)


def test_clean_sharpe_leaves_out_the_returns_into_and_out_of_a_bad_tick() -> None:
    returns = noise(60, 6)
    bad = np.zeros((60, 6), bool)
    bad[45, 2] = True
    spiked = returns.copy()
    spiked[44, 2], spiked[45, 2] = 3.0, -0.75
    grid = noise(60, 6, seed=2)
    got = scored(panel(spiked, target=returns, bad_ticks=bad), grid)
    without = returns.copy()
    without[[44, 45], 2] = 0.0
    expected = scored(panel(without, target=returns), grid)
    assert got.values["sharpe_clean"] == pytest.approx(expected.values["sharpe"])
    assert got.values["sharpe"] != pytest.approx(expected.values["sharpe"])
    # With a lag the decision stands one bar earlier.
    lagged = scoring(panel(returns, bad_ticks=bad, lag=1), np.arange(6 * 60)[60 * 2 + 31 : 60 * 3])
    assert np.argwhere(lagged.suspect).tolist() == [[12, 2], [13, 2]]


@pytest.mark.parametrize("symbols", [1, 4])
def test_always_long_earns_nothing_in_a_rising_market(symbols: int) -> None:
    """Predictions that vary but lie beyond the bound are one constant long position."""
    returns = noise(400, symbols) + 0.004
    got = scored(panel(returns), 0.01 + noise(400, symbols, seed=1) * 1e-3)
    assert got.values["sharpe"] is None
    assert got.net_returns is None
    exposure = got.values["sharpe_exposure"]
    assert exposure is not None
    assert exposure > 3.0
