"""A 12-hour clock that lost AM and PM is refused; files in any other order are read as before."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.tables import read, walk
from trainable.cli.errors import UserError

DAYS = pd.bdate_range("2021-01-04", periods=30)


def bars(first: float, step: float, count: int) -> pd.DatetimeIndex:
    hours = [first + step * i for i in range(count)]
    return pd.DatetimeIndex([day + pd.Timedelta(hours=h) for day in DAYS for h in hours]).round("s")


SESSION = bars(9.5, 0.5, 14)  # 09:30 … 16:00
TWELVE = "%Y-%m-%d %I:%M"


@pytest.mark.parametrize(
    ("times", "says"),
    [
        (SESSION, "data row 8 .*back from 12:30 to 01:00"),
        (SESSION[::-1], "data row 8 .*on from 01:00 to 12:30"),
        (bars(9.5, 4, 2), "data row 2 .*back from 09:30 to 01:30"),
        (bars(8, 4, 3), "data row 3 .*back from 12:00 to 04:00"),
        (bars(0, 1, 24), "data row 2 .*back from 12:00 to 01:00"),
    ],
    ids=["session", "descending", "two a day", "three a day", "round the clock"],
)
def test_a_clock_of_twelve_hours_is_refused(
    times: pd.DatetimeIndex, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=f"{says} on each day: a 12-hour clock without AM/PM"):
        read(tmp_path, walk(times, TWELVE))


def test_it_is_seen_in_two_columns_and_where_twelve_was_read_as_zero(tmp_path: Path) -> None:
    table = walk(SESSION, TWELVE)
    when = table.pop("timestamp").str
    with pytest.raises(UserError, match="12-hour clock"):
        read(tmp_path, table.assign(date=when[:10], time=when[11:]))
    misread = pd.to_datetime(SESSION.strftime(TWELVE), format=TWELVE)
    with pytest.raises(UserError, match="back from 11:30 to 00:00 on each day"):
        read(tmp_path, walk(misread, "%Y-%m-%d %H:%M"))


def test_it_is_seen_of_each_symbol_and_after_sorting(tmp_path: Path) -> None:
    table = walk(SESSION, TWELVE)
    both = pd.concat([table.assign(symbol="B"), table.assign(symbol="A")])
    with pytest.raises(UserError, match=r"data row 428 \(A\): times run back"):
        read(tmp_path, both)
    with pytest.raises(UserError, match="from 01:00 to 04:00 and from 09:30 to 12:30, and none"):
        read(tmp_path, table.sort_values("timestamp"))


@pytest.mark.parametrize("order", ["up", "down", "newest day first", "mixed"])
@pytest.mark.parametrize(
    "times",
    [SESSION, bars(1.5, 0.5, 14), bars(1, 8, 2), bars(9.5, 0.25, 12)],
    ids=["afternoon", "morning in UTC", "two a day", "until noon"],
)
def test_bars_of_a_whole_clock_are_read_in_any_order(
    times: pd.DatetimeIndex, order: str, tmp_path: Path
) -> None:
    if order == "newest day first":
        table = walk(times, "%Y-%m-%d %H:%M")
        day = table["timestamp"].str[:10]
        table = table.iloc[np.lexsort((table["timestamp"], -pd.to_datetime(day).astype("int64")))]
    else:
        mixed = np.random.default_rng(0).permutation(len(times))
        rows = {"up": slice(None), "down": slice(None, None, -1), "mixed": mixed}[order]
        table = walk(times, "%Y-%m-%d %H:%M").iloc[rows]
    np.testing.assert_array_equal(read(tmp_path, table).timestamps, times.to_numpy())


def test_am_and_pm_are_read(tmp_path: Path) -> None:
    found = read(tmp_path, walk(SESSION, "%Y-%m-%d %I:%M %p"))
    np.testing.assert_array_equal(found.timestamps, SESSION.to_numpy())
