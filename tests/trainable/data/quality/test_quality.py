"""Checks of values: refused with file, column and first row, or repaired and counted."""

import json

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

BARS = 40
SCORES = np.random.default_rng(2).normal(0, 0.1, 2 * BARS)


def frame(symbols: int = 2) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    parts = []
    for n in range(symbols):
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, BARS)))
        start = close * np.exp(rng.normal(0, 0.003, BARS))
        parts.append(
            pd.DataFrame(
                {
                    "timestamp": pd.bdate_range("2024-01-01", periods=BARS),
                    "symbol": f"S{n}",
                    "open": start,
                    "high": np.maximum(start, close) * 1.002,
                    "low": np.minimum(start, close) * 0.998,
                    "close": close,
                    "volume": rng.integers(1000, 9000, BARS).astype(float),
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def market(table: pd.DataFrame, **keys):
    return market_from_frame(table, DataSettings(**keys), "prices.csv")


@pytest.mark.parametrize(
    ("column", "value", "says"),
    [
        ("close", 0.0, "column 'close' is 0, must be positive"),
        ("open", -3.0, "column 'open' is -3, must be positive"),
        ("low", -0.5, "column 'low' is -0.5, must be positive"),
        ("volume", -1.0, "column 'volume' is -1, must be zero or more"),
        ("close", np.inf, "column 'close' is infinite"),
        ("volume", -np.inf, "column 'volume' is infinite"),
        ("high", 1.0, "column 'high' 1 is below 'low'"),
    ],
)
def test_an_impossible_value_is_refused_at_its_first_row(column, value, says):
    table = frame()
    table.loc[[52, 70], column] = value
    with pytest.raises(UserError) as error:
        market(table)
    assert str(error.value).startswith("prices.csv: data row 53 (2024-01-17, S1): ")
    assert says in str(error.value)
    assert "(2 such" in str(error.value)


def test_infinite_and_too_large_further_columns_are_refused():
    table = frame().assign(vix=np.arange(2 * BARS) * 1.0)
    table.loc[3, "vix"] = 1e300  # beyond float32
    with pytest.raises(UserError, match=r"data row 4 .*'vix' is infinite"):
        market(table)


def ready(**columns: object) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    table = frame()[["timestamp", "symbol"]]
    return table.assign(feat_a=rng.normal(size=2 * BARS), y=SCORES, ret=0.1 * SCORES).assign(
        **columns
    )


@pytest.mark.parametrize(
    ("columns", "says"),
    [
        ({"y": np.where(np.arange(2 * BARS) == 50, np.inf, SCORES)}, "column 'y' is infinite (1"),
        ({"ret": np.where(np.arange(2 * BARS) == 50, np.inf, SCORES)}, "column 'ret' is infinite"),
        (
            {"y": 1.0},
            "column 'y' is constant (1 throughout), so there is nothing to learn; name an",
        ),
        (
            {"y": np.nan},
            "column 'y' has no number, so there is nothing to learn; name another: dat",
        ),
        (
            {"ret": 0.0},
            "column 'ret' is constant (0 throughout), so nothing can be earned; name an",
        ),
        ({"ret": np.nan}, "column 'ret' has no number, so nothing can be earned; name another: da"),
    ],
)
def test_a_ready_column_that_is_no_label_is_called_as_in_the_file(columns, says):
    with pytest.raises(UserError) as error:
        market(ready(**columns), features="feat_*", target="y", returns="ret")
    assert says in str(error.value)
    assert "remove" not in str(error.value)


@pytest.mark.parametrize(
    ("role", "name", "value", "says"),
    [
        ("close", "Last", np.inf, "column 'Last' is infinite"),
        ("open", "Opening Price", 5.0, "column 'Opening Price' is constant (5 throughout)"),
        ("close", "Last", 5.0, "column 'Last' of S0, S1 never moves"),
    ],
)
def test_a_price_under_another_name_is_called_as_in_the_file(role, name, value, says):
    table = frame().drop(columns=["high", "low"])
    table[role] = value
    with pytest.raises(UserError) as error:
        market(table.rename(columns={role: name}))
    assert says in str(error.value)


def test_bars_whose_range_misses_open_or_close_are_widened_and_counted():
    table = frame()
    table.loc[3, "close"] = table.loc[3, "high"] * 1.01
    table.loc[4, "open"] = table.loc[4, "low"] * 0.99
    table.loc[5, "high"] *= 1 - 1e-13  # rounding is no defect
    found = market(table)
    assert found.quality["bar_out_of_range"] == 2
    assert found.fields["high"][3, 0] == found.fields["close"][3, 0] == table.loc[3, "close"]
    assert found.fields["low"][4, 0] == found.fields["open"][4, 0]
    inside = (found.fields["low"] <= found.fields["close"]) & (
        found.fields["close"] <= found.fields["high"]
    )
    assert inside.all()


def test_system_b6_missing_bars_stay_missing():
    table = frame()
    table.loc[[10, 11], "close"] = np.nan
    table.loc[20, "open"] = np.nan
    table = table.drop(index=[60, 61, 62, 79])  # the last is an end, not a hole
    found = market(table)
    close = found.fields["close"]
    assert np.isnan(close[[10, 11], 0]).all()
    assert np.isnan(close[20:23, 1]).all()
    assert np.isnan(found.fields["volume"][10, 0])
    np.testing.assert_array_equal(np.isfinite(close), found.present)
    assert found.quality["missing_bars"] == 5
    assert found.quality["rows_without_close"] == 2
    assert found.quality["empty_cells"]["open"] == 1
    assert found.quality["rows"] == 80 - 6


def test_bars_and_symbols_without_any_close_are_dropped_and_named():
    table = frame(3)
    table.loc[table["symbol"] == "S1", "close"] = np.nan
    table.loc[table["timestamp"] == "2024-01-04", "close"] = np.nan
    found = market(table)
    assert found.symbols == ("S0", "S2")
    assert found.quality["symbols_without_bars"] == ["S1"]
    assert found.quality["bars_dropped"] == 1
    assert len(found.timestamps) == BARS - 1
    with pytest.raises(UserError, match="no row has a close"):
        market(table.assign(close=np.nan))


def test_adjusted_close_moves_the_whole_bar_to_its_scale():
    table = frame()
    factor = np.where(table["timestamp"] < "2024-01-20", 0.25, 1.0)
    raw = table.copy()
    raw[["open", "high", "low", "close"]] = table[["open", "high", "low", "close"]].div(
        factor, axis=0
    )
    found = market(raw.assign(**{"Adj Close": table["close"]}))
    plain = market(table)
    assert found.quality["adjusted"] is True
    assert set(found.fields) == {"open", "high", "low", "close", "volume"}
    for name in found.fields:
        np.testing.assert_allclose(found.fields[name], plain.fields[name], rtol=1e-12)
    assert found.quality["bar_out_of_range"] == 0
    assert (found.fields["high"] >= found.fields["close"]).all()


def test_an_adjusted_close_alone_is_the_close_and_leaves_unadjusted_columns_out():
    table = frame().rename(columns={"close": "adj_close"})
    found = market(table)
    assert set(found.fields) == {"close", "volume"}
    assert [entry["column"] for entry in found.quality["left_out_columns"]] == [
        "open",
        "high",
        "low",
    ]


def test_further_columns_that_are_constant_or_empty_are_left_out_and_recorded():
    found = market(frame().assign(vix=17.5, buy=np.nan, volume=3.0, score=SCORES))
    assert list(found.extra) == ["score"]
    assert "volume" not in found.fields
    assert found.quality["left_out_columns"] == [
        {"column": "volume", "why": "3 throughout"},
        {"column": "vix", "why": "17.5 throughout"},
        {"column": "buy", "why": "empty"},
    ]


def test_system_a8_a_price_that_never_moves_is_refused():
    with pytest.raises(UserError, match=r"prices.csv: column 'open' is constant \(50 throughout"):
        market(frame().assign(open=50.0, high=90.0, low=10.0))


def test_a_close_that_never_moves_is_refused_and_can_be_left_out():
    table = frame(3)
    table.loc[table["symbol"] == "S1", ["open", "high", "low", "close"]] = 7.0
    with pytest.raises(UserError) as error:
        market(table)
    message = str(error.value)
    assert "column 'close' of S1 never moves (7 throughout)" in message
    assert message.endswith("data.symbols=S0,S2")
    assert market(table, symbols=("S0", "S2")).symbols == ("S0", "S2")


def test_constant_ready_features_are_left_out_and_a_constant_target_is_refused():
    table = frame()[["timestamp", "symbol"]].assign(feat_a=SCORES, feat_b=1, label=SCORES / 10)
    found = market(table, features="feat_*", target="label")
    assert list(found.extra) == ["feat_a"]
    assert found.quality["left_out_columns"] == [{"column": "feat_b", "why": "1 throughout"}]
    with pytest.raises(UserError, match="'label' is constant"):
        market(table.assign(label=0.0), features="feat_a", target="label")
    with pytest.raises(UserError, match="all features are constant or empty: feat_b"):
        market(table, features="feat_b", target="label")


def test_a_volume_that_is_zero_throughout_is_left_out_and_said():
    found = market(frame().assign(volume=0.0))
    assert "volume" not in found.fields
    assert found.quality["left_out_columns"] == [{"column": "volume", "why": "zero throughout"}]
    some = frame()
    some.loc[:4, "volume"] = 0.0
    assert market(some).quality["zero_volume_bars"] == 5


def test_bad_ticks_are_marked_and_prices_never_altered():
    table = frame()
    table.loc[60, ["open", "high", "low", "close"]] *= 3
    found = market(table)
    assert np.argwhere(found.bad_ticks).tolist() == [[20, 1]]
    assert found.fields["close"][20, 1] == table.loc[60, "close"]
    assert found.quality["bad_ticks"]["reverted"] == 1


def test_quality_says_what_was_found_and_is_json():
    table = frame().sample(frac=1, random_state=0)
    found = market(table)
    quality = json.loads(json.dumps(found.quality, allow_nan=False))
    assert quality["rows_in_file"] == quality["rows"] == 2 * BARS
    assert (quality["bars"], quality["symbols"]) == (BARS, 2)
    assert (quality["first"], quality["last"]) == ("2024-01-01", "2024-02-23")
    assert quality["unsorted_rows"] > 10
    assert quality["missing_bars"] == 0
    assert (found.intraday, found.periods_per_year) == (False, 252.0)
    assert market(table, periods_per_year=260.0).periods_per_year == 260.0


def test_a_single_bar_is_refused():
    with pytest.raises(UserError, match="only 1 bar"):
        market(frame(1).iloc[3:4])
