"""Bars a year, of every calendar."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pandas.tseries.holiday import USFederalHolidayCalendar

from tests.fixtures.time_files import session, week
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.data.times.bar_calendar import bar_calendar

HOLIDAYS: Any = USFederalHolidayCalendar().holidays("2010-01-01", "2020-12-31")
TRADED: Any = pd.bdate_range("2010-01-04", "2020-12-31").difference(HOLIDAYS)
DAILY: Any = pd.date_range("2015-01-01", periods=900)
HOURLY: Any = pd.date_range("2022-01-01", "2023-06-01", freq="h")
RANDOM = np.random.default_rng(0)


def asian_session() -> Any:
    """Six hours around midnight UTC, from Sunday evening to Friday morning."""
    day, hour = HOURLY.day_of_week, HOURLY.hour
    evening, night = (hour >= 22) & ~day.isin([4, 5]), (hour < 4) & ~day.isin([5, 6])
    return HOURLY[evening | night]


def with_a_break() -> Any:
    """Two sessions of two hours of minutes, with lunch between them."""
    morning = session(TRADED[:120], 120, 1)
    return morning.union(morning + pd.Timedelta(hours=3, minutes=30))


@pytest.mark.parametrize(
    ("timestamps", "intraday", "bars"),
    [
        (pd.date_range("1960-01-31", "2020-12-31", freq="2ME"), False, 6),
        (TRADED, False, 252),
        (TRADED[:10], False, 252),
        (TRADED[:2], False, 252),
        (pd.bdate_range("2024-01-01", periods=100), False, 252),
        (DAILY, False, 365),
        (DAILY[:10], False, 365),
        (DAILY[::2], False, 365.25 / 2),
        (DAILY[::3], False, 365.25 / 3),
        (DAILY[::10], False, 36.525),
        (DAILY[~DAILY.day_of_week.isin([4, 5])], False, 252),  # Sunday to Thursday
        (DAILY[~DAILY.day_of_week.isin([3, 4])], False, 252),  # Saturday to Wednesday
        (DAILY[DAILY.day_of_week != 6], False, 6 * 365.25 / 7),
        (TRADED - pd.Timedelta(hours=3), False, 252),  # the evening before
        (TRADED[::2], False, 126),
        (TRADED[::3], False, 84),
        (TRADED[(TRADED < "2012") | (TRADED > "2014-06")], False, 252),
        (DAILY[(DAILY < "2015-06") | (DAILY > "2015-09")], False, 365),
        (pd.date_range("2020-01-01", periods=100, freq="W"), False, 52),
        (pd.date_range("2020-01-01", periods=5, freq="W"), False, 52),
        (pd.date_range("1990-01-01", periods=200, freq="14D"), False, 26),
        (pd.date_range("2020-01-01", periods=40, freq="ME"), False, 12),
        (pd.date_range("2000-01-01", periods=100, freq="BME"), False, 12),
        (pd.date_range("2020-01-01", periods=4, freq="MS"), False, 12),
        (pd.date_range("2010-01-01", periods=40, freq="QE"), False, 4),
        (pd.date_range("1990-01-01", periods=20, freq="YE"), False, 1),
        (session(TRADED[:300], 390, 1), True, 390 * 252),
        (session(TRADED[:10], 390, 1), True, 390 * 252),
        (session(TRADED[:1], 390, 1), True, 390 * 252),
        (session(TRADED[:15], 78, 5), True, 78 * 252),
        (session(TRADED[:200], 7, 60), True, 7 * 252),
        (session(TRADED[:200], 2, 240), True, 2 * 252),
        (with_a_break(), True, 240 * 252),
        (asian_session(), True, 6 * 252),
        (week("2022-01-02", "2023-06-01", "h"), True, 24 * 252),
        (week("2024-01-07", "2024-01-26", "min"), True, 1440 * 252),
        (HOURLY[:500], True, 24 * 365),
        (HOURLY, True, 24 * 365),
        (HOURLY[::4], True, 6 * 365),
        (HOURLY[::12], True, 2 * 365),
        (HOURLY[::16], True, 1.5 * 365.25),
        (pd.date_range("2024-01-02 14:30", periods=900, freq="min"), True, 1440 * 252),
    ],
)
def test_bars_a_year(timestamps, intraday, bars):
    found = bar_calendar(np.asarray(timestamps, "datetime64[ns]"))
    assert found.intraday == intraday
    assert found.bars_a_year == pytest.approx(bars, rel=1e-3)


def test_bars_that_are_missing_at_random_are_counted():
    kept = RANDOM.random(len(TRADED)) < 0.6
    found = bar_calendar(TRADED[kept].to_numpy())
    years = (TRADED[-1] - TRADED[0]).days / 365.25
    assert found.bars_a_year == pytest.approx(kept.sum() / years, rel=0.01)
    assert found.why.startswith("counted: 5 weekdays")


def test_stocks_beside_crypto_have_a_bar_every_day_and_it_is_said():
    present = np.ones((len(DAILY), 3), bool)
    present[DAILY.day_of_week >= 5, :2] = False
    found = bar_calendar(DAILY.to_numpy(), present)
    assert found.bars_a_year == 365
    assert found.why == "7 weekdays (2 of 3 symbols have none on weekends), daily"


def test_crypto_that_begins_later_than_the_stocks_beside_it():
    stocks = pd.bdate_range("2000-01-03", "2024-06-28")
    crypto = pd.date_range("2014-09-17", "2024-06-28")
    bars = stocks.union(crypto)
    found = bar_calendar(bars.to_numpy().astype("datetime64[ns]"))
    assert found.bars_a_year == 365  # from the first bar of validation on
    assert "7 weekdays, daily (since 2016-" in found.why


def test_daily_bars_after_monthly_ones():
    months, days = pd.date_range("1960-01-01", "1999-12-01", freq="MS"), TRADED
    found = bar_calendar(months.union(days).to_numpy().astype("datetime64[ns]"))
    assert found.bars_a_year == 252


def test_the_reason_is_said():
    sunday = DAILY[~DAILY.day_of_week.isin([4, 5])]
    assert bar_calendar(sunday.to_numpy()).why == "5 weekdays (Sunday to Thursday), daily"
    assert bar_calendar(DAILY[::3].to_numpy()).why == "counted: 7 weekdays, a bar every 3 days"
    short = bar_calendar(pd.date_range("2024-01-02", periods=2000, freq="min").to_numpy())
    assert "no whole week is seen" in short.why


def test_the_quality_record_has_the_number_that_was_counted_and_the_one_that_was_set():
    close = 50 + RANDOM.random(len(TRADED))
    frame = pd.DataFrame({"timestamp": TRADED, "close": close})
    weeks = len(TRADED[(TRADED >= "2010-01-11") & (TRADED < "2020-12-28")])
    counted = weeks / ((pd.Timestamp("2020-12-28") - pd.Timestamp("2010-01-11")).days) * 365.25
    found = market_from_frame(frame, DataSettings()).quality["calendar"]
    assert found == {
        "bars_a_year": 252.0, "counted": round(counted, 4), "why": "5 weekdays, daily"
    }  # fmt: skip
    own = market_from_frame(frame, DataSettings(periods_per_year=260.0))
    assert own.periods_per_year == own.quality["calendar"]["bars_a_year"] == 260.0
    assert "set by data.periods_per_year (found: 252" in own.quality["calendar"]["why"]
