"""Dates with the month in words, quarters and numbered months → ISO 8601 texts."""

# pyright: reportAttributeAccessIssue=false
# pyarrow.compute makes its functions when it is imported, where pyright cannot see them.

import pyarrow as pa
import pyarrow.compute as pc

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|"
    r"Sep(?:t|tember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:Mon|Tue|Tues|Wed|Wednes|Thu|Thur|Thurs|Fri|Sat|Satur|Sun)(?:day)?\.?,? +)?"
_DAY = r"(?P<day>\d{1,2})"
_REST = r"(?P<rest>(?:[T ,:]+\d{1,2}[:h].*)?)$"
DAYS = (
    rf"(?i)^{_WEEKDAY}{_DAY}[-/ .]*{_MONTH}[-/ .,]*(?P<year>\d{{4}}){_REST}",
    rf"(?i)^{_WEEKDAY}{_MONTH}[-/ ]*{_DAY}(?:st|nd|rd|th)?,? +(?P<year>\d{{4}}){_REST}",
    rf"(?i)^{_WEEKDAY}(?P<year>\d{{4}})[-/ ]*{_MONTH}[-/ ]*{_DAY}{_REST}",
)
MONTH_OF_YEAR = (
    rf"(?i)^{_MONTH}[-/ ,]*(?P<year>\d{{4}})$",
    rf"(?i)^(?P<year>\d{{4}})[-/ ]*{_MONTH}$",
)
NUMBERED = r"(?i)^(?P<year>\d{4})[-/ ]?M(?P<month>0?[1-9]|1[0-2])$"
QUARTERS = (
    r"(?i)^(?P<year>\d{4})[-/ :]?Q(?P<quarter>[1-4])$",
    r"(?i)^Q(?P<quarter>[1-4])[-/ ]?(?P<year>\d{4})$",
)
FIRST_DAY = "months, by their first day"


def in_digits(texts: pa.Array) -> tuple[pa.Array, str | None]:
    """Writes `02-Jan-2020`, `Mar 18, 2026`, `1990M01` and `1940-Q1` as ISO 8601.

    Args:
        texts: distinct texts, trimmed.

    Returns:
        The texts, as they were where not all have one of these forms; and how they were read,
        where that is not plain.
    """
    for pattern in DAYS:
        if (parts := _parts(texts, pattern)) is not None:
            day = pc.utf8_lpad(pc.struct_field(parts, "day"), 2, "0")
            date = _joined(pc.struct_field(parts, "year"), _month(parts), day)
            rest = pc.utf8_ltrim(pc.struct_field(parts, "rest"), " ,:Tt")
            time = pc.if_else(pc.equal(rest, ""), "", pc.binary_join_element_wise("", rest, " "))
            return pc.binary_join_element_wise(date, time, ""), None
    for pattern in MONTH_OF_YEAR:
        if (parts := _parts(texts, pattern)) is not None:
            return _joined(pc.struct_field(parts, "year"), _month(parts), "01"), FIRST_DAY
    if (parts := _parts(texts, NUMBERED)) is not None:
        month = pc.utf8_lpad(pc.struct_field(parts, "month"), 2, "0")
        return _joined(pc.struct_field(parts, "year"), month, "01"), FIRST_DAY
    for pattern in QUARTERS:
        if (parts := _parts(texts, pattern)) is not None:
            quarter = pc.struct_field(parts, "quarter").cast(pa.int64())
            month = pc.subtract(pc.multiply(quarter, 3), 2).cast(pa.string())
            month = pc.utf8_lpad(month, 2, "0")
            return _joined(
                pc.struct_field(parts, "year"), month, "01"
            ), "quarters, by their first day"
    return texts, None


def _parts(texts: pa.Array, pattern: str) -> pa.Array | None:
    if not pc.match_substring_regex(texts[:1], pattern)[0].as_py():
        return None
    parts = pc.extract_regex(texts, pattern)
    return None if parts.null_count else parts


def _month(parts: pa.Array) -> pa.Array:
    """The two digits of a month's name."""
    begin = pc.utf8_slice_codeunits(pc.utf8_lower(pc.struct_field(parts, "month")), 0, 3)
    number = pc.add(pc.index_in(begin, value_set=pa.array(MONTHS)), 1)
    return pc.utf8_lpad(number.cast(pa.string()), 2, "0")


def _joined(year: pa.Array, month: pa.Array, day: pa.Array | str) -> pa.Array:
    return pc.binary_join_element_wise(year, month, day, "-")
