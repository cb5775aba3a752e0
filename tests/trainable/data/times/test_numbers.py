"""Numbers as times: epochs by their size, digits of a date, and what is neither."""

from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.cli.errors import UserError
from trainable.data.ingest.timestamps import Times, parse_times, show_time

EARLY, LATE = 10**8, int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())  # s; fewer digits are dates
NEXT = datetime.now(UTC).year + 1


def parse(values, kind=None) -> Times:
    column = pa.chunked_array([pa.array(values, kind)])
    return parse_times(column, "when", lambda row: f"data row {row + 1}")


def rows(values, kind=None) -> list[str]:
    times = parse(values, kind)
    return [show_time(t) for t in times.values[times.index]]


@given(st.lists(st.tuples(st.integers(EARLY, LATE), st.integers(0, 3)), min_size=1, max_size=30))
def test_each_epoch_has_the_unit_of_its_own_size(moments):
    written = [seconds * 1000**unit for seconds, unit in moments]
    if not all(589_000_000 < s < 650_000_000 or 90_000_000 < s < 140_000_000 for s, _ in moments):
        times = parse(written)  # what may be ticks of Windows as well is refused elsewhere
        seconds = times.values[times.index].astype("datetime64[s]").astype(np.int64)
        assert list(seconds) == [s for s, _ in moments]


@given(st.lists(st.datetimes(datetime(1900, 1, 1), datetime(2026, 12, 31)), min_size=1))
@pytest.mark.parametrize(
    ("form", "unit"),
    [("%Y%m%d", "D"), ("%Y%m%d%H", "h"), ("%Y%m%d%H%M", "m"), ("%Y%m%d%H%M%S", "s")],
)
def test_digits_of_a_date_are_that_date(form, unit, moments):
    digits = [int(m.strftime(form)) for m in moments]
    expected = np.array(moments, "datetime64[s]").astype(f"datetime64[{unit}]")
    for column in (digits, [str(d) for d in digits], [float(d) for d in digits]):
        times = parse(column)
        np.testing.assert_array_equal(times.values[times.index], expected)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1999, 2000, 2001], ["1999-01-01", "2000-01-01", "2001-01-01"]),
        ([201901, 201902, 201903], ["2019-01-01", "2019-02-01", "2019-03-01"]),
        # As days of two-digit years these would be 1 to 4 October 2020: months that follow.
        (
            [201001, 201002, 201003, 201004],
            ["2010-01-01", "2010-02-01", "2010-03-01", "2010-04-01"],
        ),
        ([20190102093000123], ["2019-01-02 09:30:00.123"]),
        ([-252_460_800, -252_374_400], ["1962-01-01", "1962-01-02"]),
        ([-252_460_800_000, 1_609_459_200_000], ["1962-01-01", "2021-01-01"]),
        ([Decimal("1609459200.125")], ["2021-01-01 00:00:00.125"]),
        ([Decimal("-0.5") - 252_460_800], ["1961-12-31 23:59:59.5"]),
        (["1609459200.123456789"], ["2021-01-01 00:00:00.123456789"]),
        (["1.609459200E9"], ["2021-01-01"]),
        ([1609459200.25], ["2021-01-01 00:00:00.25"]),
        ([1609459200000.5], ["2021-01-01 00:00:00.0005"]),
        ([1.6097184e18], ["2021-01-04"]),
    ],
)
def test_numbers_that_are_times(values, expected):
    assert rows(values) == expected


def test_a_series_of_epochs_may_pass_through_1970():
    days = np.arange(-500, 800)
    times = parse(days * 86_400)
    np.testing.assert_array_equal(times.values, days.astype("datetime64[D]"))
    assert times.read_as == "epochs in s"


def test_milliseconds_of_1976_are_no_digits_of_a_date():
    days = pd.date_range("1976-01-01", periods=200)
    times = parse(days.as_unit("ms").asi8)
    np.testing.assert_array_equal(times.values, days.to_numpy().astype("datetime64[ns]"))


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            [43467, 43468],
            "row 1: 43467 .* serial day of Excel \\(2019-01-02\\).*origin='1899-12-30'",
        ),
        ([43467.375, 43468.375], "row 1: 43467.375 .* serial day of Excel \\(2019-01-02\\)"),
        (["43467", "43468"], "row 1: 43467 .* serial day of Excel \\(2019-01-02\\)"),
        ([17898, 17899], "counts days \\(1948-12-31 in Excel, 2019-01-02 since 1970\\)"),
        ([2458485.5], "Julian day \\(2019-01-02\\)"),
        ([58485, 58486], "modified Julian day \\(2019-01-02\\)"),
        ([737427.0], "2019-01-02 in MATLAB"),
        ([737061], "2019-01-02 in Python"),
        ([2019.5], "a year with a fraction"),
        ([2019002], "a year and a day of the year"),
        ([0, 1, 2], "a row number"),
        ([240131, 240201], "six digits but is no month.*two-digit years"),
        (["050131"], "two-digit years"),
        ([201003, 201006, 201009], "a month \\(yyyymm\\) or a day \\(yymmdd\\)"),
        ([131_909_472 * 10**9], "2019-01-03 in Windows file times"),
        ([201901, 20190201], "row 2: 20190201 .*yyyymmdd.* the first row, 201901"),
        ([1546300800, 20190102], "row 2: 20190102 .*yyyymmdd.* the first row, 1546300800, .* in s"),
        ([1546300800, 43467], "row 2: 43467 .*Excel.* the first row, 1546300800, is an epoch in s"),
        ([1546300800, 1546387200, 0], "row 3: 0 "),
        ([20190102, 20190102093000], "row 2: 20190102093000 .*yyyymmddhhmmss"),
        (["2019-01-02", "1546300800"], "row 2: '1546300800' .* another form"),
        ([20190102, 22030615], "row 2: 22030615 .* year 2203; bars lie between 1900 and"),
        ([18500102], "row 1: 18500102 .* year 1850"),
        ([1_609_459_200_000, 7_368_019_200_000], "row 2: .* year 2203 as an epoch in ms"),
        ([20190102, 20190103, 99991231], "row 3: 99991231 .* year 9999"),
        (["1.61E+09"], "scientific notation"),
        ([float("nan"), 1.6e9], "row 1: the 'when' cell is empty"),
        ([float("inf")], "too large for a time"),
        (["99999999999999999999999"], "too large for a time"),
        ([9_223_372_036_854_775_807], "no date|year"),
    ],
)
def test_numbers_that_are_no_times_are_named(values, says):
    with pytest.raises(UserError, match=says):
        parse(values)


def test_types_that_round_are_refused():
    with pytest.raises(UserError, match="holds float, which rounds times"):
        parse(np.array([20190102], np.float32))
    with pytest.raises(UserError, match="too large for a time"):
        parse(np.array([2**63], np.uint64))


def test_the_next_year_is_read_and_the_one_after_it_is_not():
    assert rows([NEXT * 10_000 + 1231]) == [f"{NEXT}-12-31"]
    with pytest.raises(
        UserError, match=f"is in the year {NEXT + 1}; bars lie between 1900 and {NEXT}"
    ):
        parse([(NEXT + 1) * 10_000 + 101])


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("us"), pa.date64(), pa.date32()])
def test_typed_times_beyond_the_years_never_wrap(kind):
    largest = 2**31 - 1 if kind == pa.date32() else 2**62
    values = pa.array([largest], pa.int32() if kind == pa.date32() else pa.int64()).view(kind)
    with pytest.raises(UserError, match="bars lie between 1900 and"):
        parse(values)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize(
    ("first", "bars", "step"),
    [
        ("1969-06-02", 900, "B"),
        ("1970-01-01", 900, "D"),
        ("1928-01-02", 12_000, "B"),
        ("1968-01-02", 300, "B"),
        ("1969-12-20", 2000, "h"),
        ("1960-01-31", 300, "MS"),
    ],
)
def test_epochs_before_and_across_1970_have_one_unit(unit, first, bars, step):
    moments = pd.date_range(first, periods=bars, freq=step)
    times = parse(moments.astype(f"datetime64[{unit}]").astype("int64").to_list())
    np.testing.assert_array_equal(times.values, moments.to_numpy("datetime64[ns]"))
    assert times.read_as == f"epochs in {unit.replace('u', 'µ')}"


@pytest.mark.parametrize(
    "values",
    [
        list(range(5000)),
        list(range(0, 300_000, 60)),
        list(range(-200, 200)),
        [0, *range(1_546_300_800_000, 1_549_300_800_000, 86_400_000)],
    ],
    ids=["rows", "minutes of two days", "around an event", "a zero before epochs"],
)
def test_counts_around_0_are_no_epochs(values):
    with pytest.raises(UserError, match=r"data row 1: .* is no date"):
        parse(values)


@pytest.mark.parametrize(
    ("form", "order"), [("%d%m%Y", "ddmmyyyy"), ("%m%d%Y", "mmddyyyy"), (None, "ddmmyyyy or mmdd")]
)
def test_dates_in_digits_with_the_year_at_the_end_are_named(form, order):
    days = pd.date_range("2019-01-02", periods=300)
    texts = list(days.strftime(form)) if form else ["01022019", "02032019", "12112019"]
    for written in (texts, [int(text) for text in texts]):
        with pytest.raises(
            UserError, match=rf"year at the end \({order}.* write dates as 2019-01-31"
        ):
            parse(written)


def test_a_year_and_a_day_of_the_year_is_not_called_a_date_with_the_year_at_the_end():
    with pytest.raises(UserError, match="a year and a day of the year"):
        parse(list(pd.date_range("2012-01-01", periods=31).strftime("%Y%j")))
