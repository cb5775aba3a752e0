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
    r"^(?P<hour>\d{1,2})(?::(?P<minute>\d\d)(?::(?P<second>\d\d)(?:[.,](?P<rest>\d{1,9}))?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?)?|[hH](?P<after>\d\d)?)$"
)
USUAL_STEPS = frozenset(
    SECOND * step
    for unit, steps in (
        (1, (1, 2, 5, 10, 15, 20, 30)),
        (60, (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30)),
        (3600, (1, 2, 3, 4, 6, 8, 12)),
    )
    for step in (unit * count for count in steps)
)  # between the bars of a day
DIGITS = r"^\d{1,14}(?:\.0*)?$"
CLOCK_BELOW = 240_000_000  # hhmmssmmm; numbers from here count micro- or nanoseconds
UNITS = ((60 * SECOND, "minutes"), (SECOND, "seconds"), (10**6, "milliseconds"))
FINE_UNITS = ((10**3, "microseconds"), (1, "nanoseconds"))
FIRST_MINUTES = 240 * SECOND  # bars that all lie in them are none: hhmmss and six digits more


def time_of_day(
    column: pa.ChunkedArray, name: str, where: Where
) -> tuple[np.ndarray, str | None] | None:
    """Returns nanoseconds since midnight by row, [R] int64, and how numbers were read.

    Read are times and durations, `9:30`, `09:30:00.5`, `9:30 PM`, `09h30`, digits: hhmm (930) or,
    where the largest is above that, hhmmss (93000) or hhmmssmmm (93000000), and evenly spaced
    minutes, seconds, milli-, micro- or nanoseconds of the day. None where the column holds
    something else.

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
        return column.cast(pa.time64("ns")).cast(pa.int64()).to_numpy(), None
    if pa.types.is_duration(kind):
        passed = column.cast(pa.duration("ns")).cast(pa.int64()).to_numpy()
        return (passed, None) if np.all((passed >= 0) & (passed <= DAY)) else None
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = column.to_numpy()
        whole = np.isfinite(values) & (values >= 0) & (values <= DAY)
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
            return _told(_hhmmss(values))
        if pc.all(pc.equal(width, 4)).as_py():
            return _told(_hhmm(values))
        return _clock_digits(values, name, where)
    return _told(_clock_text(texts))


def _told(passed: np.ndarray | None) -> tuple[np.ndarray, str | None] | None:
    return None if passed is None else (passed, None)


def _clock_digits(
    values: np.ndarray, name: str, where: Where
) -> tuple[np.ndarray, str | None] | None:
    if 0 < values.max() < 60:
        row = int(np.argmax(values > 0))
        raise UserError(
            f"{where(row)}: {values[row]} in column {name!r} may be an hour or a minute; write "
            "times as 09:30"
        )
    if values.max() >= CLOCK_BELOW:
        return _counted(values, FINE_UNITS)
    if values.max() > 240_000:
        passed = _hhmmss(values // 1000)
        passed = None if passed is None else passed + values % 1000 * 10**6
    else:
        passed = _hhmmss(values) if values.max() > 2400 else _hhmm(values)
    counted = _counted(values, UNITS)
    if counted is not None and (passed is None or len(_steps(counted[0])) < len(_steps(passed))):
        return counted
    return _told(passed)


def _counted(
    values: np.ndarray, units: tuple[tuple[int, str], ...]
) -> tuple[np.ndarray, str] | None:
    """Units of time since midnight, the larger first; None where steps are no usual ones.

    Of the units in which all lie within a day the largest counts: bars that all lie in the first
    minutes after midnight are none. Numbers that begin with the day and end before it does may
    count the bars, or the time since trading began.
    """
    for unit, words in units:
        if int(values.max()) * unit > DAY:
            continue
        passed = values * unit
        steps = _steps(passed)
        if not len(steps) or steps[0] not in USUAL_STEPS:
            return None
        if units is FINE_UNITS and passed.max() < FIRST_MINUTES:
            return None
        begins, ends = passed.min() < 2 * steps[0], passed.max() + 2 * steps[0] >= DAY
        return (passed, f"{words} of the day") if ends or not begins else None
    return None


def _steps(passed: np.ndarray) -> np.ndarray:
    """The distinct steps between the times of the day that occur, the most frequent one first."""
    steps, counts = np.unique(np.diff(np.unique(passed)), return_counts=True)
    return steps[np.argsort(-counts, kind="stable")]


def _hhmmss(values: np.ndarray) -> np.ndarray | None:
    return _checked(values, values // 10_000, values // 100 % 100, values % 100)


def _hhmm(values: np.ndarray) -> np.ndarray | None:
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

    hour, second = number("hour"), number("second")
    minute = number("minute") + number("after")
    half = pc.utf8_lower(pc.struct_field(parts, "half")).to_numpy(zero_copy_only=False)
    twelve = half != ""
    if np.any(twelve & ((hour < 1) | (hour > 12))):
        return None
    hour = np.where(twelve, hour % 12 + 12 * (half == "p"), hour)
    rest = pc.utf8_rpad(pc.struct_field(parts, "rest"), 9, "0").cast(pa.int64()).to_numpy()
    passed = _checked(hour, hour, minute, second)
    return None if passed is None else passed + rest
