"""Timestamps of any common form → instants; time zones; how many bars make a year."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError

DAY = 86_400 * 10**9  # nanoseconds
INTRADAY_BELOW = 20 * 3_600 * 10**9  # median spacing of bars shorter than a day, nanoseconds
WEEKEND_SHARE = 0.1  # of the bars; more: weekends trade (Sunday evenings of futures stay below)

ZONED = r"\d[Tt ]\s*\d.*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
EPOCH = r"^\d{5,}(?:\.0*)?$"
# Largest absolute value of a plausible epoch in seconds, milli-, micro- and nanoseconds.
EPOCH_UNITS = ((10**11, "s"), (10**14, "ms"), (10**17, "us"), (np.iinfo(np.int64).max, "ns"))

YEARS = (1678, 2261)  # what nanoseconds in 64 bits can say

Where = Callable[[int], str]  # 0-based row → file and row, for errors
At = Callable[[np.ndarray], str]  # mask of the distinct values → the first row that has one


@dataclass(frozen=True)
class Times:
    """Distinct instants and which of them each row has.

    Attributes:
        values: [T] datetime64[ns], increasing, unique; UTC where the source had a zone, unless
            every bar begins at local midnight: then they are local dates.
        index: [R] int64, position in `values` by row.
        zone: the source's zone or its offsets; None where it had none.
    """

    values: np.ndarray
    index: np.ndarray
    zone: str | None


def parse_times(column: pa.ChunkedArray, name: str, where: Where) -> Times:
    """Parses a column of timestamps, dates, ISO 8601 text, YYYYMMDD or epochs (s, ms, µs, ns).

    Args:
        column: [R] any of these types.
        name: the column's name, for errors.
        where: gives file and row of a 0-based row, for errors.

    Raises:
        UserError: a missing or unreadable timestamp, or mixed time zones.
    """
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise UserError(f"{where(row)}: the {name!r} cell is empty; every bar needs its timestamp")
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    distinct = encoded.dictionary

    def at(bad: np.ndarray) -> str:
        return where(int(np.flatnonzero(bad[codes])[0]))

    kind = distinct.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        instants, zone = _typed(distinct, name, at)
    elif pa.types.is_integer(kind):
        instants, zone = _epochs(distinct.to_numpy().astype(np.int64), name, at), None
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        instants, zone = _texts(pc.utf8_trim_whitespace(distinct), name, at)
    else:
        raise UserError(
            f"{where(0)}: column {name!r} holds {kind}, not timestamps; use dates, ISO 8601 text "
            "or integer epochs"
        )
    values, inverse = np.unique(instants, return_inverse=True)
    return Times(values.astype("datetime64[ns]"), inverse[codes], zone)


def _typed(distinct: pa.Array, name: str, at: At) -> tuple[np.ndarray, str | None]:
    years = pc.year(distinct).to_numpy(zero_copy_only=False)
    beyond = (years < YEARS[0]) | (years > YEARS[1])
    if beyond.any():
        raise UserError(f"{at(beyond)}: {name!r} is outside the years 1678 to 2261")
    zone = distinct.type.tz if pa.types.is_timestamp(distinct.type) else None
    instants = distinct.cast(pa.timestamp("ns", zone)).to_numpy(zero_copy_only=False)
    instants = instants.astype(np.int64)
    if zone is None:
        return instants, None
    local = pc.local_timestamp(distinct.cast(pa.timestamp("ns", zone)))
    return _dates_if_midnight(instants, local.to_numpy().astype(np.int64)), zone


def _dates_if_midnight(instants: np.ndarray, local: np.ndarray) -> np.ndarray:
    """A day's bar stamped at local midnight means that date, not the evening before in UTC."""
    return local if np.all(local % DAY == 0) else instants


def _epochs(numbers: np.ndarray, name: str, at: At) -> np.ndarray:
    if numbers.min() >= 19_000_101 and numbers.max() <= 21_001_231:  # YYYYMMDD
        text = pa.array(numbers).cast(pa.string())
        return _iso(text, None, name, at)
    if numbers.min() <= 0:
        raise UserError(f"{at(numbers <= 0)}: {name!r} is not a positive epoch")
    unit = next(unit for limit, unit in EPOCH_UNITS if numbers.max() < limit or unit == "ns")
    return numbers.astype(f"datetime64[{unit}]").astype("datetime64[ns]").astype(np.int64)


def _texts(texts: pa.Array, name: str, at: At) -> tuple[np.ndarray, str | None]:
    if pc.all(pc.match_substring_regex(texts, EPOCH)).as_py():
        numbers = texts.cast(pa.float64()).cast(pa.int64()) if "." in texts[0].as_py() else texts
        return _epochs(numbers.cast(pa.int64()).to_numpy(), name, at), None
    zoned = pc.match_substring_regex(texts, ZONED).to_numpy(zero_copy_only=False)
    if not zoned.any():
        return _iso(texts, None, name, at), None
    if not zoned.all():
        raise UserError(
            f"{at(zoned != zoned[0])}: mixed time zones in {name!r}: this row has "
            f"{'no zone' if zoned[0] else 'a zone'}, those before it do the opposite; "
            "give all rows a zone or none"
        )
    instants = _iso(texts, "UTC", name, at)
    minutes = _offsets(texts)
    _require_one_zone(instants, minutes, name, at)
    names = "/".join(_offset_name(m) for m in np.unique(minutes))
    return _dates_if_midnight(instants, instants + minutes * 60 * 10**9), names


def _iso(texts: pa.Array, zone: str | None, name: str, at: At) -> np.ndarray:
    try:
        # By way of microseconds, from which the cast to nanoseconds notices an overflow.
        instants = texts.cast(pa.timestamp("us", zone)).cast(pa.timestamp("ns", zone))
    except pa.ArrowInvalid:  # less usual ISO forms, or a bad cell: slower, but says which
        parsed = pd.to_datetime(
            pd.Series(texts.to_pylist(), dtype="object"),
            format="ISO8601",
            errors="coerce",
            utc=zone is not None,
        )
        bad = ~parsed.dt.year.between(*YEARS).to_numpy()
        if bad.any():
            cell = at(bad)
            first = texts[int(np.flatnonzero(bad)[0])].as_py()
            raise UserError(
                f"{cell}: {first!r} in column {name!r} is not a date; write ISO 8601 such as "
                "2024-01-31 or 2024-01-31 09:30:00, or an epoch"
            ) from None
        naive = parsed.dt.tz_localize(None) if zone else parsed
        return naive.to_numpy().astype("datetime64[ns]").astype(np.int64)
    return instants.to_numpy(zero_copy_only=False).astype("datetime64[ns]").astype(np.int64)


def _offsets(texts: pa.Array) -> np.ndarray:
    """[U] int64, offset from UTC in minutes."""
    parts = pc.extract_regex(texts, r"(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)?$")
    parts = pc.if_else(pc.ends_with(pc.utf8_upper(texts), "Z"), None, parts)
    sign = pc.if_else(pc.equal(pc.struct_field(parts, "sign"), "-"), -1, 1)
    hours = pc.struct_field(parts, "hours").cast(pa.int64())
    rest = pc.struct_field(parts, "minutes")
    rest = pc.if_else(pc.equal(rest, ""), "0", rest).cast(pa.int64())
    minutes = pc.multiply(sign, pc.add(pc.multiply(hours, 60), rest))
    return pc.fill_null(minutes, 0).to_numpy(zero_copy_only=False).astype(np.int64)


def _offset_name(minutes: int) -> str:
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def _require_one_zone(instants: np.ndarray, minutes: np.ndarray, name: str, at: At) -> None:
    """One zone has one offset, or two an hour apart that change at most about twice a year."""
    kinds = np.unique(minutes)
    if len(kinds) == 1:
        return
    order = np.argsort(instants, kind="stable")
    switches = int(np.count_nonzero(np.diff(minutes[order])))
    years = (instants.max() - instants.min()) / (365 * DAY)
    if len(kinds) == 2 and kinds[1] - kinds[0] <= 60 and switches <= 2 * years + 2:
        return
    raise UserError(
        f"{at(minutes != minutes[0])}: mixed time zones in {name!r}: offsets "
        f"{', '.join(_offset_name(m) for m in kinds)} are not one zone; convert all to UTC"
    )


def bar_calendar(timestamps: np.ndarray) -> tuple[bool, float]:
    """Infers whether bars are shorter than a day, and how many make a year.

    A year has 252 trading days, or 365 where weekends trade; 52 weekly, 12 monthly, 4 quarterly
    bars. Intraday: the median number of bars a day × trading days a year.

    Args:
        timestamps: [T] datetime64[ns], increasing, T >= 2.

    Returns:
        (intraday, bars a year).
    """
    nanoseconds = timestamps.astype("datetime64[ns]").astype(np.int64)
    spacing = float(np.median(np.diff(nanoseconds)))
    days = nanoseconds // DAY
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    trading_days = 365.0 if np.mean(weekday >= 5) > WEEKEND_SHARE else 252.0
    if spacing < INTRADAY_BELOW:
        return True, float(np.median(np.unique(days, return_counts=True)[1])) * trading_days
    if spacing <= 4 * DAY:
        return False, trading_days
    for longest, bars in ((10, 52.0), (45, 12.0), (120, 4.0)):
        if spacing <= longest * DAY:
            return False, bars
    return False, 1.0


def show_time(timestamp: Any) -> str:
    """`2024-01-31`, or `2024-01-31 09:30:00` where there is a time of day.

    Args:
        timestamp: a numpy datetime64.
    """
    text = str(timestamp.astype("datetime64[ns]"))
    day, _, time = text.partition("T")
    time = time.rstrip("0").rstrip(".") if "." in time else time
    return day if set(time) <= set("0:") else f"{day} {time if len(time) > 5 else time + ':00'}"
