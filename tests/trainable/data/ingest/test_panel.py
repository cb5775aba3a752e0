"""From long tables to the grid: values, choices, duplicates, ready features, speed."""

import time

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainable.cli.errors import UserError
from trainable.data.ingest.panel import read_panel
from trainable.data.ingest.selection import first_bar, held_out
from trainable.data.ingest.table import table_of
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

BARS = 40


def frame(symbols: int = 4, bars: int = BARS) -> pd.DataFrame:
    rng = np.random.default_rng(1)
    days = pd.bdate_range("2024-01-01", periods=bars)
    table = pd.MultiIndex.from_product([days, [f"S{n}" for n in range(symbols)]])
    table = table.to_frame(index=False, name=["timestamp", "symbol"])
    return table.assign(close=np.exp(rng.normal(0, 0.1, len(table))) * 20)


def market(table: pd.DataFrame, **keys):
    return market_from_frame(table, DataSettings(**keys))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_grid_equals_the_pivot(data):
    cells = data.draw(
        st.lists(st.tuples(st.integers(0, 30), st.integers(0, 5)), unique=True, min_size=1)
    )
    table = pd.DataFrame(cells, columns=["day", "symbol"])
    table["close"] = np.random.default_rng(0).normal(size=len(table))
    table["timestamp"] = pd.Timestamp("2024-01-01") + pd.to_timedelta(table.pop("day"), unit="D")
    table["symbol"] = "S" + table["symbol"].astype(str)
    arrow = pa.Table.from_pandas(table, preserve_index=False)
    panel = read_panel(table_of(arrow, "f", "f", ""), DataSettings())
    expected = table.pivot(index="timestamp", columns="symbol", values="close")
    np.testing.assert_array_equal(panel.fields["close"], expected.to_numpy())
    np.testing.assert_array_equal(panel.timestamps, expected.index.to_numpy())
    assert panel.symbols == tuple(expected.columns)
    assert panel.cell is not None
    for k in range(len(table)):
        mask = np.zeros(panel.rows.shape, bool)
        mask.ravel()[panel.cell[k]] = True
        assert f"data row {k + 1} (" in panel.first(mask)[0]


def test_chosen_symbols_and_recent_dates():
    found = market(frame(), symbols=("S3", "S1"), fraction=0.25)
    assert found.symbols == ("S1", "S3")
    assert len(found.timestamps) == BARS // 4
    assert str(found.timestamps[-1])[:10] == "2024-02-23"
    whole = market(frame())
    np.testing.assert_array_equal(found.fields["close"], whole.fields["close"][-10:, [1, 3]])


def test_unknown_symbol_is_offered_a_known_one():
    with pytest.raises(UserError, match="unknown symbol 'S33'; did you mean 'S3'"):
        market(frame(), symbols=("S33",))


def test_dates_that_only_other_symbols_have_are_no_bars():
    table = frame().query("symbol != 'S0' or timestamp < '2024-01-20'")
    assert len(market(table, symbols=("S0",)).timestamps) == 15


def test_a_defect_in_a_symbol_that_is_left_out_does_not_matter():
    table = frame()
    table.loc[6, "close"] = -1.0
    with pytest.raises(UserError, match=r"data row 7 \(2024-01-02, S2\).*'close' is -1"):
        market(table)
    assert market(table, symbols=("S0", "S1", "S3")).quality["rows"] == 3 * BARS


def test_row_numbers_stay_those_of_the_file_after_a_choice():
    table = frame()
    table.loc[130, "close"] = np.inf
    with pytest.raises(UserError, match=r"data row 131 \(2024-02-14, S2\).*'close' is infinite"):
        market(table, symbols=("S2",), fraction=0.5)


def test_held_out_symbols_are_stable_when_symbols_are_added():
    names = [f"S{n}" for n in range(2000)]
    out = [name for name in names if held_out(name, 0.3)]
    assert 0.25 < len(out) / len(names) < 0.35
    assert set(out) <= {name for name in names if held_out(name, 0.5)}
    small, large = (market(frame(n), holdout_symbols=0.4) for n in (10, 20))
    assert set(small.symbols) == set(large.symbols) & {f"S{n}" for n in range(10)}
    assert set(small.quality["held_out_symbols"]) == {f"S{n}" for n in range(10)} - set(
        small.symbols
    )


@pytest.mark.parametrize(("share", "amount"), [(1e-6, "none"), (0.999999, "all")])
def test_a_hold_out_of_none_or_all_is_refused(share, amount):
    with pytest.raises(UserError, match=f"holds out {amount} of 4 symbols"):
        market(frame(), holdout_symbols=share)


@pytest.mark.parametrize(
    "keys",
    [
        {"fraction": 0.0},
        {"fraction": 1.01},
        {"holdout_symbols": 1.0},
        {"holdout_symbols": -0.1},
        {"horizon": 0},
        {"periods_per_year": 0.0},
    ],
)
def test_settings_out_of_range(keys):
    with pytest.raises(UserError, match=f"data.{next(iter(keys))}="):
        market(frame(), **keys)


@given(st.integers(1, 10_000), st.floats(0.001, 1))
def test_a_fraction_keeps_at_least_that_share(bars, fraction):
    kept = bars - first_bar(bars, fraction)
    assert 1 <= kept <= bars
    assert abs(kept - fraction * bars) <= 1


def test_duplicates_are_named_with_both_rows():
    table = frame()
    table = pd.concat([table, table.iloc[[17, 5]]], ignore_index=True)
    with pytest.raises(UserError) as error:
        market(table)
    message = str(error.value)
    assert "data row 161 repeats data row 18: timestamp 2024-01-05, symbol S1" in message
    assert "(2 such rows)" in message


def test_missing_columns_are_named():
    with pytest.raises(UserError, match="no timestamp column"):
        market(frame().drop(columns="timestamp"))
    with pytest.raises(UserError, match="no 'close' column among timestamp, symbol, worth"):
        market(frame().rename(columns={"close": "worth"}))


def test_a_missing_symbol_is_named():
    table = frame()
    table.loc[11, "symbol"] = None
    with pytest.raises(UserError, match="data row 12: the 'symbol' cell is empty"):
        market(table)


def test_day_and_time_of_day_in_two_columns():
    minutes = pd.date_range("2024-01-02 09:30", periods=60, freq="min")
    table = pd.DataFrame(
        {
            "Date": minutes.strftime("%Y-%m-%d"),
            "Time": minutes.strftime("%H:%M"),
            "Close": np.arange(60) + 10.0,
        }
    )
    typed = table.assign(Date=minutes.date, Time=minutes.time)
    for given_ in (table, typed):
        found = market(given_)
        np.testing.assert_array_equal(found.timestamps, minutes.to_numpy().astype("datetime64[ns]"))
        assert found.intraday


def ready() -> pd.DataFrame:
    rng = np.random.default_rng(2)
    table = frame().drop(columns="close")
    values = rng.normal(0, 0.02, (len(table), 4))
    return table.assign(
        feat_a=values[:, 0], Feat_B=values[:, 1], label=values[:, 2], next_return=values[:, 3]
    )


def test_ready_features():
    table = ready()
    table.loc[159, "label"] = np.nan
    found = market(table, features="feat_*", target="label", returns="next_return", horizon=5)
    assert list(found.extra) == ["feat_a", "Feat_B"]
    assert found.fields == {}
    assert found.extra["feat_a"].dtype == np.float32
    expected = table.pivot(index="timestamp", columns="symbol", values="label").to_numpy()
    np.testing.assert_array_equal(found.target, expected)
    assert found.present.all()
    one = market(table, features="feat_*", target="label")
    np.testing.assert_array_equal(one.returns, one.target)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"features": "feat_*"}, "needs data.target"),
        (
            {"features": "fest_a", "target": "label"},
            "'fest_a'; did you mean 'feat_a'",
        ),
        ({"features": "feat_*", "target": "lable"}, "data.target 'lable'; did you mean 'label'"),
        (
            {"features": "feat_*", "target": "label", "returns": "next_retur"},
            "data.returns 'next_retur'; did you mean 'next_return'",
        ),
        ({"features": "feat_*", "target": "label", "horizon": 5}, "data.returns is needed"),
    ],
)
def test_ready_features_with_wrong_names(keys, says):
    with pytest.raises(UserError, match=says):
        market(ready(), **keys)


def test_ready_returns_must_be_returns():
    table = ready()
    table["score"] = np.arange(len(table)) - 50.0
    with pytest.raises(UserError, match=r"data row 1 .*'score' is no simple return.*data.returns"):
        market(table, features="feat_*", target="score")


def test_a_frame_is_hashed_by_content():
    table = frame()
    changed = table.assign(close=table["close"] * 2)
    assert market(table).sha256 == market(table.copy()).sha256 != market(changed).sha256
    assert market(table.set_index(["timestamp", "symbol"])).sha256 == market(table).sha256


def test_system_b3_text_cells_in_a_frame():
    table = frame().astype({"close": object})
    table.loc[9, "close"] = "n.m."
    with pytest.raises(
        UserError, match=r"data row 10 \(2024-01-03, S1\): 'n.m.' in column 'close'"
    ):
        market(table)


def test_symbols_on_different_grids_are_refused_before_memory_ends():
    n = 30_000
    table = pa.table(
        {
            "timestamp": pa.array(np.arange(n) * 7 + 10**9),
            "symbol": pa.array(np.arange(n).astype(str)),
            "close": pa.array(np.ones(n)),
        }
    )
    with pytest.raises(UserError, match="30000 symbols share few of the 30000 timestamps"):
        read_panel(table_of(table, "f", "f", ""), DataSettings())


def test_a_million_rows_take_less_than_seconds():
    bars, symbols = 5_000, 200
    rng = np.random.default_rng(0)
    stamps = np.repeat(np.arange(bars) * 86_400 + 10**9, symbols).astype("datetime64[s]")
    table = pa.table(
        {
            "timestamp": pa.array(stamps),
            "symbol": pa.array([f"S{n:03d}" for n in range(symbols)] * bars),
            "close": pa.array(rng.uniform(1, 2, bars * symbols)),
        }
    )
    started = time.perf_counter()
    read_panel(table_of(table, "f", "f", ""), DataSettings())
    assert time.perf_counter() - started < 5
