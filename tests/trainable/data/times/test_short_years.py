"""Digits with a short year, or the year at the end, are no epochs, even where those lie."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from trainable.cli.errors import UserError
from trainable.data.ingest.timestamps import Times, parse_times


def parse(values) -> Times:
    column = pa.chunked_array([pa.array(values)])
    return parse_times(column, "when", lambda row: f"data row {row + 1}")


HOURS = pd.date_range("2016-01-03", periods=2000, freq="h")
MINUTES = pd.date_range("2017-01-03 09:30", periods=2000, freq="5min")
DAYS = pd.bdate_range("2014-01-02", periods=900) + pd.Timedelta(hours=16)
OLD = pd.date_range("2004-01-03", periods=2000, freq="h")


@pytest.mark.parametrize("typed", [str, int, float])
@pytest.mark.parametrize(
    ("times", "form", "named"),
    [
        (HOURS, "%y%m%d%H%M", "yymmddhhmm or ddmmyyhhmm"),
        (MINUTES, "%y%m%d%H%M", "yymmddhhmm"),
        (DAYS, "%y%m%d%H%M", "yymmddhhmm"),
        (OLD, "%y%m%d%H%M", "yymmddhhmm"),
        (HOURS, "%y%m%d%H%M%S", "yymmddhhmmss"),
        (DAYS, "%y%m%d%H%M%S", "yymmddhhmmss"),
        (HOURS, "%d%m%Y%H%M", "ddmmyyyyhhmm"),
        (DAYS, "%d%m%Y%H%M", "ddmmyyyyhhmm"),
        (HOURS, "%m%d%Y%H%M", "mmddyyyyhhmm"),
        (DAYS, "%m%d%Y%H%M", "mmddyyyyhhmm"),
        (HOURS, "%d%m%Y%H%M%S", "ddmmyyyyhhmmss"),
    ],
)
def test_such_digits_are_refused_by_their_form(times, form, named, typed):
    says = rf"data row 1: \S+ in column 'when' is a date with its year .* \({named}"
    with pytest.raises(UserError, match=says):
        parse([typed(text) for text in times.strftime(form)])


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    "times",
    [
        HOURS,
        MINUTES,
        DAYS,
        pd.date_range("2023-11-26 14:46:40", periods=24, freq="100s"),  # 1701010000: a date, too
        pd.date_range("2023-11-26 14:40", periods=40, freq="5min"),
        pd.date_range("2023-11-26 14:46:40", periods=400, freq="s"),
    ],
)
def test_epochs_of_the_same_size_stay_epochs(times, unit):
    found = parse(times.as_unit(unit).asi8)
    assert found.read_as == f"epochs in {unit.replace('u', 'µ')}"
    np.testing.assert_array_equal(found.values, times.to_numpy())
