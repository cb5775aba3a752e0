"""Every file whose times or calendar are of a kind that people have: what is read, or what is said.

The dates, rows and bars a year are those that the writer of the file put into it.
"""

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fixtures.time_files import TIME_FILES
from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings
from trainable.data.sources import load_market


@dataclass(frozen=True)
class Read:
    """What a file holds: first and last bar, bars a year, rows, symbols, and what is said of it."""

    first: str
    last: str
    bars_a_year: float
    rows: int
    symbols: int = 1
    says: str = ""


def hours(first: str = "2024-12-15", last: str = "2025-01-08 23:00:00", says: str = "") -> Read:
    return Read(first, last, 24 * 365, 600, says=says)


def days(says: str = "") -> Read:
    return Read("2019-01-02", "2020-02-25", 252, 300, says=says)


def months(says: str = "") -> Read:
    return Read("1950-01-01", "1974-12-01", 12, 300, says=says)


EXPECTED: dict[str, Read | str] = {
    # Epochs: the unit of each value by its size.
    "ms_then_us.csv": hours(says="epochs of mixed units, each by its size: 408 in ms, 192 in µs"),
    "s_then_ms.csv": hours(says="408 in s, 192 in ms"),
    "one_row_in_ms.csv": hours(says="599 in s, 1 in ms"),
    "all_four_units.parquet": hours(says="150 in s, 150 in ms, 150 in µs, 150 in ns"),
    "ns_integers.csv": hours(says="epochs in ns"),
    "float_seconds.parquet": hours("2024-12-15 00:00:00.5", "2025-01-08 23:00:00.5"),
    "decimal_seconds.parquet": hours("2024-12-15 00:00:00.25", "2025-01-08 23:00:00.25"),
    "text_seconds.csv": hours("2024-12-15 00:00:00.5", "2025-01-08 23:00:00.5"),
    "before_1970.csv": months("epochs in s"),
    "scientific.csv": "'1.734221e+09' in column 'timestamp' is in scientific notation",
    "float32.parquet": "column 'timestamp' holds float, which rounds times; store them as int64",
    "a_zero_among_epochs.csv": "data row 78 (a_zero_among_epochs): 0 in column 'timestamp' is no",
    "year_2203_in_seconds.csv": "data row 600 (year_2203_in_seconds): 7368019200 in column "
    "'timestamp' is in the year 2203 as an epoch in s; bars lie between 1900 and",
    "dotnet_ticks.csv": "is 2019-01-02 in .NET ticks and 1990-03-07 in nanoseconds since 1970",
    # Digits of a date.
    "yyyymm.csv": months("digits yyyymm"),
    "yyyymm_integers.parquet": months("digits yyyymm"),
    "yyyymmdd_integers.parquet": days("digits yyyymmdd"),
    "yyyymmdd_floats.csv": days("digits yyyymmdd"),
    "yyyymmddhhmm.csv": hours(says="digits yyyymmddhhmm"),
    "yyyymmddhhmmss.csv": hours(says="digits yyyymmddhhmmss"),
    "yyyymmddhhmmss.parquet": hours(says="digits yyyymmddhhmmss"),
    "yyyymmddhhmmss_floats.parquet": hours(says="digits yyyymmddhhmmss"),
    "days_then_epochs.csv": "data row 201 (days_then_epochs): 1570579200 in column 'timestamp' is "
    "an epoch in s; the first row, 20190102, is a date in digits (yyyymmdd)",
    "yymmdd.csv": "data row 9 (yymmdd): 190114 in column 'date' has six digits but is no month",
    "no_such_minute.csv": "data row 42 (no_such_minute): 202412161761 in column 'timestamp' is no "
    "valid date (yyyymmddhhmm)",
    # Counts of days and years.
    "excel_days.csv": "43467 in column 'Date' is a serial day of Excel (2019-01-02): format the "
    "column as a date and save it again",
    "excel_times.csv": "45641.0 in column 'Date' is a serial day of Excel (2024-12-15)",
    "days_since_1970.parquet": "17898 in column 'date' counts days (1948-12-31 in Excel, "
    "2019-01-02 since 1970)",
    "julian_days.csv": "2458485.5 in column 'date' is a Julian day (2019-01-02)",
    "fractional_years.csv": "in column 'date' is a year with a fraction",
    "row_numbers.csv": "0 in column 'time' is no date: a row number, or days since some start",
    # Types of Arrow.
    "periods.parquet": days("periods of pandas (D)"),
    "monthly_periods.parquet": months("periods of pandas (M)"),
    "unknown_extension.parquet": "column 'date' holds vendor.day, not timestamps",
    "date32.parquet": days(),
    "timestamp_s.parquet": hours(),
    "timestamp_us.parquet": hours(),
    "int96_of_2300.parquet": "2300-01-02T00:00:00.000000 in column 'timestamp' is in the year 2300",
    "only_a_time.parquet": "holds time32[ms], not timestamps: a time of day without its date",
    "category.parquet": days(),
    "zone.parquet": Read("2023-10-19 22:00:00", "2023-11-05 13:00:00", 24 * 365, 400),
    # Texts.
    "utc_suffix.csv": days(),
    "am_pm.csv": hours(),
    "two_blanks.csv": Read("2019-01-02 16:00:00", "2020-02-25 16:00:00", 252, 300),
    "zone_name.csv": Read("2019-01-02 14:30:00", "2020-02-25 14:30:00", 252, 300),
    "offsets.csv": Read("2023-10-19 22:00:00", "2023-11-05 13:00:00", 24 * 365, 400),
    "clock_goes_back.csv": "data row 220 has the timestamp of data row 219, 2023-10-29 02:00:00: a "
    "local clock shows the hour from 02:00 twice when summer time ends; write UTC",
    "points.csv": days("day first"),
    "day_first.csv": days("day first"),
    "month_first.csv": days("month first"),
    "either_first.csv": "'01/01/1950' in column 'date' may have the day or the month first",
    "turned_by_a_spreadsheet.csv": "data row 9 (turned_by_a_spreadsheet): '14/01/2019' in column "
    "'date' is in another form than the rows before it",
    "year_2203.csv": "data row 300 (year_2203): '2203-06-15' in column 'date' is in the year 2203",
    "year_1066.csv": "data row 1 (year_1066): '1066-10-14' in column 'date' is in the year 1066",
    # A date and a time of day.
    "hour_without_zero.csv": hours(),
    "hhmm.csv": hours(),
    "hhmm_without_zeros.csv": hours("2024-12-15 00:30:00", "2025-01-08 23:30:00"),
    "hhmmss_integers.parquet": hours(),
    "timestamp_and_text.parquet": hours(),
    "twelve_hours.csv": hours(),
    "time_of_midnight.csv": days(),
    "hours_only.csv": "1 in column 'time' may be an hour or a minute; write times as 09:30",
    "date_and_epoch.csv": hours(),
    # Calendars.
    "every_day.csv": Read("2018-01-01", "2019-05-15", 365, 500),
    "every_2nd_day.csv": Read("2016-01-01", "2018-03-09", 365.25 / 2, 400),
    "every_3rd_day.csv": Read("2016-01-01", "2019-04-12", 365.25 / 3, 400),
    "every_hour.csv": Read("2023-01-01", "2023-04-10 23:00:00", 24 * 365, 2400),
    "every_12_hours.csv": Read("2021-01-01", "2021-10-27 12:00:00", 2 * 365, 600),
    "sunday_to_thursday.csv": Read("2018-01-01", "2019-05-15", 252, 358),
    "evening_before.csv": Read("2019-01-01 21:00:00", "2020-02-24 21:00:00", 252, 300),
    "six_days.csv": Read("2018-01-01", "2019-05-15", 6 * 365.25 / 7, 429),
    "weekly.csv": Read("2015-01-02", "2020-09-25", 52, 300),
    "monthly.csv": Read("2000-01-31", "2016-08-31", 12, 200),
    "session_hours.csv": Read("2019-01-02 09:30:00", "2019-10-08 15:30:00", 7 * 252, 1400),
    "session_5_minutes.csv": Read("2019-01-02 09:30:00", "2019-02-12 15:55:00", 78 * 252, 2340),
    "currency_hours.csv": Read("2024-01-07 22:00:00", "2024-06-28", 24 * 252, 2979),
    "few_weeks.csv": Read("2019-01-02", "2019-01-22", 252, 15),
    # Panels of several symbols.
    "two_midnights.csv": Read(
        "2019-01-02", "2020-02-25", 252, 900, 3, "stamped at 00:00, 05:00 read as their dates"
    ),
    "evening_beside_midnight.csv": "daily bars are stamped at different hours (00:00: EURUSD, "
    "GBPUSD; 21:00: XAU), so that a stamp in the evening may belong to the next day",
    "crypto_of_two_hours.csv": "daily bars are stamped at different hours (00:00: BTC; 16:00: ETH)",
    "separate_minutes.csv": "AAA and BBB share almost no timestamp",
    "stocks_beside_crypto.csv": Read("2018-01-01", "2019-05-15", 365, 2 * 358 + 500, 3),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ASHARPE_CACHE", str(tmp_path / "cache"))


def test_every_file_has_an_expectation() -> None:
    assert TIME_FILES.keys() == EXPECTED.keys()


@pytest.mark.parametrize("name", TIME_FILES)
def test_a_file_is_read_right_or_explained(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    TIME_FILES[name](file)
    settings = DataSettings(path=str(file))
    expected = EXPECTED[name]
    if isinstance(expected, str):
        with pytest.raises(UserError) as error:
            load_market(settings)
        assert expected in str(error.value)
        assert "\n" not in str(error.value)
        assert not str(error.value).startswith(f"{file}: {file}")
        return
    market = load_market(settings)
    quality = market.quality
    assert (quality["first"], quality["last"]) == (expected.first, expected.last)
    assert (quality["rows"], len(market.symbols)) == (expected.rows, expected.symbols)
    assert market.periods_per_year == pytest.approx(expected.bars_a_year, rel=1e-5)
    assert expected.says in "; ".join(quality.get("read_as", []))
