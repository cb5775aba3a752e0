"""Timestamps of every common form, and time zones."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.cli.errors import UserError
from trainable.data.ingest.timestamps import parse_times, show_time


def where(row: int) -> str:
    return f"a.csv: data row {row + 1}"


def parse(values, kind=None):
    return parse_times(pa.chunked_array([pa.array(values, kind)]), "when", where)


def rows(values, kind=None) -> list[str]:
    times = parse(values, kind)
    return [show_time(t) for t in times.values[times.index]]


MOMENT = pd.Timestamp("2024-03-05 14:30:00")


@pytest.mark.parametrize(
    "written",
    [
        "2024-03-05 14:30:00",
        "2024-03-05T14:30:00",
        "2024-03-05T14:30",
        "2024-03-05 14:30:00.000",
        " 2024-03-05 14:30:00 ",
        "20240305T143000",
        "2024-03-05T14:30:00Z",
        "2024-03-05 14:30:00+00:00",
        "2024-03-05T16:30:00+02:00",
        "2024-03-05T09:30:00-0500",
        "2024-03-05T09:30:00-05",
        "1709649000",
        "1709649000.0",
        "1709649000000",
        "1709649000000000",
        "1709649000000000000",
    ],
)
def test_forms_of_one_moment(written):
    assert rows([written]) == ["2024-03-05 14:30:00"]


@pytest.mark.parametrize("value", [1709649000 * 10**k for k in (0, 3, 6, 9)])
def test_integer_epochs_of_any_unit(value):
    assert rows([value]) == ["2024-03-05 14:30:00"]


@pytest.mark.parametrize("written", ["2024-03-05", "20240305", "2024-03-05 00:00:00"])
def test_forms_of_one_date(written):
    assert rows([written]) == ["2024-03-05"]


def test_typed_columns():
    naive = pd.DatetimeIndex([MOMENT])
    assert rows(pa.array(naive)) == ["2024-03-05 14:30:00"]
    assert rows(pa.array(naive.tz_localize("America/New_York"))) == ["2024-03-05 19:30:00"]
    assert rows([MOMENT.date()], pa.date32()) == ["2024-03-05"]
    assert rows([20240305, 20240306]) == ["2024-03-05", "2024-03-06"]


def test_days_of_a_zone_stay_that_day():
    days = pd.DatetimeIndex(["2024-03-05", "2024-03-06"], tz="Asia/Tokyo")
    assert rows(pa.array(days)) == ["2024-03-05", "2024-03-06"]
    written = [f"2024-03-0{day}T00:00:00+09:00" for day in (5, 6)]
    assert rows(written) == ["2024-03-05", "2024-03-06"]
    assert parse(written).zone == "+09:00"


@given(st.lists(st.integers(0, 20_000), min_size=1, max_size=50))
def test_every_row_finds_its_instant(days):
    stamps = pd.to_datetime(np.array(days), unit="D")
    times = parse([str(stamp) for stamp in stamps])
    assert np.all(np.diff(times.values) > np.timedelta64(0))
    np.testing.assert_array_equal(times.values[times.index], stamps.to_numpy())


def test_one_zone_with_summer_time_becomes_utc():
    local = pd.date_range("2023-01-02 09:30", periods=500, freq="D", tz="America/New_York")
    written = [stamp.isoformat() for stamp in local]
    times = parse(written)
    assert times.zone == "-05:00/-04:00"
    expected = local.tz_convert("UTC").tz_localize(None).to_numpy()
    np.testing.assert_array_equal(times.values, expected)


@pytest.mark.parametrize(
    ("written", "row"),
    [
        (["2024-01-02 09:30:00", "2024-01-03 09:30:00Z"], 2),
        (["2024-01-02 09:30:00Z", "2024-01-03 09:30:00Z", "2024-01-04 09:30:00"], 3),
        (["2024-01-02 09:30:00+01:00", "2024-01-03 09:30:00-05:00"], 2),
        ([f"2024-01-{d:02d} 10:00:00-0{5 + d % 2}:00" for d in range(1, 31)], 2),
    ],
)
def test_mixed_zones_are_refused_at_their_first_row(written, row):
    with pytest.raises(UserError, match=rf"data row {row}: mixed time zones in 'when'"):
        parse(written)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (["2024-01-02", None], r"data row 2: the 'when' cell is empty"),
        (["2024-01-02", "yesterday"], r"data row 2: 'yesterday' in column 'when' is not a date"),
        (["2024-01-02", "31/01/2024"], r"data row 2: '31/01/2024'.* ISO 8601"),
        (["2024-01-02", "2024-02-30"], r"data row 2: '2024-02-30'"),
        (["1024-01-02"], r"data row 1: '1024-01-02'"),
        (["2024-01-02", "1024-01-02"], r"data row 2: '1024-01-02'"),
        (["9999-12-31 00:00:00.123456789"], r"data row 1: '9999"),
        (
            pa.array([10**12], pa.timestamp("s")),
            r"data row 1: .*'when' is in the year 33658; bars lie between 1900 and",
        ),
        ([20240101, 20241301], r"data row 2: 20241301 .* the first row, 20240101, is a date"),
        ([1709649000, -5], r"data row 2: -5 .* the first row, 1709649000, is an epoch in s"),
        ([1.5, 2.5], r"data row 1: 1\.5 in column 'when' is no date"),
        ([True], r"holds bool, not timestamps"),
    ],
)
def test_what_is_no_timestamp_is_refused_at_its_row(values, says):
    with pytest.raises(UserError, match=says):
        parse(values)
