"""Numbers in the time column → instants: epochs of any unit and calendar digits.

The unit of an epoch follows from its magnitude: between 1971 and next year the seconds, milli-,
micro- and nanoseconds do not overlap. Everything else that counts time (Excel's days, Julian days,
fractional years …) is named and refused.
"""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from trainable.cli.errors import UserError
from trainable.data.times.misread.origins import refuse_odd_weeks, refuse_other_units
from trainable.data.times.short_years import short_year_forms
from trainable.data.times.years import FIRST_YEAR, At, last_year, refuse_years, shortened

NUMBER = r"^[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?$"

DAY = 86_400  # seconds
YEAR = 365 * DAY  # seconds: an epoch within a year of 1970 does not show its unit
UNITS = ("s", "ms", "µs", "ns")
MAX_STEP = (
    400 * DAY
)  # seconds between bars, within which an epoch near 1970 takes the column's unit

LONG = 30 * DAY  # seconds: the shortest span of epochs around 1970 whose unit is certain

# Calendar digits: number of digits → (name, years in which they look like no epoch).
CALENDAR = {
    4: ("yyyy", 1900, 2999),
    6: ("yyyymm", 1000, 9999),
    8: ("yyyymmdd", 1000, 9999),
    10: ("yyyymmddhh", 1900, 2999),
    12: ("yyyymmddhhmm", 1900, 2999),
    14: ("yyyymmddhhmmss", 1000, 9999),
    17: ("yyyymmddhhmmssfff", 1000, 2999),
}
FLOAT32_WHOLE = 2**24  # float32 holds all whole numbers up to here


@dataclass(frozen=True)
class Numbers:
    """Distinct numbers, exactly: `whole` + `nano` · 1e-9.

    Attributes:
        whole: [U] int64, rounded down.
        nano: [U] int64, 0 … 999,999,999.
        texts: [U] as written, for errors.
    """

    whole: np.ndarray
    nano: np.ndarray
    texts: pa.Array

    def written(self, index: int) -> str:
        """Returns one number as the file has it."""
        return str(self.texts[index].as_py())


def numbers_of(distinct: pa.Array, name: str, at: At) -> Numbers:
    """Takes integers, floats or decimals [U] as numbers.

    Raises:
        UserError: an empty cell, or a number that its type cannot hold exactly.
    """
    kind = distinct.type
    if pa.types.is_decimal(kind):
        return numbers_of_text(distinct.cast(pa.string()), name, at)
    if pa.types.is_integer(kind):
        values = distinct.to_numpy(zero_copy_only=False)
        _refuse_huge(values > np.iinfo(np.int64).max, distinct, name, at)
        return Numbers(values.astype(np.int64), np.zeros(len(values), np.int64), distinct)
    values = distinct.to_numpy(zero_copy_only=False).astype(np.float64)
    if np.isnan(values).any():
        raise UserError(
            f"{at(np.isnan(values))}: the {name!r} cell is empty; every bar needs its timestamp"
        )
    _refuse_huge(np.abs(values) > 2.0**62, distinct, name, at)
    if not pa.types.is_float64(kind) and (rounded := np.abs(values) > FLOAT32_WHOLE).any():
        raise UserError(
            f"{at(rounded)}: column {name!r} holds {kind}, which rounds times; store them as int64"
        )
    whole = np.floor(values)
    micro = np.rint((values - whole) * 1e6).astype(np.int64)  # a float of seconds holds no more
    integer = whole.astype(np.int64)
    large = np.abs(values) > 1e17  # nanoseconds: a float has them to a few hundred
    integer[large] = (integer[large] + 500) // 1000 * 1000
    return Numbers(integer + micro // 10**6, micro % 10**6 * 1000, distinct)


def numbers_of_text(texts: pa.Array, name: str, at: At) -> Numbers:
    """Takes texts [U] that all match `NUMBER` as numbers.

    Raises:
        UserError: scientific notation that left out digits, or more digits than a time has.
    """
    plain = _without_exponent(texts, name, at)
    parts = pc.extract_regex(plain, r"^(?P<sign>[+-]?)0*(?P<whole>\d+)\.?(?P<rest>\d*)$")
    whole = pc.struct_field(parts, "whole")
    length = pc.utf8_length(whole).to_numpy(zero_copy_only=False)
    _refuse_huge(length > 18 + (length == 19), texts, name, at)
    rest = pc.utf8_slice_codeunits(pc.utf8_rpad(pc.struct_field(parts, "rest"), 9, "0"), 0, 9)
    try:
        size = whole.cast(pa.int64()).to_numpy(zero_copy_only=False)
    except pa.ArrowInvalid:  # 19 digits beyond 64 bits
        size = np.array([float(text) for text in whole.to_pylist()])
        _refuse_huge(size >= 2.0**63, texts, name, at)
        raise
    nano = rest.cast(pa.int64()).to_numpy(zero_copy_only=False)
    minus = pc.equal(pc.struct_field(parts, "sign"), "-").to_numpy(zero_copy_only=False)
    down = np.where(minus, -size - (nano > 0), size)
    return Numbers(down, np.where(minus & (nano > 0), 10**9 - nano, nano), texts)


def instants_of(numbers: Numbers, name: str, at: At) -> tuple[np.ndarray, str]:
    """Returns instants [U] int64 in nanoseconds, and how the numbers were read.

    Raises:
        UserError: numbers that are no times, could be several, or are of several kinds.
    """
    digits = _calendar_digits(numbers)
    calendar, counts = np.unique(digits[digits > 0], return_counts=True)
    unit = _units(numbers.whole)
    if len(calendar) == 1 and counts[0] == len(digits):
        return _from_calendar(numbers, int(calendar[0]), name, at)
    if forms := short_year_forms(numbers.whole):
        raise UserError(
            f"{at(np.ones(len(digits), bool))}: {numbers.written(0)} in column {name!r} is a date "
            f"with its year in two digits or at the end ({' or '.join(forms)}); write "
            "2019-01-31 09:30 or 201901310930"
        )
    half_calendar = len(calendar) > 0 and 2 * counts.max() >= len(digits)
    if not half_calendar:
        unit = _near_1970(numbers, unit, digits)
        if np.any(unit < 0) and (one := _one_unit(numbers)) is not None:
            unit = np.full(len(unit), one)
        if np.all(unit >= 0):
            return _from_epochs(numbers, unit, name, at)
    raise UserError(_refusal(numbers, digits, unit, name, at))


def _without_exponent(texts: pa.Array, name: str, at: At) -> pa.Array:
    scientific = pc.match_substring_regex(texts, "[eE]").to_numpy(zero_copy_only=False)
    if not scientific.any():
        return texts
    written = texts.to_pylist()
    for i in np.flatnonzero(scientific):
        mantissa, _, exponent = written[i].lower().partition("e")
        decimals = len(mantissa.partition(".")[2])
        if int(exponent) > decimals or int(exponent) < -9:
            mask = np.zeros(len(texts), bool)
            mask[i] = True
            raise UserError(
                f"{at(mask)}: {written[i]!r} in column {name!r} is in scientific notation, which "
                "leaves out digits of a time; write whole numbers such as 1546300800, or dates"
            )
        written[i] = f"{Decimal(written[i]):f}"
    return pa.array(written, pa.string())


def _refuse_huge(huge: np.ndarray, texts: pa.Array, name: str, at: At) -> None:
    if huge.any():
        cell = shortened(str(texts[int(np.argmax(huge))].as_py()))
        raise UserError(f"{at(huge)}: {cell} in column {name!r} is too large for a time")


def _fields(whole: np.ndarray, digits: int) -> tuple[np.ndarray, ...]:
    """Splits calendar digits [U] into year, month, day, hour, minute, second, millisecond."""
    rest = whole * 10 ** (17 - digits)
    parts: list[np.ndarray] = []
    for size in (1000, 100, 100, 100, 100, 100):
        parts.insert(0, rest % size)
        rest = rest // size
    month, day, *time = parts
    one = np.ones_like(whole)
    return rest, month if digits >= 6 else one, day if digits >= 8 else one, *time


def _calendar_digits(numbers: Numbers) -> np.ndarray:
    """[U] number of digits where they are a valid date, else 0."""
    whole = numbers.whole
    found = np.zeros(len(whole), np.int64)
    for digits, (_, first, last) in CALENDAR.items():
        fits = (numbers.nano == 0) & (whole >= 10 ** (digits - 1)) & (whole < 10**digits)
        where = np.flatnonzero(fits)
        year, month, day, hour, minute, second, _ = _fields(whole[where], digits)
        good = (year >= first) & (year <= last) & (month >= 1) & (month <= 12)
        good &= (day >= 1) & (day <= _days_in(year, np.clip(month, 1, 12)))
        good &= (hour < 24) & (minute < 60) & (second < 60)
        found[where[good]] = digits
    return found


def _days_in(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    start = _month(year, month)
    return ((start + 1).astype("datetime64[D]") - start.astype("datetime64[D]")).astype(np.int64)


def _month(year: np.ndarray, month: np.ndarray) -> np.ndarray:
    return ((year - 1970) * 12 + month - 1).astype("datetime64[M]")


def _from_calendar(numbers: Numbers, digits: int, name: str, at: At) -> tuple[np.ndarray, str]:
    if digits == 6:
        _refuse_two_digit_years(numbers, name, at)
    year, month, day, hour, minute, second, milli = _fields(numbers.whole, digits)
    refuse_years(year, numbers.written, name, at)
    days = _month(year, month).astype("datetime64[D]").astype(np.int64) + day - 1
    seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
    return seconds * 10**9 + milli * 10**6, f"digits {CALENDAR[digits][0]}"


def _refuse_two_digit_years(numbers: Numbers, name: str, at: At) -> None:
    """Refuses six digits that are months (yyyymm) and just as well days (yymmdd).

    Months that follow each other without a gap are months: days would reach beyond the 12th.
    """
    year, month, day = numbers.whole // 10_000, numbers.whole // 100 % 100, numbers.whole % 100
    real = (month >= 1) & (month <= 12)
    real &= day <= _days_in(2000 + year, np.clip(month, 1, 12))
    months = np.unique(numbers.whole // 100 * 12 + numbers.whole % 100)
    follow = len(months) > 2 and np.median(np.diff(months)) == 1
    if real.all() and not follow:
        text = numbers.written(0)
        raise UserError(
            f"{at(real)}: {text} in column {name!r} may be a month (yyyymm) or a day (yymmdd); "
            "write yyyymmdd or ISO 8601"
        )


def _units(whole: np.ndarray) -> np.ndarray:
    """[U] index into `UNITS` where the magnitude shows it, else -1."""
    first, end = _seconds(FIRST_YEAR), _seconds(last_year() + 1)
    unit = np.full(len(whole), -1)
    for k in range(len(UNITS)):
        scale = 1000**k
        after = (whole >= YEAR * scale) & (whole < end * scale)
        before = (whole <= -YEAR * scale) & (whole >= first * scale)
        unit[after | before] = k
    return unit


def _seconds(year: int) -> int:
    return int(np.datetime64(f"{year}-01-01", "s").astype(np.int64))


def _near_1970(numbers: Numbers, unit: np.ndarray, digits: np.ndarray) -> np.ndarray:
    """Gives epochs within a year of 1970 the unit of the column, where they continue it."""
    open_ = unit < 0
    units = np.unique(unit[~open_])
    if not open_.any() or len(units) != 1 or np.any(digits[open_] > 0):
        return unit
    scale = 1000 ** int(units[0])
    if np.any(np.abs(numbers.whole[open_]) > YEAR * scale):
        return unit
    order = np.argsort(numbers.whole, kind="stable")
    steps = np.diff(numbers.whole[order]) / scale
    touches = open_[order][1:] | open_[order][:-1]
    if np.any(steps[touches] > MAX_STEP):
        return unit
    return np.where(open_, units[0], unit)


def _one_unit(numbers: Numbers) -> int | None:
    """The one unit of a column with values within a year of 1970, which do not show it.

    It is the largest in which all lie between 1900 and next year; in a smaller one they would all
    lie within the hours around 1970. None where they are no bars of a month and longer in that
    unit, on whole minutes and without long pauses around 1970: they may as well count rows.
    """
    if numbers.nano.any():
        return None
    first, end = _seconds(FIRST_YEAR), _seconds(last_year() + 1)
    low, high = int(numbers.whole.min()), int(numbers.whole.max())
    for k in range(len(UNITS)):
        scale = 1000**k
        if low < first * scale or high >= end * scale:
            continue
        moments = np.unique(numbers.whole)
        near = np.abs(moments) < YEAR * scale
        if not near.any() or np.any(moments % (60 * scale)) or high - low < LONG * scale:
            return None
        touches = near[1:] | near[:-1]
        return k if np.all(np.diff(moments)[touches] <= MAX_STEP * scale) else None
    return None


def _from_epochs(numbers: Numbers, unit: np.ndarray, name: str, at: At) -> tuple[np.ndarray, str]:
    units = np.unique(unit)
    if len(units) == 1 and units[0] == 3:
        _refuse_ticks(numbers, name, at)
    nanoseconds = 1000 ** (3 - unit)
    instants = numbers.whole * nanoseconds + numbers.nano * nanoseconds // 10**9
    first = at(np.ones(len(instants), bool))
    refuse_odd_weeks(instants, name, first, epochs=True)
    if len(units) == 1:
        refuse_other_units(instants, numbers.written(0), UNITS[units[0]], name, first)
        return instants, f"epochs in {UNITS[units[0]]}"
    counts = ", ".join(f"{np.count_nonzero(unit == u):,} in {UNITS[u]}" for u in units)
    return instants, f"epochs of mixed units, each by its size: {counts}"


def _refuse_ticks(numbers: Numbers, name: str, at: At) -> None:
    """Refuses what may be a count of 100 ns since year 1 (.NET) or 1601 (Windows) as well."""
    for origin, what in (("0001-01-01", ".NET ticks"), ("1601-01-01", "Windows file times")):
        start = np.datetime64(origin, "s").astype(np.int64)
        low = (_seconds(FIRST_YEAR) - start) * 10**7
        high = (_seconds(last_year() + 1) - start) * 10**7
        if np.all((numbers.whole >= low) & (numbers.whole < high)):
            value = int(numbers.whole[0])
            ticks = (np.datetime64(origin, "s") + value // 10**7).astype("datetime64[D]")
            epoch = np.datetime64(value // 10**9, "s").astype("datetime64[D]")
            raise UserError(
                f"{at(np.ones(len(numbers.whole), bool))}: {value} in column {name!r} is {ticks} "
                f"in {what} and {epoch} in nanoseconds since 1970; write ISO 8601"
            )


def _refusal(numbers: Numbers, digits: np.ndarray, unit: np.ndarray, name: str, at: At) -> str:
    """Says what the numbers look like, or which row differs from the first one."""
    if order := _year_last(numbers):
        return (
            f"{at(np.ones(len(digits), bool))}: {numbers.written(0)} in column {name!r} is a date "
            f"with the year at the end ({order}); write dates as 2019-01-31 or 20190131"
        )
    kind = np.where(unit >= 0, 100 + unit, 0)
    form = int(np.bincount(digits).argmax()) if 2 * np.count_nonzero(digits) >= len(digits) else 0
    if form:
        kind = np.where(10 ** (form - 1) <= numbers.whole, kind * (numbers.whole >= 10**form), kind)
    kind = np.where(digits > 0, digits, kind)
    same = kind == kind[0]
    odd = 0 if kind[0] == 0 else int(np.argmin(same))
    mask = np.zeros(len(kind), bool)
    mask[odd] = True
    if kind[odd]:
        reading = f"is {_named(kind[odd])}"
    elif form and 10 ** (form - 1) <= numbers.whole[odd] < 10**form:
        reading = f"is no valid date ({CALENDAR[form][0]})"
    else:
        reading = _looks_like(numbers, odd)
    text = f"{at(mask)}: {numbers.written(odd)} in column {name!r} {reading}"
    if odd:
        text += f"; the first row, {numbers.written(0)}, is {_named(kind[0])}: use one form"
    return text


def _year_last(numbers: Numbers) -> str | None:
    """`ddmmyyyy`, `mmddyyyy` or both, where all numbers are such dates; None: they are not."""
    whole = numbers.whole
    padded = numbers.written(0).startswith("0")
    if numbers.nano.any() or (whole.max() < 10**7 and not padded):
        return None  # seven digits are a year and a day of the year
    year, first, second = whole % 10_000, whole // 10**6, whole // 10**4 % 100
    if not np.all((year >= FIRST_YEAR) & (year <= last_year()) & (first >= 1) & (second >= 1)):
        return None
    found = []
    for order, day, month in (("ddmmyyyy", first, second), ("mmddyyyy", second, first)):
        if np.all(month <= 12) and np.all(day <= _days_in(year, np.clip(month, 1, 12))):
            found.append(order)
    return " or ".join(found) or None


def _named(kind: int) -> str:
    if kind >= 100:
        return f"an epoch in {UNITS[kind - 100]}"
    return f"a date in digits ({CALENDAR[int(kind)][0]})"


def _looks_like(numbers: Numbers, index: int) -> str:
    """Describes what a number that is neither digits of a date nor an epoch may count."""
    value = float(numbers.whole[index]) + float(numbers.nano[index]) * 1e-9
    last = last_year()

    def day(origin: str, offset: float = 0.0) -> str | None:
        found = np.datetime64(origin, "D") + int(np.floor(value - offset))
        return str(found) if f"{FIRST_YEAR}" <= str(found)[:4] <= f"{last}" else None

    write = "write dates as 2019-01-31"
    if numbers.nano.any() and 1000 <= value < last + 1:
        return f"is a year with a fraction; {write}"
    whole = int(numbers.whole[index])
    if 1_000_000 <= whole < 10_000_000:
        if 1 <= whole % 1000 <= 366 and FIRST_YEAR <= whole // 1000 <= last:
            return f"is a year and a day of the year (yyyyddd); {write}"
        if found := day("1858-11-17", 2_400_000.5):
            return f"is a Julian day ({found}); {write}"
    six = numbers.written(index).isdigit() and len(numbers.written(index)) == 6
    if 0 <= value < 20 * 365 and not six:
        return f"is no date: a row number, or days since some start; {write}"
    if 0 <= value < 100_000 and not six:
        excel, unix = day("1899-12-30"), day("1970-01-01")
        if excel and not unix:
            return (
                f"is a serial day of Excel ({excel}): format the column as a date and save "
                "it again, or convert it with pandas.to_datetime(column, unit='D', "
                "origin='1899-12-30')"
            )
        if excel and unix:
            return f"counts days ({excel} in Excel, {unix} since 1970); {write}"
        if found := day("1858-11-17"):
            return f"is a modified Julian day ({found}); {write}"
    if 100_000 <= value < 1_000_000 and (found := day("0001-01-01", 367.0)):
        python = day("0001-01-01", 1.0)
        return f"counts days since the first year ({found} in MATLAB, {python} in Python); {write}"
    if 100_000 <= whole < 1_000_000 or six:
        return f"has six digits but is no month (yyyymm); of days with two-digit years, {write}"
    for k, unit in enumerate(UNITS):
        seconds = whole // 1000**k
        if YEAR <= abs(seconds) < 1000 * YEAR:
            year = np.datetime64(seconds, "s").astype("datetime64[Y]")
            return (
                f"is in the year {year} as an epoch in {unit}; bars lie between {FIRST_YEAR} and "
                f"{last}: correct or remove it"
            )
    return (
        f"is no date: neither digits such as 20190131 nor an epoch between {FIRST_YEAR} and {last}"
    )
