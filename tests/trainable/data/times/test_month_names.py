"""Months in words, quarters and offsets with a name, read as what they can only mean."""

import numpy as np
import pandas as pd
import pytest

from trainable.cli.errors import UserError
from trainable.data.market import Market
from trainable.data.settings import DataSettings
from trainable.data.sources import market_from_frame

DAYS = pd.bdate_range("2019-12-02", periods=80)
HOURS = pd.date_range("2020-01-01 09:30", periods=80, freq="h")


def read(texts: list[str], name: str = "date") -> Market:
    table = pd.DataFrame({name: texts, "close": np.arange(len(texts)) + 50.0})
    return market_from_frame(table, DataSettings())


@pytest.mark.parametrize(
    "form",
    [
        *("%d-%b-%Y", "%d %b %Y", "%d%b%Y", "%d/%b/%Y", "%d. %B %Y", "%d.%b.%Y"),
        *("%b %d, %Y", "%B %d, %Y", "%b. %d, %Y", "%A, %B %d, %Y", "%a %b %d %Y", "%Y-%b-%d"),
        *("%a, %d %b %Y", "%d-%b-%Y 00:00:00"),
    ],
)
@pytest.mark.parametrize("case", [str, str.upper, str.lower])
@pytest.mark.parametrize("name", ["date", "when"])
def test_months_in_words(name: str, case: type, form: str) -> None:
    if name == "when" and (case is not str or "%Y-" in form):
        return
    texts = [case(text) for text in DAYS.strftime(form)]
    np.testing.assert_array_equal(read(texts, name).timestamps, DAYS.to_numpy())


@pytest.mark.parametrize(
    "form", ["%d-%b-%Y %H:%M:%S", "%b %d, %Y %I:%M %p", "%d %B %Y, %H:%M", "%d%b%Y:%H:%M:%S"]
)
def test_months_in_words_before_a_time(form: str) -> None:
    np.testing.assert_array_equal(read(list(HOURS.strftime(form))).timestamps, HOURS.to_numpy())


@pytest.mark.parametrize("form", ["{y}M{m:02}", "{y}-M{m}", "{y}m{m}", "{b} {y}", "{b}-{y}"])
def test_months_of_a_year(form: str) -> None:
    months = pd.date_range("1990-01-01", periods=80, freq="MS")
    texts = [form.format(y=m.year, m=m.month, b=m.strftime("%b")) for m in months]
    found = read(texts)
    np.testing.assert_array_equal(found.timestamps, months.to_numpy())
    assert "timestamps: months, by their first day" in found.quality["read_as"]


@pytest.mark.parametrize("form", ["{y}-Q{q}", "{y}Q{q}", "{y} q{q}", "Q{q} {y}", "Q{q}/{y}"])
def test_quarters(form: str) -> None:
    quarters = pd.date_range("1940-01-01", periods=80, freq="QS")
    found = read([form.format(y=q.year, q=q.quarter) for q in quarters])
    np.testing.assert_array_equal(found.timestamps, quarters.to_numpy())
    assert "timestamps: quarters, by their first day" in found.quality["read_as"]


@pytest.mark.parametrize(
    "form", ["%d.%m.%Y %H:%M:%S.000", "%Y-%m-%d %H:%M", "%a %b %d %Y %H:%M:%S"]
)
@pytest.mark.parametrize("offset", [" GMT+0100", " GMT+01:00", " UTC+1", " GMT+0100 (CET)"])
def test_offsets_behind_utc_or_gmt(offset: str, form: str) -> None:
    texts = [text + offset for text in HOURS.strftime(form)]
    expected = (HOURS - pd.Timedelta(hours=1)).to_numpy()
    np.testing.assert_array_equal(read(texts).timestamps, expected)


@pytest.mark.parametrize("form", ["%d-%b-%y", "%b-%y", "%m/%d/%y", "%d.%m.%y"])
def test_years_of_two_digits_are_refused_as_such(form: str) -> None:
    with pytest.raises(UserError, match="has a year of two digits"):
        read(list(dict.fromkeys(DAYS.strftime(form))))


def test_a_day_that_no_month_has_is_refused() -> None:
    with pytest.raises(UserError, match=r"data row 80 .*'31-Feb-2020'.* is not a date"):
        read([*DAYS[:-1].strftime("%d-%b-%Y"), "31-Feb-2020"])
