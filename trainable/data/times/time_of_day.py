"""A column with the time of day that stands beside a column of dates."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.times.years import Where

SECOND = 10**9  # nanoseconds
DAY = 86_400 * SECOND
CLOCK = (
    r"^(?P<hour>\d{1,2}):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<rest>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?$"
)
DIGITS = r"^\d{1,9}(?:\.0*)?$"


def time_of_day(column: pa.ChunkedArray, name: str, where: Where) -> np.ndarray | None:
    """Returns nanoseconds since midnight by row, [R] int64; None where it holds something else.

    Read are times and durations, `9:30`, `09:30:00.5`, `9:30 PM`, and digits: hhmm (930) or, where
    the largest is above that, hhmmss (93000) or hhmmssmmm (93000000).

    Raises:
        UserError: an empty cell, or digits that may be hours, minutes or a clock's time.
    """
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy())[0])
        raise UserError(f"{where(row)}: the {name!r} cell is empty; every bar needs its time")
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
        kind = column.type
    if pa.types.is_time(kind):
        return column.cast(pa.time64("ns")).cast(pa.int64()).to_numpy()
    if pa.types.is_duration(kind):
        passed = column.cast(pa.duration("ns")).cast(pa.int64()).to_numpy()
        return passed if np.all((passed >= 0) & (passed <= DAY)) else None
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.to_numpy()
        whole = np.isfinite(values) & (values >= 0) & (values < 240_000_000)
        whole &= np.where(whole, values, 0) % 1 == 0
        return _clock_digits(values.astype(np.int64), name, where) if whole.all() else None
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return None
    texts = pc.utf8_trim_whitespace(column.cast(pa.string()))
    if pc.all(pc.match_substring_regex(texts, DIGITS)).as_py():
        plain = pc.replace_substring_regex(texts, r"\..*$", "")
        values = plain.cast(pa.int64()).to_numpy()
        width = pc.utf8_length(plain)
        if pc.all(pc.equal(width, 6)).as_py():
            return _checked(values, values // 10_000, values // 100 % 100, values % 100)
        if pc.all(pc.equal(width, 4)).as_py():
            return _checked(values, values // 100, values % 100, 0 * values)
        return _clock_digits(values, name, where)
    return _clock_text(texts)


def _clock_digits(values: np.ndarray, name: str, where: Where) -> np.ndarray | None:
    if values.max() > 240_000:  # hhmmssmmm
        passed = _checked(values, values // 10**7, values // 10**5 % 100, values // 1000 % 100)
        return None if passed is None else passed + values % 1000 * 10**6
    if values.max() > 2400:
        return _checked(values, values // 10_000, values // 100 % 100, values % 100)
    if 0 < values.max() < 60:
        row = int(np.argmax(values > 0))
        raise UserError(
            f"{where(row)}: {values[row]} in column {name!r} may be an hour or a minute; write "
            "times as 09:30"
        )
    return _checked(values, values // 100, values % 100, 0 * values)


def _checked(
    values: np.ndarray, hour: np.ndarray, minute: np.ndarray, second: np.ndarray
) -> np.ndarray | None:
    passed = ((hour * 60 + minute) * 60 + second) * SECOND
    good = (minute < 60) & (second < 60) & (passed <= DAY) & (values >= 0)
    return passed if good.all() else None


def _clock_text(texts: pa.ChunkedArray) -> np.ndarray | None:
    parts = pc.extract_regex(texts, CLOCK)
    if isinstance(parts, pa.ChunkedArray):
        parts = parts.combine_chunks()
    if parts.null_count:
        return None

    def number(part: str) -> np.ndarray:
        found = pc.struct_field(parts, part)
        return pc.if_else(pc.equal(found, ""), "0", found).cast(pa.int64()).to_numpy()

    hour, minute, second = number("hour"), number("minute"), number("second")
    half = pc.utf8_lower(pc.struct_field(parts, "half")).to_numpy(zero_copy_only=False)
    twelve = half != ""
    if np.any(twelve & ((hour < 1) | (hour > 12))):
        return None
    hour = np.where(twelve, hour % 12 + 12 * (half == "p"), hour)
    rest = pc.utf8_rpad(pc.struct_field(parts, "rest"), 9, "0").cast(pa.int64()).to_numpy()
    passed = _checked(hour, hour, minute, second)
    return None if passed is None else passed + rest
