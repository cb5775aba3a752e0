"""Positions and what they earn: the contract's rules, worked out by hand."""

import numpy as np
import pytest

from tests.fixtures.panels import noise, on_rows, panel, scored
from trainable.metrics.portfolio import hold, hold_and_carry
from trainable.metrics.scores import score_weights
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
    returns, grid = noise(12, 3), noise(12, 3, seed=3)
    dataset = panel(returns, present=present, valid=(6, 12), cost_bps=0.0)
    got = scored(dataset, grid).net_returns
    training = on_rows(dataset, grid, dataset.train_rows)[0]
    mean = np.clip(training / training.std(), -1, 1).mean()
    held = np.clip(grid / training.std(), -1, 1) - mean
    assert got is not None
    assert got[0] == pytest.approx(held[6, 1:] / 3 @ returns[6, 1:])
    # Symbol 0 has no bar: what was bought at bar 6 is carried, and books its return now.
    carried = held[6, 0] / 3 * returns[6, 0]
    assert got[1] == pytest.approx(held[7, 1:] / 2 @ returns[7, 1:] + carried)
    assert got[2] == pytest.approx(held[8] / 3 @ returns[8])


VIEWS = [-2.0, -1.0, 0.0, 1.0, 2.0]  # weights −2, −1, 0, 1, 2 sixths


def views_of_five(**options: object) -> np.ndarray:
    """The net returns of these views at a cost of 100 % per unit turned over, from bar 6 on."""
    grid = np.tile(VIEWS, (14, 1)) + noise(14, 5) * 1e-3
    grid[6:] = VIEWS
    returns = np.zeros((14, 5))
    returns[7] = [0.0, 0.0, 0.0, 0.0, -0.6]  # of symbol 4, to its next bar
    options = {"valid": (6, 11), "cost_bps": 1e4} | options
    found = scored(panel(returns, **options), grid).net_returns  # type: ignore[arg-type]
    assert found is not None
    return found


def test_a_halted_position_is_carried_and_books_its_return_on_reopening() -> None:
    """At bar 8 the last symbol has no bar: its two sixths stay, uncharged, and cannot be sold."""
    present = np.ones((14, 5), bool)
    present[8, 4] = False
    # Bar 8: four symbols −2 −1 0 1, mean −0.5: weights −1.5, −0.5, 0.5, 1.5 quarters.
    change = abs(-1.5 / 4 + 2 / 6) + abs(-0.5 / 4 + 1 / 6) + 0.5 / 4 + abs(1.5 / 4 - 1 / 6)
    # Its return from bar 7 to bar 9 belongs to the period that ends at bar 9.
    expected = [-1.0, 0.0, -change - 2 / 6 * 0.6, -change]
    assert views_of_five(present=present) == pytest.approx(expected)
    assert views_of_five(valid=(6, 11))[1] == pytest.approx(-2 / 6 * 0.6)  # no halt: at once


def test_a_symbol_that_ends_is_sold_a_bar_later_and_the_sale_is_charged() -> None:
    present = np.ones((14, 5), bool)
    present[8:, 4] = False
    change = abs(-1.5 / 4 + 2 / 6) + abs(-0.5 / 4 + 1 / 6) + 0.5 / 4 + abs(1.5 / 4 - 1 / 6)
    expected = [-1.0, -2 / 6 * 0.6, -change - 2 / 6, 0.0]
    assert views_of_five(present=present) == pytest.approx(expected)


def test_stocks_beside_coins_book_friday_to_monday_on_monday() -> None:
    """Coins trade every day, stocks not on bars 4 and 5 (a weekend); bar 6 is a Monday."""
    present = np.ones((12, 5), bool)
    present[4:6, :3] = False
    returns = np.zeros((12, 5))
    returns[3, 0] = 0.08  # of a stock, from Friday to Monday
    returns[3:6, 4] = [0.01, 0.02, 0.04]  # of a coin, day by day
    dataset = panel(returns, present=present, valid=(2, 11), cost_bps=0.0)
    weights = np.full((8, 5), 0.2)
    found = score_weights(scoring(dataset, dataset.valid_rows), weights).net_returns
    assert found == pytest.approx([0.0, 0.2 * 0.01, 0.2 * 0.02, 0.2 * (0.04 + 0.08), 0, 0, 0, 0])


def test_with_a_lag_each_symbol_enters_at_its_own_next_bar() -> None:
    """Decided at bar 2, symbol 0 trades again at bar 5 only: entered there, sold at bar 6."""
    present = np.ones((12, 5), bool)
    present[3:5, 0] = False
    returns = np.zeros((12, 5))
    returns[2, 0], returns[5, 0] = 0.5, 0.25  # from bar 5 to 6, and from 6 to 7
    dataset = panel(returns, present=present, valid=(2, 12), lag=1, cost_bps=1e4)
    weights = np.zeros((8, 5))
    weights[0, 0] = 1.0
    on = scoring(dataset, dataset.valid_rows)
    found = score_weights(on, weights).net_returns
    # Period v runs from bar v + 3 to bar v + 4.
    assert found == pytest.approx([0.0, 0.0, 0.5 - 1.0, -1.0, 0.0, 0.0, 0.0, 0.0])


def test_flat_overnight_charges_leaving_and_coming_back() -> None:
    ends = np.zeros(12, bool)
    ends[[5, 8]] = True  # sessions end at bars 5 and 8
    returns = np.full((12, 5), 0.01)
    returns[[5, 8]] = 0.1  # over night
    weights = np.full((6, 5), 0.2)
    for overnight, expected in (
        ("flat", [0.01 - 0.01, -0.01, 0.01 - 0.01, 0.01, -0.01, 0.01 - 0.01]),
        ("hold", [0.01 - 0.01, 0.1, 0.01, 0.01, 0.1, 0.01]),
    ):
        dataset = panel(
            returns,
            valid=(4, 11),
            cost_bps=100.0,
            session_ends=ends,
            overnight=overnight,
        )
        found = score_weights(scoring(dataset, dataset.valid_rows), weights).net_returns
        assert found == pytest.approx(expected), overnight


def test_a_symbol_without_a_bar_at_the_sessions_end_is_held_over_night() -> None:
    ends, present = np.zeros(12, bool), np.ones((12, 5), bool)
    ends[6] = True
    present[6, 0] = False
    returns = np.zeros((12, 5))
    returns[5, 0], returns[6] = 0.5, 0.9  # from bar 5 to 7; over night
    dataset = panel(
        returns, present=present, valid=(4, 11), cost_bps=1e4, session_ends=ends, overnight="flat"
    )
    on = scoring(dataset, dataset.valid_rows)
    found = score_weights(on, np.full((6, 5), 0.2)).net_returns
    assert found == pytest.approx([-1.0, 0.0, 0.2 * 0.5 - 0.8, -0.8, 0.0, 0.0])


def test_positions_of_a_long_horizon_overlap_and_unwind() -> None:
    weights = np.array([[3.0], [6.0], [9.0], [0.0], [0.0]])
    assert hold(weights, 3)[:, 0] == pytest.approx([3.0, 4.5, 6.0, 5.0, 3.0])


def test_positions_of_a_long_horizon_last_that_many_bars_of_the_symbol() -> None:
    present = np.ones((14, 5), bool)
    present[5, 0] = False
    weights = np.zeros((10, 5))
    weights[:3, 0] = 3.0, 6.0, 0.0
    dataset = panel(np.zeros((14, 5)), present=present, valid=(3, 14), horizon=3)
    carry = scoring(dataset, dataset.valid_rows).carry
    assert carry is not None
    held = hold_and_carry(weights, carry, 3)[:, 0]
    # Bars 3, 4, (5), 6, 7, 8: one period so far, two, carried, then three of its own bars.
    assert held[:6] == pytest.approx([3.0, 4.5, 4.5, 3.0, 2.0, 0.0])


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
