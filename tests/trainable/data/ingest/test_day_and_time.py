"""A time of day beside a column of dates is joined, whatever the two are called."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market, market_from_frame

BARS = 240
HOURS = pd.date_range("2021-01-04", periods=BARS, freq="h")
CLOSE = 100 * np.exp(np.cumsum(np.random.default_rng(5).normal(0, 0.01, BARS)))
DAY = "%Y-%m-%d"


def read(folder: Path, table: pd.DataFrame) -> Market:
    table.to_csv(folder / "f.csv", index=False)
    return load_market(DataSettings(path=str(folder / "f.csv")))


@pytest.mark.parametrize("form", ["%H:%M", "%H:%M:%S", "%I:%M %p"])
@pytest.mark.parametrize(
    ("date", "clock"),
    [
        ("date", "hora"),
        ("Datum", "Uhrzeit"),
        ("Trade Date", "Trade Time"),
        ("timestamp", "bar_time"),
        ("day", "k"),
        ("Fecha", "Time"),
    ],
)
def test_a_time_of_day_under_any_name_is_joined(
    date: str, clock: str, form: str, tmp_path: Path
) -> None:
    columns = {date: HOURS.strftime(DAY), clock: HOURS.strftime(form), "close": CLOSE}
    found = read(tmp_path, pd.DataFrame(columns))
    np.testing.assert_array_equal(found.timestamps, HOURS.to_numpy())
    said = "; ".join(found.quality["read_as"])
    assert f"'{clock}' read as the time of day of '{date}'" in said or f"'{date}' read as" in said


def test_it_is_joined_in_a_panel_of_typed_columns_and_of_digits() -> None:
    minutes = HOURS[HOURS.hour > 0]
    close = CLOSE[: len(minutes)]
    for clock in (minutes.time, minutes.hour * 100, np.array(minutes.strftime("%H:%M"))):
        one = pd.DataFrame({"date": minutes.date, "hhmm": clock, "close": close, "symbol": "A"})
        found = market_from_frame(pd.concat([one, one.assign(symbol="B")]), DataSettings())
        np.testing.assert_array_equal(found.timestamps, minutes.to_numpy())
        np.testing.assert_array_equal(found.fields["close"], np.stack([close, close], axis=1))


def test_an_hour_beside_daily_bars_is_not_joined(tmp_path: Path) -> None:
    days = pd.bdate_range("2021-01-04", periods=BARS)
    one = pd.DataFrame({"date": days, "report": "16:05", "close": CLOSE})
    np.testing.assert_array_equal(read(tmp_path, one).timestamps, days.to_numpy())
    for name in ("symbol", "Name", "Firma"):
        panel = pd.concat([one.assign(**{name: "AAA"}), one.assign(**{name: "BBB"})])
        found = read(tmp_path, panel)
        np.testing.assert_array_equal(found.timestamps, days.to_numpy())
        assert found.symbols == ("AAA", "BBB")


def test_times_of_day_with_an_offset_are_no_symbols(tmp_path: Path) -> None:
    for offset, hours in (("Z", 0), ("+02:00", 2)):
        clock = HOURS.strftime("%H:%M") + offset
        table = pd.DataFrame({"date": HOURS.strftime(DAY), "clock": clock, "close": CLOSE})
        expected = (HOURS - pd.Timedelta(hours=hours)).to_numpy()
        np.testing.assert_array_equal(read(tmp_path, table).timestamps, expected)


def test_of_two_times_of_day_neither_is_chosen(tmp_path: Path) -> None:
    clock = HOURS.strftime("%H:%M")
    table = pd.DataFrame({"date": HOURS.strftime(DAY), "begins": clock, "ends": clock})
    with pytest.raises(UserError, match="'begins', 'ends' hold times of the day; call the one"):
        read(tmp_path, table.assign(close=CLOSE))


SESSION = pd.DatetimeIndex(
    [
        day + pd.Timedelta(minutes=minutes)
        for day in pd.bdate_range("2021-01-04", periods=BARS // 8)
        for minutes in range(570, 571 + 30 * 7, 30)
    ]
)  # half-hourly from 09:30, eight a day
OF_DAY = {
    "hhmm": SESSION.hour * 100 + SESSION.minute,
    "hhmmss": (SESSION.hour * 100 + SESSION.minute) * 100,
    "minutes": SESSION.hour * 60 + SESSION.minute,
    "seconds": (SESSION.hour * 60 + SESSION.minute) * 60,
    "milliseconds": (SESSION.hour * 60 + SESSION.minute) * 60_000,
}


@pytest.mark.parametrize("counted", list(OF_DAY))
@pytest.mark.parametrize(
    "name", ["bar_time", "BarTime", "TIME_M", "start_time", "ms_of_day", "Hora"]
)
@pytest.mark.parametrize("kind", [int, str])
def test_numbers_that_are_times_of_the_day_are_joined_and_never_symbols(
    kind: type, name: str, counted: str, tmp_path: Path
) -> None:
    cells = [kind(value) for value in OF_DAY[counted]]
    table = pd.DataFrame({"date": SESSION.strftime(DAY), name: cells, "close": CLOSE})
    panel = pd.concat([table.assign(firm="AAA"), table.assign(firm="BBB")])
    for found in (read(tmp_path, table), market_from_frame(table, DataSettings())):
        np.testing.assert_array_equal(found.timestamps, SESSION.to_numpy())
        said = "; ".join(found.quality["read_as"])
        assert f"'{name}' read as the time of day of 'date'" in said
        assert (f"'{name}' as {counted} of the day" in said) == ("hhmm" not in counted)
    found = read(tmp_path, panel)
    np.testing.assert_array_equal(found.timestamps, SESSION.to_numpy())
    assert found.symbols == ("AAA", "BBB")


@pytest.mark.parametrize("form", ["%Hh", "%Hh%M"])
@pytest.mark.parametrize("name", ["slot", "Heure", "bar_time"])
def test_hours_with_an_h_are_times_of_the_day(name: str, form: str, tmp_path: Path) -> None:
    table = pd.DataFrame({"date": HOURS.strftime(DAY), name: HOURS.strftime(form), "close": CLOSE})
    np.testing.assert_array_equal(read(tmp_path, table).timestamps, HOURS.to_numpy())


@pytest.mark.parametrize("mark", ["-", " - ", "–", "/", " to "])
@pytest.mark.parametrize("name", ["slot", "bar_time", "Uhrzeit"])
def test_spans_of_time_are_refused_as_such(name: str, mark: str, tmp_path: Path) -> None:
    ends = (SESSION + pd.Timedelta(minutes=30)).strftime("%H:%M")
    spans = SESSION.strftime("%H:%M") + mark + ends
    table = pd.DataFrame({"date": SESSION.strftime(DAY), name: spans, "close": CLOSE})
    line = f"'{name}' beside 'date' holds spans of time .'09:30{mark}10:00'.; give the one time"
    with pytest.raises(UserError, match=line):
        read(tmp_path, table)


@pytest.mark.parametrize(
    ("name", "cells", "advice"),
    [
        ("interval", OF_DAY["minutes"], "call it 'time'"),
        ("strike", OF_DAY["hhmm"], "call it 'time'"),
        ("bar_time", np.arange(BARS) % 8 + 1, "write 09:30 in a column 'time'"),
        ("hour_of", SESSION.hour + SESSION.minute / 60, "write 09:30 in a column 'time'"),
    ],
)
def test_a_column_that_orders_the_rows_of_a_date_is_named(
    name: str, cells: np.ndarray, advice: str, tmp_path: Path
) -> None:
    table = pd.DataFrame({"date": SESSION.strftime(DAY), "close": CLOSE, name: cells})
    line = f"data row 2 repeats data row 1.*'{name}' .* orders the rows of each date: if it is the "
    with pytest.raises(UserError, match=f"{line}time of day, {advice}.*names symbols"):
        read(tmp_path, table)
    with pytest.raises(UserError, match=f"{line}time of day, {advice}$"):
        read(tmp_path, pd.concat([table.assign(symbol="A"), table.assign(symbol="B")]))


def test_numbers_in_a_file_of_one_symbol_after_another_may_name_them(tmp_path: Path) -> None:
    days = pd.bdate_range("2021-01-04", periods=BARS)
    panel = pd.concat([pd.DataFrame({"date": days, "firm": i, "close": CLOSE}) for i in (1, 2, 3)])
    with pytest.raises(UserError, match=r"; if 'firm' \(2 here\) names symbols, call it 'symbol'$"):
        read(tmp_path, panel)


@pytest.mark.parametrize("counted", list(OF_DAY))
def test_texts_of_numbers_that_may_be_times_are_no_symbols(counted: str) -> None:
    cells = [str(value) for value in OF_DAY[counted]]
    table = pd.DataFrame({"date": SESSION.strftime(DAY), "slot": cells, "close": CLOSE})
    with pytest.raises(
        UserError, match=r"'slot' holds evenly spaced numbers .*: call it 'time' if"
    ):
        market_from_frame(table, DataSettings())
    codes = np.array(["0700", "0941", "1299", "2318", "3690", "9988", "0005", "1810"])
    found = market_from_frame(table.assign(slot=np.tile(codes, BARS // 8)), DataSettings())
    assert set(found.symbols) == set(codes)
    days = pd.bdate_range("2021-01-04", periods=BARS // 2).repeat(2)
    pair = table.assign(date=days, slot=["0005", "0700"] * (BARS // 2))
    assert market_from_frame(pair, DataSettings()).symbols == ("0005", "0700")


def test_how_long_a_bar_lasts_is_no_time_of_day(tmp_path: Path) -> None:
    days = pd.bdate_range("2021-01-04", periods=BARS)
    table = pd.DataFrame({"date": days, "symbol": "A", "interval": "1h", "close": CLOSE})
    np.testing.assert_array_equal(read(tmp_path, table).timestamps, days.to_numpy())


@pytest.mark.parametrize("name", ["timestamp", "datetime"])
def test_time_beside_a_timestamp_of_dates_alone_is_joined(name: str, tmp_path: Path) -> None:
    table = pd.DataFrame({name: HOURS.strftime(DAY), "time": HOURS.strftime("%H:%M")})
    typed = pd.DataFrame({name: HOURS.normalize(), "time": HOURS.time}).assign(close=CLOSE)
    for found in (
        read(tmp_path, table.assign(close=CLOSE)),
        read(tmp_path, table.assign(date=HOURS.strftime(DAY), close=CLOSE)),
        read(tmp_path, table.assign(close=CLOSE, **{name: HOURS.strftime(f"{DAY} 00:00:00")})),
        read(tmp_path, table.assign(close=CLOSE, **{name: HOURS.strftime("%Y%m%d")})),
        market_from_frame(typed, DataSettings()),
        market_from_frame(typed.assign(**{name: HOURS.date}), DataSettings()),
    ):
        np.testing.assert_array_equal(found.timestamps, HOURS.to_numpy())
        assert "'time' read as the time of day of" in found.quality["read_as"][0]
    both = pd.concat([table.assign(close=CLOSE, symbol=symbol) for symbol in "AB"])
    np.testing.assert_array_equal(read(tmp_path, both).timestamps, HOURS.to_numpy())


def test_time_beside_daily_timestamps_is_left_out_in_words(tmp_path: Path) -> None:
    days = pd.bdate_range("2021-01-04", periods=BARS)
    table = pd.DataFrame({"timestamp": days.strftime(DAY), "close": CLOSE, "time": "16:00:00"})
    for frame in (table, pd.concat([table.assign(symbol="A"), table.assign(symbol="B")])):
        found = read(tmp_path, frame)
        np.testing.assert_array_equal(found.timestamps, days.to_numpy())
        said = "each date has one bar: 'time' not used beside 'timestamp'"
        assert found.quality["read_as"] == [said]
