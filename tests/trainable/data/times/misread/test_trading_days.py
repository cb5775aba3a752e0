"""Evenings dated with their trading day are refused; rows in any other order are sorted."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.tables import read, walk
from trainable.cli.errors import UserError

DAYS = pd.bdate_range("2021-01-04", periods=30)
STAMP = "%Y-%m-%d %H:%M"


def clocks(*sessions: tuple[float, float, int]) -> pd.TimedeltaIndex:
    """Times of the day of sessions, each given by its first hour, its step and its bars."""
    hours = [first + step * i for first, step, count in sessions for i in range(count)]
    return pd.to_timedelta(hours, unit="h").round("s")


def trading_days(*sessions: tuple[float, float, int]) -> pd.DatetimeIndex:
    """Each date beside all clocks of its trading day, in the order of trading."""
    return pd.DatetimeIndex([day + clock for day in DAYS for clock in clocks(*sessions)])


SHANGHAI = trading_days((21, 0.25, 8), (9, 0.25, 10))
GLOBEX = trading_days((18, 1, 6), (0, 1, 17))
MIDNIGHT = trading_days((1, 1, 23), (0, 1, 1))
EVENING = "trading days, with an evening that belongs to the day before"


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (SHANGHAI, f"data row 9 .*back from 22:45 to 09:00 on each date: {EVENING}"),
        (SHANGHAI[::-1], f"data row 11 .*on from 09:00 to 22:45 on each date: {EVENING}"),
        (GLOBEX, f"data row 7 .*back from 23:00 to 00:00 on each date: {EVENING}"),
        (trading_days((21, 4, 1), (13, 4, 1)), f"data row 2 .*from 21:00 to 13:00 .*{EVENING}"),
        (MIDNIGHT, "data row 24 .*back from 23:00 to 00:00 .*: the midnight that ends a day"),
        (MIDNIGHT[::-1], "data row 2 .*on from 00:00 to 23:00 .*: the midnight that ends a day"),
    ],
    ids=["night", "newest first", "round the clock", "two a day", "midnight", "midnight, newest"],
)
def test_a_clock_that_runs_back_on_each_date_is_refused(
    times: pd.DatetimeIndex, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=says):
        read(tmp_path, walk(times))


def test_it_is_seen_in_two_columns_in_panels_with_zones_and_in_some_of_the_years(
    tmp_path: Path,
) -> None:
    table = walk(SHANGHAI)
    when = table.pop("timestamp").str
    for names in (("date", "time"), ("TradingDay", "UpdateTime")):
        with pytest.raises(UserError, match=EVENING):
            read(tmp_path, table.assign(**{names[0]: when[:10], names[1]: when[11:]}))
    panel = pd.concat([walk(SHANGHAI).assign(symbol=name) for name in "AB"])
    for form in (panel, panel.sort_index(kind="stable")):
        with pytest.raises(UserError, match=EVENING):
            read(tmp_path, form)
    with pytest.raises(UserError, match=EVENING):
        read(tmp_path, walk(SHANGHAI, "%Y-%m-%dT%H:%M:00+08:00"))
    as_text = sorted(SHANGHAI, key=lambda time: time.strftime("%Y-%-m-%-d"))
    with pytest.raises(UserError, match=EVENING):
        read(tmp_path, walk(pd.DatetimeIndex(as_text)))
    no_nights = SHANGHAI[(SHANGHAI.hour < 21) | (SHANGHAI.normalize() > DAYS[24])]
    with pytest.raises(UserError, match=EVENING):
        read(tmp_path, walk(no_nights))


def late_rows(times: pd.DatetimeIndex) -> pd.Index:
    """Each day's third bar comes a row late."""
    order = np.arange(len(times)).reshape(len(DAYS), -1)
    order[:, [2, 3]] = order[:, [3, 2]]
    return times[order.ravel()]


SESSION = trading_days((9.5, 0.5, 14))  # 09:30 … 16:00
CALENDAR = trading_days((9, 0.25, 10), (21, 0.25, 8))  # its Friday evening on Friday
RNG = np.random.default_rng(3)


@pytest.mark.parametrize(
    "times",
    [
        RNG.permutation(SESSION),
        RNG.permutation(CALENDAR),
        SESSION[::-1],
        CALENDAR,
        CALENDAR[::-1],
        CALENDAR[np.argsort(CALENDAR.hour > 20, kind="stable")],  # a file of each session
        late_rows(SESSION),
        SESSION[np.argsort(SESSION.strftime("%Y%m%d ") + SESSION.strftime("%-H:%M"))],
        pd.DatetimeIndex([t for day in DAYS for t in SESSION[SESSION.date == day.date()][::-1]]),
        SESSION[np.lexsort((SESSION.normalize(), SESSION - SESSION.normalize()))],
        SESSION[np.argsort(SESSION.month % 2, kind="stable")],
    ],
    ids=[
        *("shuffled", "nights shuffled", "newest first", "calendar dates", "calendar, newest"),
        *("by session", "late rows", "as text", "days backwards", "by clock", "by month"),
    ],
)
def test_rows_in_any_other_order_are_sorted(times: pd.DatetimeIndex, tmp_path: Path) -> None:
    found = read(tmp_path, walk(times))
    np.testing.assert_array_equal(found.timestamps, np.sort(np.asarray(times, "datetime64[ns]")))


def test_an_hour_that_repeats_at_the_clock_change_is_no_evening(tmp_path: Path) -> None:
    zone = pd.date_range("2021-10-25", "2021-11-06", freq="h", tz="Europe/Berlin")
    local = zone.tz_localize(None)
    found = read(tmp_path, walk(local[~local.duplicated()]))
    assert len(found.timestamps) == len(local) - 1


def test_the_calendar_date_beside_the_trading_day_is_taken(tmp_path: Path) -> None:
    clock = [c for _ in DAYS for c in clocks((21, 0.25, 8), (9, 0.25, 10))]
    night = np.array([c >= pd.Timedelta(hours=21) for c in clock])
    trading = SHANGHAI.normalize()
    before = pd.DatetimeIndex([day - pd.offsets.BDay() for day in trading])
    action = pd.DatetimeIndex(np.where(night, before, trading))
    table = walk(action).assign(UpdateTime=SHANGHAI.strftime("%H:%M:%S"))
    table["timestamp"] = action.strftime("%Y%m%d")
    table = table.rename(columns={"timestamp": "ActionDay"})
    for found in (
        read(tmp_path, table.assign(TradingDay=trading.strftime("%Y%m%d"))),
        read(tmp_path, table),
    ):
        right = action.to_numpy() + np.array(clock, "timedelta64[ns]")
        np.testing.assert_array_equal(found.timestamps, right)
        assert "'ActionDay' read as timestamps" in found.quality["read_as"]
