"""Timestamps of any common form → instants."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.times.numbers import instants_of, numbers_of
from trainable.data.times.texts import Parsed, dates_if_midnight, parse_texts
from trainable.data.times.years import At, Where, refuse_years


@dataclass(frozen=True)
class Times:
    """Distinct instants and which of them each row has.

    Attributes:
        values: [T] datetime64[ns], increasing, unique; UTC where the source had a zone, unless
            every bar begins at local midnight: then they are local dates.
        index: [R] int64, position in `values` by row.
        zone: the source's zone or its offsets; None where it had none.
        read_as: how they were read, where it had to be found out ("epochs in ms").
    """

    values: np.ndarray
    index: np.ndarray
    zone: str | None
    read_as: str | None = None


def parse_times(column: pa.ChunkedArray, name: str, where: Where) -> Times:
    """Parses a column of timestamps, dates, periods, ISO 8601 text, calendar digits or epochs.

    Calendar digits are yyyy, yyyymm, yyyymmdd … as integers, floats or text; epochs have the unit
    (s, ms, µs, ns) that their size shows, each for itself.

    Args:
        column: [R] any of these types.
        name: the column's name, for errors.
        where: gives file and row of a 0-based row, for errors.

    Raises:
        UserError: a missing or unreadable timestamp, one that could be several, mixed time zones,
            or a year before 1900 or after the next one.
    """
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise UserError(f"{where(row)}: the {name!r} cell is empty; every bar needs its timestamp")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    frequency = None
    if getattr(column.type, "extension_name", None) == "pandas.period":
        frequency = column.type.freq
        chunks = [chunk.storage for chunk in column.chunks]
        column = pa.chunked_array(chunks, column.type.storage_type)
    kind = column.type
    if pa.types.is_string_view(kind):
        column = column.cast(pa.large_string())
    elif not _readable(kind):
        hint = ": a time of day without its date" if pa.types.is_time(kind) else ""
        what = getattr(kind, "type_name", kind)  # of an extension type that nobody knows
        raise UserError(
            f"{where(0)}: column {name!r} holds {what}, not timestamps{hint}; use dates, ISO 8601 "
            "text or integer epochs"
        )
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False)

    def at(bad: np.ndarray) -> str:
        return where(int(np.flatnonzero(bad[codes])[0]))

    parsed = _parsed(encoded.dictionary, frequency, name, at)
    values, inverse = np.unique(parsed.instants, return_inverse=True)
    return Times(values.astype("datetime64[ns]"), inverse[codes], parsed.zone, parsed.read_as)


def _readable(kind: pa.DataType) -> bool:
    types = pa.types
    text = types.is_string(kind) or types.is_large_string(kind)
    number = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind)
    return text or number or types.is_timestamp(kind) or types.is_date(kind)


def _parsed(distinct: pa.Array, frequency: Any, name: str, at: At) -> Parsed:
    """Parses the distinct values; `frequency` is that of pandas periods, else None."""
    kind = distinct.type
    if frequency is not None:
        periods = pd.PeriodIndex.from_ordinals(distinct.to_numpy(), freq=frequency)
        refuse_years(np.asarray(periods.year), lambda i: str(periods[i]), name, at)
        starts = periods.to_timestamp(how="start").to_numpy().astype("datetime64[ns]")
        return Parsed(starts.astype(np.int64), None, f"periods of pandas ({frequency}), by start")
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _typed(distinct, name, at)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return parse_texts(pc.utf8_trim_whitespace(distinct.cast(pa.string())), name, at)
    instants, read_as = instants_of(numbers_of(distinct, name, at), name, at)
    return Parsed(instants, None, read_as)


def _typed(distinct: pa.Array, name: str, at: At) -> Parsed:
    # By numpy: Arrow's years have 16 bits, and its scalars end with year 9999.
    stamps = distinct.to_numpy(zero_copy_only=False)
    years = stamps.astype("datetime64[Y]").astype(np.int64) + 1970
    refuse_years(years, lambda i: str(stamps[i]), name, at)
    zone = distinct.type.tz if pa.types.is_timestamp(distinct.type) else None
    instants = distinct.cast(pa.timestamp("ns", zone)).to_numpy(zero_copy_only=False)
    instants = instants.astype(np.int64)
    if zone is None:
        return Parsed(instants)
    try:
        local = pc.local_timestamp(distinct.cast(pa.timestamp("ns", zone)))
    except pa.ArrowInvalid as error:
        raise UserError(
            f"{at(np.ones(len(years), bool))}: column {name!r} has the time zone {zone!r}, which "
            "is unknown here; convert it to UTC"
        ) from error
    return Parsed(dates_if_midnight(instants, local.to_numpy().astype(np.int64)), zone)


def show_time(timestamp: Any) -> str:
    """`2024-01-31`, or `2024-01-31 09:30:00` where there is a time of day.

    Args:
        timestamp: a numpy datetime64.
    """
    text = str(timestamp.astype("datetime64[ns]"))
    day, _, time = text.partition("T")
    time = time.rstrip("0").rstrip(".") if "." in time else time
    return day if set(time) <= set("0:") else f"{day} {time if len(time) > 5 else time + ':00'}"
