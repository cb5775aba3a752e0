"""The times of a table's rows: one column, or a date and a time of day beside each other."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.ingest.table import Table
from trainable.data.ingest.timestamps import Times, parse_times
from trainable.data.times.time_of_day import DAY, time_of_day
from trainable.data.times.years import Where

OFFSET = r"\d ?(?:[Zz]|UTC|[+-]\d\d(?::?\d\d)?)$"


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
    if _is_text(column.type) and _is_text(time.type) and _has_offset(time):
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


def _is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind)
