"""Texts as times: relatives of ISO 8601, the order of day and month, and names of zones."""

import pandas as pd
import pyarrow as pa
import pytest

from trainable.cli.errors import UserError
from trainable.data.ingest.timestamps import Times, parse_times, show_time


def parse(values) -> Times:
    column = pa.chunked_array([pa.array(values)])
    return parse_times(column, "when", lambda row: f"data row {row + 1}")


def rows(values) -> list[str]:
    times = parse(values)
    return [show_time(t) for t in times.values[times.index]]


@pytest.mark.parametrize(
    "written",
    [
        "2024-03-05 02:30 PM",
        "2024-03-05 2:30:00 p.m.",
        "2024-3-5 14:30",
        "2024/03/05 14:30",
        "2024.03.05 14:30:00",
        "20240305  14:30:00",
        "20240305 1430",
        "20240305T143000",
        "2024-03-05 14:30:00 UTC",
        "2024-03-05 14:30:00 GMT",
        "2024-03-05 14:30:00,000",
        "2024/03/05 15:30:00+01:00",
        "2024-03-05T15:30+01:00[Europe/Paris]",
        "2024-03-05 09:30:00 America/New_York",
        "2024-03-05 09:30 US/Eastern",
        "2024-03-05 9:30 AM US/Eastern",
    ],
)
def test_forms_of_one_moment(written):
    assert rows([written]) == ["2024-03-05 14:30:00"]


@pytest.mark.parametrize(
    ("hour", "clock"),
    [("12-AM", "00:00"), ("01-AM", "01:00"), ("12-PM", "12:00"), ("11-PM", "23:00")],
)
def test_twelve_hours_begin_with_twelve(hour, clock):
    moment = pd.Timestamp(f"2024-03-05 {clock}")
    assert parse([f"2024-03-05 {hour}"]).values[0] == moment.to_datetime64()


@pytest.mark.parametrize(
    ("written", "expected", "says"),
    [
        (["13/02/2024", "01/03/2024"], ["2024-02-13", "2024-03-01"], "day first"),
        (["02/13/2024", "03/01/2024"], ["2024-02-13", "2024-03-01"], "month first"),
        (["13-02-2024", "01-03-2024"], ["2024-02-13", "2024-03-01"], "day first"),
        (["01.02.2024", "03.04.2024"], ["2024-02-01", "2024-04-03"], "day first"),
        (["1/2/2024 9:30 AM", "13/2/2024 4:00 PM"],
         ["2024-02-01 09:30:00", "2024-02-13 16:00:00"], "day first"),
    ],
)  # fmt: skip
def test_the_order_of_day_and_month_is_read_where_the_rows_show_it(written, expected, says):
    assert rows(written) == expected
    assert says in (parse(written).read_as or "")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        (["01/02/2024", "03/04/2024"], "row 1: '01/02/2024' .* day or the month first"),
        (["13/02/2024", "02/13/2024"], "row 2: '02/13/2024' .* another order"),
        (["2024-02-13", "14/02/2024"], "row 2: '14/02/2024' .* another form"),
        (["13/02/24"], "row 1: '13/02/24' .* has a year of two digits"),
        (["13/02/2024", "30/02/2024"], "row 2: '30/02/2024' .* is not a date"),
        (["2024-03-05 13:00 PM"], "is not a date"),
        (["2024-03-05 09:30 EST"], "ends in 'EST', which names no one time zone"),
        (["2024-03-05 09:30 Mars/Base"], "ends in 'Mars/Base'"),
        (["2024-03-05 09:30 US/Eastern", "2024-03-05 09:30 Europe/Berlin"], "row 2: .* another"),
        (["2024-03-05 09:30 US/Eastern", "2024-03-05 09:30"], "row 2: .* another time zone"),
        (["2024-11-03 01:30 US/Eastern"], "occurs twice or never in US/Eastern"),
        (["2024-03-05 09:30+2"], "an offset that is not written as"),
        (["2024-03-05 24:00:00"], "is not a date"),
        (["09:30"], "is not a date"),
        (["x" * 5000], "'x{59}…'"),
        (["2024-03-05", " "], "row 2: the 'when' cell is empty"),
    ],
)
def test_what_could_be_two_dates_or_is_none_is_refused(written, says):
    with pytest.raises(UserError, match=says) as error:
        parse(written)
    assert len(str(error.value)) < 300


def test_a_zone_by_name_moves_with_summer_time():
    local = pd.date_range("2024-01-02 09:30", periods=300, freq="D", tz="America/New_York")
    times = parse([f"{t:%Y-%m-%d %H:%M:%S} America/New_York" for t in local])
    assert times.zone == "America/New_York"
    assert list(times.values) == list(local.tz_convert("UTC").tz_localize(None).to_numpy())


def test_days_of_a_named_zone_stay_that_day():
    assert rows(["2024-03-05 00:00:00 Asia/Tokyo"]) == ["2024-03-05"]


def test_a_typed_zone_that_is_unknown_is_refused():
    column = pa.array([1_709_649_000], pa.timestamp("s", "Mars/Base"))
    with pytest.raises(UserError, match="the time zone 'Mars/Base', which is unknown here"):
        parse(column)
