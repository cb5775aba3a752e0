"""Epochs of another unit or origin are refused; weeks and years that people have are read."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pandas.tseries.holiday import USFederalHolidayCalendar

from trainable.cli.errors import UserError
from trainable.data.ingest.timestamps import Times, parse_times
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame


def parse(values: np.ndarray) -> Times:
    column = pa.chunked_array([pa.array(values)])
    return parse_times(column, "when", lambda row: f"data row {row + 1}")


def without(first: str, last: str, *closed: int, clock: str = "0h") -> pd.DatetimeIndex:
    """Days but those of the week that are closed, Monday is 0."""
    days = pd.date_range(first, last, unit="ns")
    return days[~days.day_of_week.isin(closed)] + pd.Timedelta(clock)


NEW_YORK = without("2014-01-02", "2023-12-29", 5, 6)
NEW_YORK = NEW_YORK[~NEW_YORK.isin(USFederalHolidayCalendar().holidays("2014", "2024"))]
FIVE_MINUTES = pd.DatetimeIndex(
    [d + pd.Timedelta(minutes=570 + 5 * i) for d in NEW_YORK[:60] for i in range(78)]
)
ROUND_THE_CLOCK = pd.date_range("2015-01-01", "2023-12-31", unit="ns")
HOURS = pd.date_range("2012-01-01", "2021-12-31", freq="h", unit="ns")


@pytest.mark.parametrize("unit", [1, 10**3, 10**6, 10**9])
@pytest.mark.parametrize(
    ("origin", "says"),
    [
        ("2000-01-01", r"no bar lies on Thursday and Friday .* from 2000-01-01 \(kdb\+\)"),
        ("2001-01-01", r"no bar lies on Tuesday and Wednesday .* from 2001-01-01 \(Apple\)"),
        ("1980-01-06", r"no bar lies on Wednesday and Thursday .* from 1980-01-06 \(GPS\)"),
        ("1980-01-01", r"no bar lies on Monday and Tuesday .* from 1980-01-01 \(DOS\)"),
    ],
)
@pytest.mark.parametrize("times", [NEW_YORK, FIVE_MINUTES], ids=["daily", "5 minutes"])
def test_numbers_that_count_from_another_day_are_refused(times, origin, says, unit):
    with pytest.raises(UserError, match=f"data row 1: {says} .*lie on Monday to Friday"):
        parse((times - pd.Timestamp(origin)).asi8 // 10**9 * unit)


def test_seconds_since_1960_are_refused_where_christmas_shows_them():
    early = NEW_YORK - pd.Timedelta(days=7305)  # 1994 to 2003, and Monday to Friday
    early = early + pd.Timedelta(days=4)
    kept = early[~((early.month == 12) & (early.day == 25)) & (early.day_of_year > 1)]
    with pytest.raises(UserError, match=r"on Friday and Saturday .* from 1960-01-01 \(SAS\)"):
        parse((kept - pd.Timestamp("1960-01-01")).asi8 // 10**9)


@pytest.mark.parametrize(
    ("unit", "times", "says"),
    [
        (60, NEW_YORK, "1970-09-25 as an epoch in s, with a bar every 24 minutes, and 2014-01-02"),
        (60, ROUND_THE_CLOCK, "every 24 minutes, and 2015-01-01 in units of 60 s"),
        (60, HOURS, "every 1 minutes, and .*2012-01-01 in units of 60 s"),
        (0.01, NEW_YORK, "1974-05-27 .* every 144 minutes, and 2014-01-02 in units of 10 ms"),
        (0.01, HOURS, "every 6 minutes, and 2012-01-01 in units of 10 ms"),
    ],
)
def test_minutes_and_hundredths_of_a_second_are_refused(unit, times, says):
    with pytest.raises(UserError, match=f"data row 1: .*{says}"):
        parse((times.asi8 / (unit * 1e9)).round().astype(np.int64))


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    "times",
    [
        NEW_YORK,
        FIVE_MINUTES,
        ROUND_THE_CLOCK,
        HOURS,
        without("1971-01-04", "1979-12-31", 5, 6),
        without("2018-01-01", "2023-12-29", 4, 5),  # Tel Aviv, Riyadh
        without("1998-01-03", "2012-12-29", 3, 4),  # Riyadh until 2013, Tehran
        without("2014-01-01", "2023-12-29", 4, 5, clock="15h"),  # midnight of Tokyo
        without("2014-01-01", "2023-12-29", 6, 0),  # a day late
        without("2014-01-01", "2023-12-29", 5),  # with Sunday evenings
        without("2014-01-01", "2023-12-29", 6),
        without("2014-01-01", "2023-12-29", 1, 3, 5, 6),
        pd.date_range("1971-01-01", "2019-12-01", freq="MS", unit="ns"),
    ],
)
def test_epochs_of_usual_weeks_and_years_are_read(times, unit):
    found = parse(times.as_unit(unit).asi8)
    np.testing.assert_array_equal(found.values, times.to_numpy())


def test_dates_are_refused_only_in_weeks_that_no_exchange_has():
    def read(times: pd.DatetimeIndex) -> np.ndarray:
        walk = np.random.default_rng(1).normal(0.0, 0.01, len(times))
        table = pd.DataFrame({"timestamp": times, "close": 100 * np.exp(np.cumsum(walk))})
        return market_from_frame(table, DataSettings()).timestamps

    with pytest.raises(
        UserError, match=r"on Tuesday and Wednesday .*: the dates are some days off"
    ):
        read(without("2018-01-01", "2023-12-29", 1, 2))
    for closed in ((5, 6), (4, 5), (3, 4), (6, 0), (5,), (6,), (), (1, 3, 5, 6)):
        times = without("1990-01-01", "1993-12-29", *closed)
        np.testing.assert_array_equal(read(times), times.to_numpy())
