"""The time of day in a column beside the date."""

import datetime as dt

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame
from trainable.data.times.time_of_day import time_of_day

MINUTE = 60 * 10**9


def passed(values, kind=None) -> list[float] | None:
    column = pa.chunked_array([pa.array(values, kind)])
    found = time_of_day(column, "time", lambda row: f"data row {row + 1}")
    return None if found is None else [value / MINUTE for value in found[0]]


@pytest.mark.parametrize(
    ("values", "minutes"),
    [
        (["9:30", "16:00"], [570, 960]),
        (["09:30:30.5"], [570.5 + 0.5 / 60]),
        (["12:30 AM", "12:30 PM", "9:30 pm"], [30, 750, 1290]),
        (["0930", "1600"], [570, 960]),
        (["000000", "093000"], [0, 570]),
        ([930, 1600], [570, 960]),
        ([930.0, 1600.0], [570, 960]),
        (["930", "1600"], [570, 960]),
        ([93000, 160000], [570, 960]),
        ([0, 10000, 230000], [0, 60, 1380]),
        ([93000500, 160000000], [570 + 0.5 / 60, 960]),
        ([0, 0], [0, 0]),
        (["09h", "9h30", "17H00"], [540, 570, 1020]),
        ([34200, 34260], [570, 571]),
        ([540, 600, 660], [540, 600, 660]),
        ([570, 571], [570, 571]),
        ([*range(0, 1440, 15)], range(0, 1440, 15)),
        ([*range(0, 86_400_000, 3_600_000)], range(0, 1440, 60)),
        ([32_400_000, 36_000_000], [540, 600]),
        ([34_200_000_000, 34_260_000_000], [570, 571]),  # µs
        ([34_200 * 10**9, 34_500 * 10**9], [570, 575]),  # ns
        (["34200000000000", "34500000000000"], [570, 575]),
        ([34_200e9, 34_500e9], [570, 575]),
        ([*range(0, 86_400 * 10**9, 900 * 10**9)], range(0, 1440, 15)),
        ([930, 1000, 1030, 1100, 1130, 1230, 1300], [570, 600, 630, 660, 690, 750, 780]),
        ([dt.time(9, 30)], [570]),
        ([dt.timedelta(hours=9.5)], [570]),
    ],
)
def test_times_of_day(values, minutes):
    assert passed(values) == pytest.approx(minutes)


@pytest.mark.parametrize(
    "values",
    [
        [-1],
        [1, 2, 78],  # the bars of a day, counted
        [93000 * 10**6, 100000 * 10**6],  # hhmmssffffff
        [100000 * 10**6, 110000 * 10**6, 120000 * 10**6],
        [1_641_168_000_000, 1_641_254_400_000],  # epochs
        [1_641_168_000, 1_641_171_600],
        [*range(0, 390, 5)],  # minutes since trading began
        [577, 584, 699],
        ["25:00"],
        ["13:00 PM"],
        ["after close"],
        [b"9:30"],
        ["24h30"],
    ],
)
def test_what_is_no_time_of_day(values):
    assert passed(values) is None


@pytest.mark.parametrize("values", [[0, 1, 2], [9, 10, 11], ["9", "10"]])
def test_hours_that_could_be_minutes_are_refused(values):
    with pytest.raises(UserError, match="may be an hour or a minute; write times as 09:30"):
        passed(values)


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({**columns, "close": np.arange(60) + 10.0})


def test_a_date_that_has_the_time_already_stands_alone():
    minutes = pd.date_range("2024-01-02 09:30", periods=60, freq="min")
    table = frame(date=minutes, time=["x"] * 60)
    found = market_from_frame(table, DataSettings())
    assert list(found.timestamps) == list(minutes.to_numpy())


def test_a_time_that_is_no_time_of_day_is_refused_at_its_row():
    days = pd.bdate_range("2024-01-02", periods=60)
    with pytest.raises(
        UserError, match=r"column 'time' holds 'late'.* not all of it is a time of day"
    ):
        market_from_frame(frame(date=days, time=["late"] * 60), DataSettings())
    epochs = np.arange(60) * 86_400 + 10**9  # from 2001 on
    with pytest.raises(UserError, match="'time' and the date beside it are 8149 days apart"):
        market_from_frame(frame(date=days, time=epochs), DataSettings())
