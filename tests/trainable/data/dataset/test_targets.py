"""Labels and forward returns, on hand-made prices."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.markets import make_market, without
from trainable.cli.errors import UserError
from trainable.data.dataset.sessions import sessions
from trainable.data.dataset.targets import Targets, label_interval, make_targets, sold_at
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.times.bar_calendar import bar_calendar

NAN = np.nan


def prices(close: list[float], **kwargs: object) -> Market:
    market = make_market(bars=len(close), symbols=1, closes_only=True)
    present = np.isfinite(close)[:, None]
    return replace(market, fields={"close": np.array(close)[:, None]}, present=present, **kwargs)


def made(market: Market, horizon: int, lag: int, **options: object) -> Targets:
    return make_targets(market, DataSettings(horizon=horizon, lag=lag, **options))  # type: ignore[arg-type]


def test_the_label_runs_from_lag_to_lag_plus_horizon() -> None:
    found = made(prices([1.0, 2.0, 3.0, 6.0, 9.0]), horizon=2, lag=1)
    np.testing.assert_allclose(found.target, [2.0, 2.0, NAN, NAN, NAN])
    np.testing.assert_allclose(found.forward_returns[:, 0], [0.5, 1.0, 0.5, 0.0, 0.0])
    assert found.label_end.tolist() == [3, 4, 5, 6, 7]  # 5 and more: the data end first


def test_a_label_runs_over_missing_bars_to_the_next_bar_of_the_symbol() -> None:
    """Five bars without rows, and it reopens 80 % lower."""
    market = prices([50.0, 100.0, NAN, NAN, NAN, NAN, NAN, 20.0, 30.0])
    found = made(market, horizon=1, lag=0)
    np.testing.assert_allclose(found.target, [1.0, -0.8, 0.5, NAN])
    np.testing.assert_allclose(found.forward_returns[[0, 1, 7, 8], 0], [1.0, -0.8, 0.5, 0.0])
    assert np.isnan(found.forward_returns[2:7]).all()
    assert found.label_end.tolist() == [1, 7, 8, 9]
    # Two bars ahead, entered one bar later: from 100 to 30.
    later = made(market, horizon=2, lag=1)
    np.testing.assert_allclose(later.target, [-0.7, NAN, NAN, NAN])
    np.testing.assert_allclose(later.forward_returns[[0, 1, 7, 8], 0], [-0.8, 0.5, 0.0, 0.0])


def both(first: list[float], second: list[float]) -> Market:
    """Two symbols, the first of which trades at every bar."""
    close = np.array([first, second]).T
    market = make_market(bars=len(close), symbols=2, closes_only=True)
    return replace(market, fields={"close": close}, present=np.isfinite(close))


def test_a_symbol_that_ends_is_sold_at_the_delisting_return() -> None:
    market = both([1.0] * 6, [1.0, 2.0, 4.0, 8.0, NAN, NAN])
    found = made(market, horizon=2, lag=0, delisting_return=-0.6)
    np.testing.assert_allclose(found.target[6:], [3.0, 3.0, NAN, NAN])  # made of prices only
    np.testing.assert_allclose(found.forward_returns[:4, 1], [1.0, 1.0, 1.0, -0.6])
    assert found.sold.tolist() == [6, 4]
    # A label that nothing ends lasts until the sale, or as long as it would have lasted.
    assert found.label_end[6:].tolist() == [2, 3, 4, 5]
    assert made(market, horizon=2, lag=0).forward_returns[3, 1] == 0.0
    # Entered a bar later: the last bar executes what the bar before decided.
    lagged = made(market, horizon=1, lag=1, delisting_return=-0.6)
    np.testing.assert_allclose(lagged.forward_returns[:4, 1], [1.0, 1.0, -0.6, 0.0])


@pytest.mark.parametrize(("lag", "named"), [(0, True), (1, True), (0, False), (1, False)])
def test_a_last_return_that_the_file_has_is_the_one_that_is_earned(lag: int, named: bool) -> None:
    """Two symbols end at bar 99: the second without a return there, as CRSP has one."""
    rng = np.random.default_rng(0)
    present = np.ones((150, 3), bool)
    present[100:, 1:] = False
    returns = np.where(present, rng.normal(0.0, 0.01, (150, 3)), NAN)
    last = 99 if named else 99 - lag  # a target that serves as the returns begins `lag` bars later
    returns[last, 1:] = [-0.37, NAN]
    market = replace(
        make_market(bars=150, symbols=3),
        fields={},
        present=present,
        returns=returns,
        target=rng.normal(size=(150, 3)) if named else returns,
    )
    words = {"features": "feat_*", "target": "y", "returns": "ret" if named else None}
    found = made(market, horizon=1, lag=lag, delisting_return=-0.6, **words)
    assert found.sold.tolist() == [150, 100, 100]
    assert found.forward_returns[99 - lag, 1:].tolist() == [-0.37, -0.6]
    assert found.own_last.tolist() == [False, True, False]


def test_a_symbol_has_ended_where_it_is_silent_for_longer_than_ever() -> None:
    days = np.arange(28)  # from a Monday to a Sunday
    stock, gone = days % 7 < 5, days < 20
    halted = (days < 5) | (days > 15)
    present = np.column_stack([np.ones(28, bool), stock, stock & gone, halted])
    assert sold_at(present).tolist() == [28, 28, 19, 28]
    assert sold_at(present[:-2]).tolist() == [26, 26, 19, 26]


def test_a_close_where_no_bar_is_present_is_not_used() -> None:
    market = prices([1.0, 2.0, 4.0])
    present = np.array([[True], [False], [True]])
    found = made(replace(market, present=present), horizon=1, lag=0)
    np.testing.assert_allclose(found.target, [3.0, NAN])


def test_labels_do_not_span_session_gaps() -> None:
    market = make_market(bars=30, symbols=2, intraday=True, session=10)
    found = made(market, horizon=2, lag=1)
    defined = np.isfinite(found.target[:30])
    np.testing.assert_array_equal(
        np.flatnonzero(defined), [*range(7), *range(10, 17), *range(20, 27)]
    )
    assert np.flatnonzero(found.session_ends).tolist() == [9, 19]
    assert found.overnight == "flat"
    earned = found.forward_returns[:, 0]
    assert list(np.flatnonzero(earned == 0.0)) == [8, 18, 28, 29]  # t+1 → t+2 crosses the night
    close = market.fields["close"][:, 0]
    np.testing.assert_allclose(earned[9], close[11] / close[10] - 1)  # entered in the morning
    held = made(market, horizon=2, lag=1, overnight="hold")
    np.testing.assert_array_equal(held.target, found.target)
    np.testing.assert_allclose(held.forward_returns[8, 0], close[10] / close[9] - 1)


@pytest.mark.parametrize("overnight", ["flat", "hold"])
def test_a_choice_of_nights_needs_sessions(overnight: str) -> None:
    with pytest.raises(UserError, match=rf"data\.overnight={overnight} needs intraday bars"):
        made(prices([1.0, 2.0, 3.0]), horizon=1, lag=0, overnight=overnight)
    assert made(prices([1.0, 2.0, 3.0]), horizon=1, lag=0).overnight is None


def test_daily_labels_do_span_weekends() -> None:
    assert np.isfinite(made(make_market(bars=10, symbols=1), horizon=1, lag=0).target[:9]).all()


def test_an_outage_in_trading_hours_ends_no_session() -> None:
    hours = np.datetime64("2024-01-01", "ns") + np.arange(24 * 40) * np.timedelta64(1, "h")
    assert sessions(np.delete(hours, np.s_[100:120])).max() == 0
    minutes = np.arange(390 * 20)
    day = minutes // 390
    stamps = np.datetime64("2024-01-01T14:30", "ns") + day * np.timedelta64(1, "D")
    stamps = stamps + minutes % 390 * np.timedelta64(1, "m")
    np.testing.assert_array_equal(sessions(stamps), day)
    halted = (day == 7) & (minutes % 390 > 100) & (minutes % 390 < 200)
    np.testing.assert_array_equal(sessions(stamps[~halted]), day[~halted])
    closed_early = (day == 7) & (minutes % 390 > 200)
    np.testing.assert_array_equal(sessions(stamps[~closed_early]), day[~closed_early])


def test_currencies_have_a_session_a_week() -> None:
    hours = np.datetime64("2024-01-01", "ns") + np.arange(24 * 28) * np.timedelta64(1, "h")
    hour = np.arange(24 * 28) % (24 * 7)
    trades = (hour < 4 * 24 + 22) | (hour >= 6 * 24 + 22)  # Sunday 22:00 to Friday 22:00
    week = (np.arange(24 * 28) + 2) // (24 * 7)
    np.testing.assert_array_equal(sessions(hours[trades]), week[trades])


def test_a_session_ends_after_half_an_hour_and_five_spacings() -> None:
    minutes = np.array([0, 1, 2, 32, 63, 64])
    stamps = np.datetime64("2020-01-01", "ns") + minutes * np.timedelta64(1, "m")
    np.testing.assert_array_equal(sessions(stamps), [0, 0, 0, 0, 1, 1])
    hours = np.datetime64("2020-01-01", "ns") + np.array([0, 1, 2, 7, 13]) * np.timedelta64(1, "h")
    np.testing.assert_array_equal(sessions(hours), [0, 0, 0, 0, 0])
    np.testing.assert_array_equal(sessions(hours[:1]), [0])


@pytest.mark.parametrize(
    "clock",
    [
        (9.5, 13.5),
        (9.5, 16),
        (8, 12, 16),
        (10, 14, 16),
        (9.5, 12.5, 15.5),
        (9.5, 11.5, 13.5, 15.5),
        (1, 3, 5),
    ],
)
@pytest.mark.parametrize("first", [0, 1])
def test_a_session_of_few_bars_a_day_ends_with_the_day(
    clock: tuple[float, ...], first: int
) -> None:
    days = pd.bdate_range("2021-01-04", periods=200)
    hours = pd.to_timedelta(np.tile(clock, 200), unit="h")
    stamps = (days.repeat(len(clock)) + hours).to_numpy("datetime64[ns]")[first:]
    day = np.repeat(np.arange(200), len(clock))[first:]
    np.testing.assert_array_equal(sessions(stamps), day - day[0])
    assert bar_calendar(stamps).intraday
    assert bar_calendar(stamps).bars_a_year == 252 * len(clock)
    lost = np.random.default_rng(0).random(len(stamps)) > 0.05
    ended = np.diff(sessions(stamps[lost])) > 0
    np.testing.assert_array_equal(ended, np.diff(day[lost]) > 0)


@pytest.mark.parametrize("step", [4, 6, 8, 12])
def test_long_bars_round_the_clock_have_no_sessions(step: int) -> None:
    stamps = pd.date_range("2021-01-01", periods=600, freq=f"{step}h").to_numpy("datetime64[ns]")
    assert sessions(stamps).max() == 0
    lost = np.random.default_rng(0).random(600) > 0.05
    assert sessions(stamps[lost]).max() == 0
    friday = pd.DatetimeIndex(stamps).day_of_week < 5
    week = np.diff(np.flatnonzero(friday)) > 1
    np.testing.assert_array_equal(np.diff(sessions(stamps[friday])) > 0, week)


def ready(target: list[float], returns: list[float] | None = None) -> Market:
    """Ready features of one symbol; the last bar has no row."""
    bars = len(target)
    return replace(
        make_market(bars=bars, symbols=1),
        fields={},
        target=np.array(target)[:, None],
        returns=None if returns is None else np.array(returns)[:, None],
        present=np.arange(bars)[:, None] < bars - 1,
    )


def test_ready_labels_and_returns_are_taken_as_they_are() -> None:
    market = ready([0.1, NAN, 0.3, 0.4], [0.01, 0.02, NAN, 0.04])
    found = made(market, horizon=5, lag=0)
    np.testing.assert_array_equal(found.target, [0.1, NAN, 0.3])
    np.testing.assert_array_equal(found.forward_returns[:, 0], [0.01, 0.02, 0.0, NAN])
    with pytest.raises(UserError, match=r"data\.returns"):
        made(replace(market, returns=None), 1, 0)


def test_a_ready_return_that_is_missing_amid_the_file_is_unknown_and_no_zero() -> None:
    found = made(ready([0.1, 0.2, 0.3, 0.4], [0.01, NAN, 0.03, 0.04]), horizon=1, lag=0)
    np.testing.assert_array_equal(found.forward_returns[:, 0], [0.01, NAN, 0.03, NAN])


def test_system_b5_labels_are_made_of_raw_prices() -> None:
    market = make_market(bars=300, symbols=2)
    found = made(market, horizon=5, lag=1)
    close = market.fields["close"]
    np.testing.assert_allclose(found.target[:294], close[6:, 0] / close[1:-5, 0] - 1, rtol=1e-12)
    tick = close.copy()
    tick[100] *= 50.0  # a bad tick stays in the label: labels are never winsorised
    spoilt = made(replace(market, fields={**market.fields, "close": tick}), 5, 1)
    assert spoilt.target[94] > 30.0


def test_system_b6_gaps_are_not_back_filled() -> None:
    market = make_market(bars=100, symbols=1)
    hidden = np.zeros((100, 1), bool)
    hidden[40:60] = True
    found = made(without(market, hidden), horizon=5, lag=0)
    close = market.fields["close"][:, 0]
    assert len(found.target) == 80
    np.testing.assert_allclose(found.target[39], close[64] / close[39] - 1)  # of prices that were
    assert found.label_end[39] == 64


def test_the_default_lag_follows_the_bars() -> None:
    assert label_interval(DataSettings(), intraday=False) == (1, 0)
    assert label_interval(DataSettings(), intraday=True) == (1, 1)
    assert label_interval(DataSettings(horizon=5, lag=2), intraday=True) == (5, 2)
