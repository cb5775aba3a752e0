"""Wide tables whose columns are times hold one symbol: they are refused, tickers never are."""

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

ROWS = 200
DAYS = pd.bdate_range("2020-01-01", periods=ROWS)


def walk(seed: int, count: int, start: float = 100.0) -> np.ndarray:
    """[count] prices."""
    return start * np.exp(np.random.default_rng(seed).normal(0, 0.01, count).cumsum())


def row_by_row(names: list[str], descending: bool = False) -> pd.DataFrame:
    """A table of date × time: one walk, written row by row."""
    prices = walk(1, ROWS * len(names)).reshape(ROWS, len(names))
    frame = pd.DataFrame(prices, columns=names)
    frame.insert(0, "date", DAYS)
    return frame.iloc[::-1].reset_index(drop=True) if descending else frame


@pytest.mark.parametrize(
    "names",
    [
        ["09:30", "10:30", "11:30", "12:30"],
        ["09:30:00", "10:30:00", "11:30:00"],
        ["9:30 AM", "10:30 AM", "1:30 p.m."],
        ["9AM", "10AM", "1PM"],
        ["9h30", "10h30", "11h30"],
        ["00-01", "01-02", "02-03"],
        ["22:00-23:00", "23:00-00:00"],
        ["Hour 1", "Hour 2", "Hour 3"],
        ["Stunde 1", "Stunde 2", "Stunde 3"],
        ["H1", "H2", "H3", "H4"],
        ["HE01", "HE02", "HE03"],
        ["9", "10", "11", "12"],
        ["0", "1", "2", "3"],
        ["930", "1000", "1030", "1300", "1330"],
        ["09.30", "10.00", "10.30"],
        ["bar 1", "bar 2", "bar 3"],
        ["Mon", "Tue", "Wed", "Thu", "Fri"],
        ["Monday", "Tuesday", "Wednesday"],
        ["Fri", "Mon", "Thu", "Tue", "Wed"],
        ["Jan", "Feb", "Mar", "Apr"],
        ["Q1", "Q2", "Q3", "Q4"],
        ["AM", "PM"],
        ["GOLD AM", "GOLD PM"],
        ["P_H1", "P_H2", "P_H3"],
    ],
)
@pytest.mark.parametrize("descending", [False, True])
def test_columns_called_like_times_are_no_symbols(names, descending):
    frame = row_by_row(names, descending)
    if names[0] == "Fri":  # sorted by their letters, as pivot tables are
        frame.columns = ["date", "Mon", "Tue", "Wed", "Thu", "Fri"]
        frame = frame[["date", *names]]
    with pytest.raises(UserError, match=r"no symbols: .*a row holds several bars"):
        market_from_frame(frame, DataSettings())


def test_a_mean_beside_the_hours_changes_nothing():
    frame = row_by_row(["1", "2", "3", "4"])
    frame["AVG"] = frame[["1", "2", "3", "4"]].mean(axis=1)
    with pytest.raises(UserError, match="look like times of the day or numbers of bars"):
        market_from_frame(frame, DataSettings())


def test_columns_that_are_years_are_no_symbols():
    years = [str(year) for year in range(2014, 2022)]
    frame = pd.DataFrame(walk(2, ROWS * len(years)).reshape(len(years), ROWS).T, columns=years)
    frame.insert(0, "date", DAYS)
    with pytest.raises(UserError, match="are years, no symbols"):
        market_from_frame(frame, DataSettings())


@pytest.mark.parametrize(
    "names",
    [
        ["0700", "0005", "0939", "1299", "2318"],  # Hong Kong
        ["0001", "0002", "0003", "0004"],
        ["700", "800", "900"],
        ["7203", "6758", "9984"],  # Tokyo
        ["2001", "2002", "2003", "2004", "2005"],
        ["005930", "000660", "035420"],  # Korea
        ["1", "2", "3", "4"],
        ["ON", "ALL", "NOW", "A"],
        ["MON", "SUN", "FRI", "MAY"],
        ["MON", "SUN"],
        ["AM", "PM"],
        ["JAN", "MAY", "MAR"],
        ["H", "HE", "T"],
        ["CL1", "CL2", "CL3"],
        ["HE1", "HE2", "HE3"],  # lean hogs
        ["H1", "H2", "H3"],
        ["BRK-B", "3-01"],
        ["2-10", "5-30", "2-5"],
        ["GOLD AM", "GOLD PM"],
    ],
)
def test_tickers_that_look_like_times_are_symbols(names):
    # Of unlike levels, as prices of several companies are.
    columns = {name: walk(i, ROWS, 20.0 * 2.5**i) for i, name in enumerate(names)}
    frame = pd.DataFrame({"date": DAYS, **columns})
    market = market_from_frame(frame, DataSettings())
    assert set(market.symbols) == set(names)
    first = market.fields["close"][:, market.symbols.index(names[0])]
    np.testing.assert_allclose(first, columns[names[0]])


@pytest.mark.parametrize("names", [["HE1", "HE2", "HE3"], ["1", "2", "3"], ["AM", "PM"]])
def test_symbols_that_move_together_at_one_level_are_symbols(names):
    market = walk(5, ROWS)
    columns = {name: market * walk(i + 9, ROWS, 1.0) ** 0.05 for i, name in enumerate(names)}
    frame = pd.DataFrame({"date": DAYS, **columns})
    assert set(market_from_frame(frame, DataSettings()).symbols) == set(names)


@pytest.mark.parametrize(("names", "rows"), [(["T+0", "T+1"], -1), (["lag0", "lag2"], 2)])
def test_columns_of_earlier_or_later_prices_are_no_symbols(names, rows):
    close = pd.Series(walk(3, ROWS))
    frame = pd.DataFrame({"date": DAYS, names[0]: close, names[1]: close.shift(rows)})
    said = rf"holds the prices of 'T\+?.*moved by 1 row:|moved by {abs(rows)} rows:"
    with pytest.raises(UserError, match=said):
        market_from_frame(frame, DataSettings())


def closes_of(names: list[str]) -> pd.DataFrame:
    """A wide table of closes, a walk a column."""
    walks = {name: walk(seed, ROWS) for seed, name in enumerate(names)}
    return pd.DataFrame({"date": DAYS, **walks})


@pytest.mark.parametrize("odd", ["Y", "MA", "BB", "RET", "CCI"])
def test_a_ticker_that_is_called_like_a_label_or_an_indicator_is_a_symbol(odd: str) -> None:
    names = ["AA", "DD", "EE", odd]
    market = market_from_frame(closes_of(names), DataSettings())
    assert set(market.symbols) == set(names)


@pytest.mark.parametrize("name", ["RSI", "y", "MA_20"])
def test_a_column_beside_tickers_that_may_be_no_close_is_named(name: str) -> None:
    frame = closes_of(["AA", "DD", "EE", "FF"])
    frame[name] = 50 + 5 * np.random.default_rng(0).standard_normal(ROWS)
    with pytest.raises(UserError, match=f"'{name}' may be a label or an indicator; remove it"):
        market_from_frame(frame, DataSettings())
