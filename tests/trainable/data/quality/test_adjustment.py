"""Adjusted closes, columns of splits, and the volume that goes with them."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.shapes import BARS, SPLIT, bars, raw_bars
from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

AT_SPLIT = np.where(np.arange(BARS) == SPLIT, 4.0, 1.0)


def market(table: pd.DataFrame):
    return market_from_frame(table, DataSettings())


def assert_adjusted(found, volume: Any) -> None:
    right = bars()
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(found.fields[name][:, 0], right[name], rtol=1e-12)
    np.testing.assert_allclose(found.fields["volume"][:, 0], volume, rtol=1e-12)
    assert np.abs(np.diff(np.log(found.fields["close"][:, 0]))).max() < 0.05
    assert found.quality["extreme_moves"]["count"] == 0


def test_without_adjustment_the_split_is_a_move_of_75_percent():
    moves = market(raw_bars()).quality["extreme_moves"]["largest"]
    assert moves[0]["return"] == pytest.approx(-0.75, abs=0.01)


def test_the_whole_bar_goes_with_the_adjusted_close():
    found = market(raw_bars().assign(adj_close=bars()["close"]))
    assert_adjusted(found, bars()["volume"])


def test_a_volume_that_does_not_jump_at_splits_is_adjusted_already():
    table = raw_bars().assign(adj_close=bars()["close"], volume=bars()["volume"])
    assert_adjusted(market(table), bars()["volume"])


def test_given_adjusted_columns_are_used_as_they_are():
    right = bars()
    table = raw_bars().assign(adjClose=right.close, adjOpen=right.open, adjVolume=right.volume)
    assert_adjusted(market(table), right["volume"])
    table = raw_bars().assign(adjClose=right.close, adjHigh=right.close * 2)
    assert (market(table).fields["high"] == 2 * market(table).fields["close"]).all()


def test_dividends_in_the_adjusted_close_leave_the_volume_alone():
    factor = np.where(np.arange(BARS) < SPLIT, 0.98, 1.0)
    found = market(bars().assign(adj_close=bars()["close"] * factor))
    np.testing.assert_allclose(found.fields["open"][:, 0], bars()["open"] * factor, rtol=1e-12)
    np.testing.assert_array_equal(found.fields["volume"][:, 0], bars()["volume"])


def test_raw_prices_are_adjusted_by_a_column_of_splits():
    assert_adjusted(market(raw_bars().assign(split_coefficient=AT_SPLIT)), bars()["volume"])
    zeros = np.where(AT_SPLIT == 1, 0.0, AT_SPLIT)  # yfinance writes 0 for no split
    assert_adjusted(market(raw_bars().assign(**{"Stock Splits": zeros})), bars()["volume"])


def test_a_split_on_a_bar_without_a_close_counts_at_the_next_one():
    table = raw_bars().assign(split_factor=AT_SPLIT)
    table.loc[SPLIT, "close"] = np.nan
    found = market(table).fields["close"][:, 0]
    kept = np.arange(BARS) != SPLIT
    np.testing.assert_allclose(found, bars()["close"][kept], rtol=1e-12)


def test_prices_that_are_adjusted_already_are_not_adjusted_twice():
    found = market(bars().assign(split_factor=AT_SPLIT))
    assert_adjusted(found, bars()["volume"])
    assert "adjusted for one split of 'split_factor' already" in found.quality["read_as"][0]


@pytest.mark.parametrize("ratio", [0.25, 9.0])
def test_splits_that_the_close_does_not_follow_are_refused(ratio):
    table = raw_bars().assign(split_factor=np.where(AT_SPLIT == 1, 1.0, ratio))
    with pytest.raises(
        UserError, match=r"not clear whether the close is.*data row 61 \(2020-03-25"
    ):
        market(table)


def test_symbols_of_which_one_is_adjusted_are_refused():
    table = pd.concat(
        [
            raw_bars().assign(symbol="A", split=AT_SPLIT),
            bars().assign(symbol="B", split=AT_SPLIT),
        ]
    ).rename(columns={"split": "split_factor"})
    with pytest.raises(UserError, match="names 2 splits, and it is not clear"):
        market(table)


def test_neither_splits_nor_dividends_are_features():
    paid = np.where(np.arange(BARS) % 40 == 5, 0.2, 0.0)
    found = market(bars().assign(split_factor=AT_SPLIT, dividend_amount=paid))
    assert found.extra == {}
    assert [entry["column"] for entry in found.quality["left_out_columns"]] == [
        "split_factor",
        "dividend_amount",
    ]


def test_the_raw_close_of_crsp_is_found_beside_an_adjusted_one():
    crsp = {"open": "OPENPRC", "high": "ASKHI", "low": "BIDLO", "close": "PRC", "volume": "VOL"}
    table = raw_bars().rename(columns=crsp).assign(adj_close=bars()["close"])
    found = market(table)
    right = bars()
    for name in ("open", "high", "low", "close"):  # single precision: PRC is a further column
        np.testing.assert_allclose(found.fields[name][:, 0], right[name], rtol=1e-6)
    np.testing.assert_allclose(found.fields["volume"][:, 0], right["volume"], rtol=1e-6)
    assert found.extra == {}
    assert "'PRC' read as the raw close beside 'adj_close'" in found.quality["read_as"]


def test_a_close_outside_the_range_of_its_bars_is_no_raw_one():
    table = raw_bars().drop(columns="close").assign(last=bars()["close"], adj_close=bars()["close"])
    found = market(table)
    assert list(found.fields) == ["volume", "close"]
    assert "last" not in found.extra


FACTOR = np.where(np.arange(BARS) < SPLIT, 4.0, 1.0)


@pytest.mark.parametrize("values", [FACTOR, 1 / FACTOR, 25 * FACTOR])
def test_a_factor_beside_an_adjusted_close_is_no_feature_whatever_it_is_called(values):
    found = market(raw_bars().assign(adj_close=bars()["close"], k=values))
    assert found.extra == {}
    (entry,) = found.quality["left_out_columns"]
    assert entry == {"column": "k", "why": "a factor of adjustment; the adjusted close holds it"}


def test_other_steps_beside_an_adjusted_close_are_features():
    steps = np.where(np.arange(BARS) < SPLIT - 30, 4.0, 1.0)
    rating = np.where(np.arange(BARS) < SPLIT, 4.0, 3.0)
    found = market(raw_bars().assign(adj_close=bars()["close"], steps=steps, rating=rating))
    assert list(found.extra) == ["steps", "rating"]
