"""The times of a table's rows: one column, or a date and a time of day beside each other."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import (
    ALIASES,
    FIELD_NAMES,
    SYMBOL_NAMES,
    TIME_NAMES,
    is_clock_name,
    squashed,
)
from trainable.data.ingest.columns import time_column
from trainable.data.ingest.roles.column_values import is_clock, is_digits, is_text, value_codes
from trainable.data.ingest.roles.time_column import ONE_TIME
from trainable.data.ingest.table import Table
from trainable.data.ingest.timestamps import Times, parse_times
from trainable.data.times.time_of_day import DAY, time_of_day
from trainable.data.times.years import Where

PARTS_OF_TIME = (
    *("hour", "hours", "hourending", "hourbeginning", "hourofday", "minute", "minutes"),
    *("hora", "stunde", "heure", "ora", "uur"),
)
SPAN = (
    r"^(?P<begin_hour>\d{1,2})[:.hH](?P<begin_minute>\d\d)(?::\d\d)?\s*(?:-|–|—|/|~|to|bis)\s*"
    r"(?P<end_hour>\d{1,2})[:.hH](?P<end_minute>\d\d)(?::\d\d)?$"
)
MIDNIGHT = r"(\d)[T ]00:00(?::00(?:\.0+)?)?\s*$"  # behind dates that a tool wrote in full
OFFSET = r"\d ?(?:[Zz]|UTC|[+-]\d\d(?::?\d\d)?)$"


def with_time_of_day(table: Table) -> Table:
    """Finds the column with the time of day beside one of dates alone, whatever it is called.

    Dates must repeat, and no column of symbols must tell their rows apart: an hour that stands
    beside daily bars says something else.

    Raises:
        UserError: hours or minutes in columns of their own, or several columns of times.
    """
    name = time_column(table)
    if not _only_dates(table.read(name)):
        return table
    if name in ("timestamp", "datetime") and "time" in table.columns:
        return _beside_time(table, name)
    if "time" in table.columns or not _repeats(table, name):
        return table
    keys = [key for key in table.columns if key not in TIME_NAMES]
    written = table.columns[name]
    for key in keys:
        _refuse_spans(table, key, written)
    found = [key for key in keys if is_clock(table.read(key)) or _counts_time(table, name, key)]
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


def _beside_time(table: Table, name: str) -> Table:
    """Takes a column of dates called `timestamp` for the dates of `time`, where they repeat."""
    written, time = table.columns[name], table.columns["time"]
    if not _repeats(table, name):
        return table.without(
            ["time"], f"each date has one bar: {time!r} not used beside {written!r}"
        )
    if "date" in table.columns:  # two columns of dates
        return table.without([name], f"{time!r} read as the time of day of 'date', not {written!r}")
    return table.renamed(name, "date", f"{time!r} read as the time of day of {written!r}")


def _only_dates(column: pa.ChunkedArray) -> bool:
    """Whether a column holds dates without a time of day."""
    kind = column.type
    if pa.types.is_timestamp(kind):
        stamps = column.drop_null().to_numpy()
        return kind.tz is None and bool(np.all(stamps == stamps.astype("datetime64[D]")))
    if is_text(kind):
        texts = pc.replace_substring_regex(column.cast(pa.string()), MIDNIGHT, r"\1")
        return not pc.any(pc.match_substring_regex(texts, r"\d[T ]+\d|:|^\d{9,}")).as_py()
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        limits = pc.min_max(column).as_py()
        return limits["min"] is not None and 10**7 <= limits["min"] <= limits["max"] < 10**8
    return pa.types.is_date(kind)


def _refuse_spans(table: Table, key: str, date: str) -> None:
    if _holds_spans(table.read(key)):
        raise UserError(
            f"{table.file}: {table.columns[key]!r} beside {date!r} holds spans of time "
            f"({table.read(key)[0].as_py().strip()!r}); give the one time at which a bar is "
            "stamped, 09:30, in a column 'time'"
        )


def _holds_spans(column: pa.ChunkedArray) -> bool:
    """Whether a column holds spans such as `09:00-10:00`."""
    if not is_text(column.type) or not len(column):
        return False
    texts = pc.utf8_trim_whitespace(pc.unique(column).cast(pa.string()))
    parts = pc.extract_regex(texts, SPAN)
    if parts.null_count:
        return False
    begin, end = (_minutes(parts, which) for which in ("begin", "end"))
    if not pc.all(pc.match_substring_regex(texts, OFFSET)).as_py():
        return True
    return bool(np.all(end > begin)) and len(np.unique(end)) > 1  # 09:00-05:00 has an offset


def _minutes(parts: pa.Array, which: str) -> np.ndarray:
    hour = pc.struct_field(parts, f"{which}_hour").cast(pa.int64()).to_numpy(zero_copy_only=False)
    minute = pc.struct_field(parts, f"{which}_minute").cast(pa.int64())
    return 60 * hour + minute.to_numpy(zero_copy_only=False)


def _repeats(table: Table, name: str) -> bool:
    """Whether dates repeat, and no column of symbols tells the rows of a date apart."""
    dates = value_codes(table.read(name))
    if len(np.unique(dates)) == len(dates):
        return False
    return not any(_apart(dates, value_codes(table.read(key))) for key in _symbols(table, name))


def _symbols(table: Table, name: str) -> list[str]:
    """The columns that may hold symbols beside the dates `name`."""
    found = []
    for key in (*table.columns, *table.unnamed):
        kind, written = table.read(key).type, table.columns.get(key, "")
        text = is_text(kind) or pa.types.is_dictionary(kind)
        symbols = key in SYMBOL_NAMES or squashed(written) in ALIASES["symbol"]
        if text and not symbols:
            digits = is_digits(table.read(key)) and is_clock_name(written)
            column = table.read(key)
            symbols = not (digits or is_clock(column) or _holds_spans(column))
        if symbols and key != name:
            found.append(key)
    return found


def _apart(times: np.ndarray, codes: np.ndarray) -> bool:
    """Whether no two rows have the same time and code."""
    together = times * (int(codes.max()) + 1) + codes
    return codes.min() >= 0 and len(np.unique(together)) == len(codes)


def _counts_time(table: Table, name: str, key: str) -> bool:
    """Whether a column called like a clock holds numbers that must be times of the day.

    With the date, and the symbol if there is one, they tell all rows apart.
    """
    column = table.read(key)
    if key in FIELD_NAMES or column.null_count or not is_clock_name(table.columns[key]):
        return False
    if not (
        pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or is_digits(column)
    ):
        return False
    if not _is_time(column):
        return False
    dates, codes = value_codes(table.read(name)), value_codes(column)
    if _apart(dates, codes):
        return True
    both = dates * (int(codes.max()) + 1) + codes
    return any(_apart(both, value_codes(table.read(s))) for s in _symbols(table, name))


def probable_time(table: Table, row: int, symbol: str | None) -> str:
    """Says which column may be the time of day where dates repeat; empty: none orders the rows.

    Args:
        table: the source.
        row: the 0-based row that repeats one before it.
        symbol: the column of symbols, if there is one.
    """
    name = time_column(table)
    if not _only_dates(table.read(name)):
        return ""
    groups = value_codes(table.read(name))
    if symbol is not None:
        codes = value_codes(table.read(symbol))
        groups = groups * (int(codes.max()) + 2) + codes
    order = np.argsort(groups, kind="stable")
    same = np.diff(groups[order]) == 0
    together = np.count_nonzero(np.diff(groups)) < len(np.unique(groups))  # the rows of a date
    for key, written in table.columns.items():
        if key in (*TIME_NAMES, *FIELD_NAMES, symbol):
            continue
        values = _ranks(table.read(key))
        if values is None or 2 * len(np.unique(values)) > len(values):
            continue
        steps = np.diff(values[order])[same]
        if not (np.all(steps > 0) or np.all(steps < 0)):
            continue
        cell = str(table.read(key)[row].as_py()).removesuffix(".0")
        reading = (
            "call it 'time'" if _is_time(table.read(key)) else "write 09:30 in a column 'time'"
        )
        advice = f"if it is the time of day, {reading}"
        if symbol is None and not together:
            return f"; if {written!r} ({cell} here) names symbols, call it 'symbol'"
        if symbol is None:
            advice += "; if it names symbols, call it 'symbol'"
        return f"; {written!r} ({cell} here) orders the rows of each date: {advice}"
    return ""


def _is_time(column: pa.ChunkedArray) -> bool:
    try:
        return time_of_day(column, "", str) is not None
    except UserError:
        return False


def _ranks(column: pa.ChunkedArray) -> np.ndarray | None:
    """[R] int64, which of the distinct numbers in order each row has; None: no numbers."""
    if column.null_count:
        return None
    try:
        column = column.cast(pa.float64())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return None
    return np.unique(column.to_numpy(), return_inverse=True)[1].astype(np.int64)


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
    found = time_of_day(time, table.columns["time"], where)
    if found is None:
        return _whole_timestamps(time, table.columns["time"], days, where)
    passed, counted = found
    instants = days.values.astype(np.int64)[days.index] + passed
    values, index = np.unique(instants, return_inverse=True)
    read_as = [days.read_as] if days.read_as else []
    if counted:
        read_as.append(f"{table.columns['time']!r} as {counted}")
    return replace(
        days,
        values=values.astype("datetime64[ns]"),
        index=index,
        read_as="; ".join(read_as) or None,
    )


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
