"""Labels and forward returns, on hand-made prices."""

from dataclasses import replace

import numpy as np
import pytest

from tests.fixtures.markets import make_market, without
from trainable.cli.errors import UserError
from trainable.data.dataset.targets import label_interval, make_targets, sessions
from trainable.data.market import Market
from trainable.data.settings import DataSettings

NAN = np.nan


def prices(close: list[float], **kwargs: object) -> Market:
    market = make_market(bars=len(close), symbols=1, closes_only=True)
    present = np.isfinite(close)[:, None]
    return replace(market, fields={"close": np.array(close)[:, None]}, present=present, **kwargs)


def test_the_label_runs_from_lag_to_lag_plus_horizon() -> None:
    market = prices([1.0, 2.0, 3.0, 6.0, 9.0])
    found = make_targets(market, horizon=2, lag=1)
    np.testing.assert_allclose(found.target[:, 0], [2.0, 2.0, NAN, NAN, NAN])
    np.testing.assert_allclose(found.forward_returns[:, 0], [0.5, 1.0, 0.5, 0.0, 0.0])


def test_a_missing_symbol_is_sold_at_its_last_price() -> None:
    market = prices([1.0, 2.0, NAN, 8.0, 4.0, NAN, NAN])
    found = make_targets(market, horizon=1, lag=0)
    np.testing.assert_allclose(found.target[:, 0], [1.0, NAN, NAN, -0.5, NAN, NAN, NAN])
    np.testing.assert_allclose(found.forward_returns[:, 0], [1.0, 0.0, NAN, -0.5, 0.0, NAN, NAN])


def test_a_close_where_no_bar_is_present_is_not_used() -> None:
    market = prices([1.0, 2.0, 4.0])
    present = np.array([[True], [False], [True]])
    found = make_targets(replace(market, present=present), horizon=1, lag=0)
    assert np.isnan(found.target).all()


def test_labels_do_not_span_session_gaps() -> None:
    market = make_market(bars=30, symbols=2, intraday=True, session=10)
    found = make_targets(market, horizon=2, lag=1)
    defined = np.isfinite(found.target[:, 0])
    np.testing.assert_array_equal(
        np.flatnonzero(defined), [*range(7), *range(10, 17), *range(20, 27)]
    )
    earned = found.forward_returns[:, 0]
    assert list(np.flatnonzero(earned == 0.0)) == [8, 18, 28, 29]  # t+1 → t+2 crosses the night
    close = market.fields["close"][:, 0]
    np.testing.assert_allclose(earned[9], close[11] / close[10] - 1)  # entered in the morning


def test_daily_labels_do_span_weekends() -> None:
    market = make_market(bars=10, symbols=1)
    assert np.isfinite(make_targets(market, horizon=1, lag=0).target[:9]).all()


def test_a_session_ends_after_half_an_hour_and_five_spacings() -> None:
    minutes = np.array([0, 1, 2, 32, 63, 64])
    stamps = np.datetime64("2020-01-01", "ns") + minutes * np.timedelta64(1, "m")
    np.testing.assert_array_equal(sessions(stamps), [0, 0, 0, 0, 1, 1])
    hours = np.datetime64("2020-01-01", "ns") + np.array([0, 1, 2, 7, 13]) * np.timedelta64(1, "h")
    np.testing.assert_array_equal(sessions(hours), [0, 0, 0, 0, 0])
    np.testing.assert_array_equal(sessions(hours[:1]), [0])


def test_ready_labels_and_returns_are_taken_as_they_are() -> None:
    market = replace(
        make_market(bars=4, symbols=1),
        fields={},
        target=np.array([[0.1], [NAN], [0.3], [0.4]]),
        returns=np.array([[0.01], [NAN], [0.03], [0.04]]),
        present=np.array([[True], [True], [True], [False]]),
    )
    found = make_targets(market, horizon=5, lag=0)
    np.testing.assert_array_equal(found.target[:, 0], [0.1, NAN, 0.3, NAN])
    np.testing.assert_array_equal(found.forward_returns[:, 0], [0.01, 0.0, 0.03, NAN])
    with pytest.raises(UserError, match=r"data\.returns"):
        make_targets(replace(market, returns=None), 1, 0)


def test_system_b5_labels_are_made_of_raw_prices() -> None:
    market = make_market(bars=300, symbols=2)
    found = make_targets(market, horizon=5, lag=1)
    close = market.fields["close"]
    np.testing.assert_allclose(found.target[:294], close[6:] / close[1:-5] - 1, rtol=1e-12)
    tick = close.copy()
    tick[100] *= 50.0  # a bad tick stays in the label: labels are never winsorised
    spoilt = make_targets(replace(market, fields={**market.fields, "close": tick}), 5, 1)
    assert spoilt.target[94].min() > 30.0


def test_system_b6_gaps_are_not_back_filled() -> None:
    market = make_market(bars=100, symbols=1)
    hidden = np.zeros((100, 1), bool)
    hidden[40:60] = True
    found = make_targets(without(market, hidden), horizon=5, lag=0)
    assert np.isnan(found.target[35:60]).all()
    assert np.isfinite(found.target[60:95]).all()


def test_the_default_lag_follows_the_bars() -> None:
    assert label_interval(DataSettings(), intraday=False) == (1, 0)
    assert label_interval(DataSettings(), intraday=True) == (1, 1)
    assert label_interval(DataSettings(horizon=5, lag=2), intraday=True) == (5, 2)
