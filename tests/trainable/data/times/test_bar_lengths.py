"""Bars that change their length are refused; bars that are merely missing are not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.fixtures.time_files import session
from trainable.cli.errors import UserError
from trainable.data.times.bar_lengths import refuse_bars_of_several_lengths

DAYS: Any = pd.bdate_range("2010-01-04", "2020-12-31")
HOURS: Any = pd.date_range("2019-01-01", "2020-12-31 23:00", freq="h")
RANDOM = np.random.default_rng(0)


def until(bars: Any, day: str) -> Any:
    return bars[bars < day]


def since(bars: Any, day: str) -> Any:
    return bars[bars >= day]


def weekly(first: str, last: str) -> Any:
    return pd.date_range(first, last, freq="W-FRI")


def monthly(first: str, last: str) -> Any:
    return pd.date_range(first, last, freq="BME")


def months_apart(two: bool) -> Any:
    """Hours, and in every second month those at even hours only."""
    return HOURS[(HOURS.month % 2 == 0) | (HOURS.hour % 2 == 0)] if two else HOURS


def checked(bars: Any, present: np.ndarray | None = None, symbols: tuple[str, ...] = ("A",)):
    bars = pd.DatetimeIndex(bars).to_numpy().astype("datetime64[ns]")
    shown = np.ones((len(bars), len(symbols)), bool) if present is None else present
    return refuse_bars_of_several_lengths(bars, shown, symbols, "a.csv")


@pytest.mark.parametrize(
    ("bars", "said"),
    [
        (until(DAYS, "2018").union(weekly("2018", "2021")), "a day apart, but 7 days from 2017-12"),
        (since(DAYS, "2019").union(weekly("1990", "2018-12-30")), "a day apart, but 7 days"),
        (since(DAYS, "2012").union(monthly("1950", "2011-12-31")), "a day apart, but 3[01] days"),
        (until(DAYS, "2018").union(monthly("2018", "2020")), "a day apart, but 3[01] days"),
        (until(DAYS, "2020").union(monthly("2020", "2021-02")), "a day apart, but 3[01] days"),
        (weekly("1990", "2000").union(monthly("1950", "1990")), "7 days apart, but 3[01] days"),
        (weekly("2010", "2015").union(weekly("2015", "2020")[::2]), "7 days apart, but 14 days"),
        (since(HOURS, "2020").union(until(HOURS, "2020")[::2]), "60 min apart, but 2 h 0 min"),
        (months_apart(True), "60 min apart, but 2 h 0 min"),
        (
            session(DAYS[:300], 7, 60).union(session(DAYS[300:500], 13, 30)),
            "30 min apart, but 60 min from 2010-01-04",
        ),
        (session(DAYS[2000:2100], 7, 60).union(DAYS[:2000]), "at the beginning and 60 min"),
        (session(DAYS[2000:2008], 7, 60).union(DAYS[:2000]), "60 min apart, but a day"),
    ],
)
def test_bars_of_several_lengths_are_refused(bars, said):
    with pytest.raises(UserError, match=said) as error:
        checked(bars)
    assert str(error.value).endswith("keep bars of one length")


@pytest.mark.parametrize(
    "bars",
    [
        DAYS,
        weekly("1990", "2020"),
        # A holiday on a Friday: the week ends on Thursday.
        pd.date_range("1990-01-05", periods=1566, freq="W-FRI")
        - pd.to_timedelta(1 * (RANDOM.random(1566) < 0.1), unit="D"),
        monthly("1950", "2020"),
        pd.date_range("1950-01-31", "2020-12-31", freq="ME"),
        pd.date_range("1900-03-31", "2020-12-31", freq="QE"),
        DAYS[RANDOM.random(len(DAYS)) < 0.8],
        DAYS[(RANDOM.random(len(DAYS)) < 0.15) | (DAYS >= "2015")],  # it traded rarely at first
        DAYS[DAYS.day_of_week.isin([0, 2, 4]) | (DAYS >= "2015")],  # three days a week at first
        DAYS[(DAYS < "2014-08-01") | (DAYS >= "2014-12-12")],  # a closed market
        DAYS[DAYS.day_of_week < 5].union(pd.date_range("2015", "2020", freq="D")),
        HOURS,
        HOURS[RANDOM.random(len(HOURS)) < 0.6],
        session(DAYS[:300], 7, 60).union(session(DAYS[300:600], 13, 60)),  # longer sessions
        session(DAYS[:800], 2, 240),
        session(DAYS[:400], 4, 60).union(session(DAYS[:400], 2, 60) + pd.Timedelta("210min")),
    ],
)
def test_bars_that_are_missing_are_no_longer_ones(bars):
    assert checked(bars) is None


def test_symbols_of_unlike_bars_and_one_that_changes_them():
    bars = since(DAYS, "2015").union(weekly("2010", "2014-12-31")).union(DAYS)
    week = bars.day_of_week == 4
    always = np.ones(len(bars), bool)
    # Weekly throughout beside daily, and one that begins later, are what they are.
    present = np.stack([always, week, bars >= "2016"], axis=1)
    assert checked(bars, present, ("D", "W", "L")) is None
    present = np.stack([always, always, week | (bars >= "2015")], axis=1)
    said = checked(bars, present, ("D", "E", "C"))
    assert said is not None
    assert said.startswith(
        "bars of C are a day apart, but 7 days from 2010-01-01 to 2015-01-01; they"
    )
    present = np.stack([always, *[week | (bars >= "2015")] * 2], axis=1)
    with pytest.raises(UserError, match=r"bars of C, E are a day apart, but 7 days"):
        checked(bars, present, ("D", "C", "E"))
