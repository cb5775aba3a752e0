"""Texts in the time column → instants: ISO 8601 and its relatives, with and without a zone."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import re
from dataclasses import dataclass
from typing import NoReturn
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.times.month_names import in_digits
from trainable.data.times.numbers import NUMBER, instants_of, numbers_of_text
from trainable.data.times.years import At, refuse_years, shortened

DAY = 86_400 * 10**9  # nanoseconds
ZONED = r"\d[Tt ]\s*\d.*(?:[Zz]|[+-]\d\d(?::?\d\d)?)$"
FORMS = "2024-01-31, 2024-01-31 09:30:00 or 2024-01-31T09:30:00+01:00"

PARTS = (
    r"^(?P<a>\d{1,4})(?P<sep>[-/.])(?P<b>\d{1,2})(?P<again>[-/.])(?P<c>\d{1,4})"
    r"(?:[T ,]+(?P<hour>\d{1,2})(?::?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?P<rest>[.,]\d+)?)?)?"
    r"(?:[ -]?(?P<half>[AaPp])\.?[Mm]\.?)?)?"
    r"(?P<zone> ?(?:[Zz]|[+-]\d\d:?(?:\d\d)?))?$"
)
COMPACT = r"^(\d{4})(\d\d)(\d\d)($|[T ])"
NAMED_ZONE = r"^(?P<time>.*\d(?: ?[AaPp][Mm])?) (?P<zone>[A-Za-z_]+(?:/[A-Za-z0-9_+-]+)*)$"
NO_ZONE = pa.array(["Z", "AM", "PM"])  # words that the other patterns know
OFFSET_WITH_NAME = (
    r"([\dMm.]) ?(?:UTC|GMT) ?([+-]\d\d:?\d\d)(?: \([A-Za-z ]+\))?$"  # GMT+0100 (CET)
)
SHORT_OFFSET = r"([\dMm.]) ?(?:UTC|GMT) ?([+-])(\d)$"
SHORT_YEAR = re.compile(r"([A-Za-z]{3,9}|\d{1,2}[-/. ]([A-Za-z]{3,9}|\d{1,2}))[-/. ]\d\d")
BRACKETED = r"\[[A-Za-z0-9_/+-]+\]$"  # Java writes the zone's name behind the offset


@dataclass(frozen=True)
class Parsed:
    """Instants of the distinct texts.

    Attributes:
        instants: [U] int64 nanoseconds; UTC where there is a zone, local dates where every one is
            a local midnight.
        zone: the offsets or the zone's name; None where there is none.
        read_as: how they were read, where ISO 8601 does not say it.
    """

    instants: np.ndarray
    zone: str | None = None
    read_as: str | None = None


def parse_texts(texts: pa.Array, name: str, at: At) -> Parsed:
    """Parses distinct texts, trimmed.

    Raises:
        UserError: a text that is no date or could be two, mixed zones, or a year out of range.
    """
    empty = pc.equal(texts, "").to_numpy(zero_copy_only=False)
    if empty.any():
        raise UserError(f"{at(empty)}: the {name!r} cell is empty; every bar needs its timestamp")
    number = pc.match_substring_regex(texts, NUMBER).to_numpy(zero_copy_only=False)
    if number.all():
        instants, read_as = instants_of(numbers_of_text(texts, name, at), name, at)
        return Parsed(instants, None, read_as)
    if number.any():
        _refuse_numbers_among_texts(texts, number, name, at)
    instants = _arrow(texts, None, name, at)
    if instants is not None:
        return Parsed(instants)
    plain = pc.replace_substring_regex(texts, OFFSET_WITH_NAME, r"\1 \2")
    plain = pc.replace_substring_regex(plain, SHORT_OFFSET, r"\1 \20\3:00")
    plain = pc.replace_substring_regex(plain, r" ?(?:UTC|GMT)$", "Z")
    zone = None
    plain, read_as = in_digits(plain)
    zoned = pc.match_substring_regex(plain, ZONED).to_numpy(zero_copy_only=False)
    if not (zoned.all() and _arrow(plain, "UTC", name, at) is not None):
        plain = pc.replace_substring_regex(plain, r"\s+", " ")
        plain = pc.replace_substring_regex(plain, BRACKETED, "")
        plain, zone = _named_zone(plain, texts, name, at)
        plain, order = _as_iso(plain, name, at)
        read_as = read_as or order
        zoned = pc.match_substring_regex(plain, ZONED).to_numpy(zero_copy_only=False)
    if zone is not None:
        return Parsed(_localised(_iso(plain, texts, None, name, at), zone, name, at), zone, read_as)
    if not zoned.any():
        return Parsed(_iso(plain, texts, None, name, at), None, read_as)
    if not zoned.all():
        raise UserError(
            f"{at(zoned != zoned[0])}: mixed time zones in {name!r}: this row has "
            f"{'no zone' if zoned[0] else 'a zone'}, those before it do the opposite; "
            "give all rows a zone or none"
        )
    instants = _iso(plain, texts, "UTC", name, at)
    minutes = _offsets(plain)
    _require_one_zone(instants, minutes, name, at)
    names = "/".join(_offset_name(m) for m in np.unique(minutes))
    local = instants + minutes * 60 * 10**9
    return Parsed(dates_if_midnight(instants, local), names, read_as)


def dates_if_midnight(instants: np.ndarray, local: np.ndarray) -> np.ndarray:
    """A day's bar stamped at local midnight means that date, not the evening before in UTC."""
    return local if np.all(local % DAY == 0) else instants


def _refuse_numbers_among_texts(texts: pa.Array, number: np.ndarray, name: str, at: At) -> None:
    """Digits among dates are taken only as yyyymmdd, which ISO 8601 has as well."""
    days = pc.match_substring_regex(texts, r"^\d{8}$").to_numpy(zero_copy_only=False)
    if not days[number].all():
        odd = number != number[0]
        _refuse(odd, texts, name, at, "is in another form than the rows before it")


def _arrow(texts: pa.Array, zone: str | None, name: str, at: At) -> np.ndarray | None:
    """Instants of the usual ISO forms; None where a text has another form."""
    try:  # by way of microseconds, in which every year of four digits fits
        instants = texts.cast(pa.timestamp("us", zone))
    except pa.ArrowInvalid:
        return None
    years = pc.year(instants).to_numpy(zero_copy_only=False)
    refuse_years(years, lambda i: repr(texts[i].as_py()), name, at)
    try:
        instants = texts.cast(pa.timestamp("ns", zone))  # with all nine digits
    except pa.ArrowInvalid:
        instants = instants.cast(pa.timestamp("ns", zone))
    return instants.to_numpy(zero_copy_only=False).astype("datetime64[ns]").astype(np.int64)


def _iso(plain: pa.Array, written: pa.Array, zone: str | None, name: str, at: At) -> np.ndarray:
    instants = _arrow(plain, zone, name, at)
    if instants is not None:
        return instants
    # Less usual ISO forms, or a bad cell: slower, but says which.
    parsed = pd.to_datetime(
        pd.Series(plain.to_pylist(), dtype="object"),
        format="ISO8601",
        errors="coerce",
        utc=zone is not None,
    )
    bad = parsed.isna().to_numpy()
    if bad.any():
        _refuse(bad, written, name, at)
    if zone is None and not isinstance(parsed.dtype, np.dtype):  # +2 instead of +02:00
        _refuse(~bad, written, name, at, "has an offset that is not written as +02:00")
    refuse_years(parsed.dt.year.to_numpy(), lambda i: repr(written[i].as_py()), name, at)
    naive = parsed.dt.tz_localize(None) if zone else parsed
    return naive.to_numpy().astype("datetime64[ns]").astype(np.int64)


def _refuse(bad: np.ndarray, written: pa.Array, name: str, at: At, why: str = "") -> NoReturn:
    cell = shortened(written[int(np.argmax(bad))].as_py())
    if not why and SHORT_YEAR.fullmatch(cell):
        why = "has a year of two digits"
    raise UserError(
        f"{at(bad)}: {cell!r} in column {name!r} {why or 'is not a date'}; write ISO 8601 such as "
        f"{FORMS}"
    )


def _as_iso(texts: pa.Array, name: str, at: At) -> tuple[pa.Array, str | None]:
    """Writes dates with slashes or points, and 12-hour clocks, as ISO 8601; others stay.

    Day before month or month before day is read only where the texts themselves show which.
    """
    spread = pc.replace_substring_regex(texts, COMPACT, r"\1-\2-\3\4")
    parts = pc.extract_regex(spread, PARTS)

    def part(key: str) -> pa.Array:
        return pc.fill_null(pc.struct_field(parts, key), "")

    a, b, c = part("a"), part("b"), part("c")
    one_mark = pc.equal(part("sep"), part("again"))
    long_a, long_c = pc.equal(pc.utf8_length(a), 4), pc.equal(pc.utf8_length(c), 4)
    short_a, short_c = pc.less(pc.utf8_length(a), 3), pc.less(pc.utf8_length(c), 3)
    year_last = pc.and_(one_mark, pc.and_(short_a, long_c))
    known = pc.and_(
        pc.is_valid(parts), pc.and_(one_mark, pc.or_(year_last, pc.and_(long_a, short_c)))
    )
    last = pc.and_(pc.is_valid(parts), year_last).to_numpy(zero_copy_only=False)
    day_first, read_as = True, None
    if last.any() and not last.all():  # a spreadsheet that turned some dates around, and not others
        _refuse(last != last[0], texts, name, at, "is in another form than the rows before it")
    if last.any():
        day_first, read_as = _order(a, b, part("sep"), texts, name, at)
    if last.any():
        year, month, day = (c, b, a) if day_first else (c, a, b)
    else:
        year, month, day = a, b, c
    date = pc.binary_join_element_wise(
        year, pc.utf8_lpad(month, 2, "0"), pc.utf8_lpad(day, 2, "0"), "-"
    )
    clock, possible = _clock(part("hour"), part("minute"), part("second"), part("half"))
    rest = pc.replace_substring(part("rest"), ",", ".")
    zone = pc.utf8_trim_whitespace(part("zone"))
    zone = pc.if_else(pc.equal(zone, "z"), "Z", zone)
    iso = pc.binary_join_element_wise(date, clock, rest, zone, "")
    return pc.if_else(pc.and_(known, possible), iso, spread), read_as


def _clock(
    hour: pa.Array, minute: pa.Array, second: pa.Array, half: pa.Array
) -> tuple[pa.Array, pa.Array]:
    """Returns the time of day, ` 14:30:00` or empty, and whether there is such an hour."""
    none, twelve = pc.equal(hour, ""), pc.not_equal(half, "")
    number = pc.if_else(none, "0", hour).cast(pa.int64())
    possible = pc.or_(pc.invert(twelve), pc.and_(pc.greater(number, 0), pc.less(number, 13)))
    late = pc.equal(pc.utf8_lower(half), "p")
    on_the_hour = pc.if_else(pc.equal(number, 12), 0, number)
    number = pc.if_else(twelve, pc.add(on_the_hour, pc.if_else(late, 12, 0)), number)
    minute = pc.if_else(pc.equal(minute, ""), "00", minute)
    second = pc.if_else(pc.equal(second, ""), "00", second)
    hour = pc.utf8_lpad(number.cast(pa.string()), 2, "0")
    text = pc.binary_join_element_wise(hour, minute, second, ":")
    return pc.if_else(none, "", pc.binary_join_element_wise("", text, " ")), possible


def _order(
    a: pa.Array, b: pa.Array, mark: pa.Array, texts: pa.Array, name: str, at: At
) -> tuple[bool, str]:
    """Whether dates with the year at the end begin with the day, and how that was found."""
    day_first = a.cast(pa.int64()).to_numpy() > 12
    month_first = b.cast(pa.int64()).to_numpy() > 12
    if day_first.any() and month_first.any():
        odd = day_first if not day_first[np.argmax(day_first | month_first)] else month_first
        _refuse(odd, texts, name, at, "has day and month in another order than rows before it")
    if month_first.any():
        return False, "month first, then day (a second number above 12 shows it)"
    if day_first.any():
        return True, "day first, then month (a first number above 12 shows it)"
    if pc.all(pc.equal(mark, ".")).as_py():
        return True, "day first, then month, as dates with points are written"
    everywhere = np.ones(len(texts), bool)
    _refuse(everywhere, texts, name, at, "may have the day or the month first (none is above 12)")


def _named_zone(
    texts: pa.Array, written: pa.Array, name: str, at: At
) -> tuple[pa.Array, str | None]:
    """Takes the name of one zone off the texts."""
    parts = pc.extract_regex(texts, NAMED_ZONE)
    zones = pc.struct_field(parts, "zone")
    has = pc.is_valid(zones).to_numpy(zero_copy_only=False)
    has &= ~pc.is_in(pc.utf8_upper(zones), value_set=NO_ZONE).to_numpy(zero_copy_only=False)
    if not has.any():
        return texts, None
    zone = zones[int(np.argmax(has))].as_py()
    same = pc.fill_null(pc.equal(zones, zone), False).to_numpy(zero_copy_only=False)
    if not same.all():
        _refuse(same != same[0], written, name, at, "has another time zone than the rows before it")
    try:
        if "/" not in zone:
            raise ZoneInfoNotFoundError(zone)
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        _refuse(has, written, name, at, f"ends in {zone!r}, which names no one time zone")
    return pc.struct_field(parts, "time"), zone


def _localised(local: np.ndarray, zone: str, name: str, at: At) -> np.ndarray:
    index = pd.DatetimeIndex(local.astype("datetime64[ns]"))
    moved = index.tz_localize(zone, ambiguous="NaT", nonexistent="NaT")
    bad = np.asarray(moved.isna())
    if bad.any():
        raise UserError(
            f"{at(bad)}: {index[int(np.argmax(bad))]} in column {name!r} occurs twice or never in "
            f"{zone} (summer time begins or ends); write UTC or offsets"
        )
    instants = moved.tz_convert("UTC").tz_localize(None).to_numpy()
    return dates_if_midnight(instants.astype("datetime64[ns]").astype(np.int64), local)


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
