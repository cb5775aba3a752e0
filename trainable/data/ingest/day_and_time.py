"""The times of a table's rows: one column, or a date and a time of day beside each other."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import ALIASES, SYMBOL_NAMES, TIME_NAMES, squashed
from trainable.data.ingest.columns import time_column
from trainable.data.ingest.roles import ONE_TIME, is_clock, is_text, value_codes
from trainable.data.ingest.table import Table
from trainable.data.ingest.timestamps import Times, parse_times
from trainable.data.times.time_of_day import DAY, time_of_day
from trainable.data.times.years import Where

CLOCK_NAMES = (
    *(
        "hhmm",
        "hhmmss",
        "hour",
        "hora",
        "uhrzeit",
        "zeit",
        "clock",
        "heure",
        "ora",
        "tijd",
        "godzina",
    ),
    *("bartime", "tradetime", "timeofday", "tod", "tradingtime", "localtime", "timestr"),
)
PARTS_OF_TIME = (
    *("hour", "hours", "hourending", "hourbeginning", "hourofday", "minute", "minutes"),
    *("hora", "stunde", "heure", "ora", "uur"),
)
OFFSET = r"\d ?(?:[Zz]|UTC|[+-]\d\d(?::?\d\d)?)$"


def with_time_of_day(table: Table) -> Table:
    """Finds the column with the time of day beside one of dates alone, whatever it is called.

    Dates must repeat, and no column of symbols must tell their rows apart: an hour that stands
    beside daily bars says something else.

    Raises:
        UserError: hours or minutes in columns of their own, or several columns of times.
    """
    name = time_column(table)
    if "time" in table.columns or not _only_dates(table.read(name)) or not _repeats(table, name):
        return table
    keys = [key for key in table.columns if key not in TIME_NAMES]
    found = [key for key in keys if is_clock(table.read(key)) or _is_hhmm(table, key)]
    written = table.columns[name]
    if len(found) == 1:
        note = f"{table.columns[found[0]]!r} read as the time of day of {written!r}"
        return table.renamed(name, "date").renamed(found[0], "time", note)
    if found:
        several = ", ".join(repr(table.columns[key]) for key in found)
        raise UserError(
            f"{table.file}: dates repeat, and {several} hold times of the day; call the one at "
            "which a bar is stamped 'time'"
        )
    parts = [table.columns[key] for key in keys if squashed(table.columns[key]) in PARTS_OF_TIME]
    if parts:
        names = ", ".join(map(repr, (written, *parts)))
        raise UserError(f"{table.file}: the time stands in several columns ({names}); {ONE_TIME}")
    return table


def _only_dates(column: pa.ChunkedArray) -> bool:
    """Whether a column holds dates without a time of day."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        stamps = column.drop_null().to_numpy()
        return kind.tz is None and bool(np.all(stamps == stamps.astype("datetime64[D]")))
    if is_text(kind):
        column = column.cast(pa.string())
        return not pc.any(pc.match_substring_regex(column, r"\d[T ]+\d|:|^\d{9,}")).as_py()
    if pa.types.is_integer(kind):
        limits = pc.min_max(column).as_py()
        return limits["min"] is not None and 10**7 <= limits["min"] <= limits["max"] < 10**8
    return pa.types.is_date(kind)


def _repeats(table: Table, name: str) -> bool:
    """Whether dates repeat, and no column of symbols tells the rows of a date apart."""
    dates = value_codes(table.read(name))
    if len(np.unique(dates)) == len(dates):
        return False
    for key in (*table.columns, *table.unnamed):
        kind = table.read(key).type
        text = is_text(kind) or pa.types.is_dictionary(kind)
        symbols = key in SYMBOL_NAMES or squashed(table.columns.get(key, "")) in ALIASES["symbol"]
        if key == name or not (symbols or (text and not is_clock(table.read(key)))):
            continue
        codes = value_codes(table.read(key))
        if codes.min() >= 0 and len(np.unique(dates * (int(codes.max()) + 1) + codes)) == len(
            dates
        ):
            return False
    return True


def _is_hhmm(table: Table, key: str) -> bool:
    """Whether a column called like a clock holds whole numbers that must be hours and minutes."""
    column = table.read(key)
    if squashed(table.columns[key]) not in CLOCK_NAMES or column.null_count:
        return False
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        return False
    values = column.to_numpy()
    whole = np.all((values >= 0) & (values < 240_000_000) & (values == np.rint(values)))
    return bool(whole and values.max() >= 100 and np.all(values.astype(np.int64) % 100 < 60))


def times_of(table: Table, name: str, where: Where) -> Times:
    """Parses the column of timestamps; columns `date` and `time` (of day) are joined.

    Args:
        table: the source.
        name: the column of timestamps, canonical.
        where: gives file and row of a 0-based row, for errors.

    Raises:
        UserError: as `parse_times`, or a `time` that is no time of day.
    """
    written = table.columns[name]
    if name != "date" or "time" not in table.columns:
        return parse_times(table.read(name), written, where)
    column, time = table.read(name), table.read("time")
    if is_text(column.type) and is_text(time.type) and _has_offset(time):
        joined = pc.binary_join_element_wise(column.cast(pa.string()), time.cast(pa.string()), " ")
        return parse_times(joined, written, where)
    days = parse_times(column, written, where)
    if np.any(days.values.astype(np.int64) % DAY):
        return days  # it has the time of day already
    passed = time_of_day(time, table.columns["time"], where)
    if passed is None:
        return _whole_timestamps(time, table.columns["time"], days, where)
    instants = days.values.astype(np.int64)[days.index] + passed
    values, index = np.unique(instants, return_inverse=True)
    return replace(days, values=values.astype("datetime64[ns]"), index=index)


def _whole_timestamps(time: pa.ChunkedArray, name: str, days: Times, where: Where) -> Times:
    """Takes `time` for the timestamps where it holds the whole of them, on the days of `date`."""
    try:
        whole = parse_times(time, name, where)
    except UserError as error:
        raise UserError(
            f"{where(0)}: column {name!r} holds {time[0].as_py()!r}, beside a column of dates, and "
            "not all of it is a time of day; write 09:30:00, or rename the column"
        ) from error
    apart = np.abs(whole.values[whole.index] - days.values[days.index])
    far = apart > np.timedelta64(2, "D")
    if far.any():
        row = int(np.argmax(far))
        raise UserError(
            f"{where(row)}: column {name!r} and the date beside it are "
            f"{apart[row].astype('timedelta64[D]').astype(int)} days apart; leave one of the two "
            "columns out"
        )
    return whole


def _has_offset(time: pa.ChunkedArray) -> bool:
    return bool(pc.any(pc.match_substring_regex(time, OFFSET)).as_py())
