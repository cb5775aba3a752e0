"""Headers of a wide table that are times, hours, weekdays, months or years: no symbols.

A table of date × hour holds several bars of one symbol in a row. Read as symbols, the later bars of
a row would stand beside its earlier ones.
"""

import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.ingest.column_names import listed
from trainable.data.times.month_names import MONTHS

ROWS = 10  # from which the prices show whether a row goes on where the one before it ended
GOES_ON = 0.9  # |move| from a row's end to the next row, in those between the rows' beginnings
COMPARED, MOVED, SAME_PRICES = 12, 5, 0.98  # columns, rows, share of the rows that are the same
MOST_ROWS = 5_000  # in which they are compared
YEARS, NEAR_STEPS = 4, 6.0  # columns, and usual moves between the end of one and the next one
CLOCK = re.compile(
    r"(?i)(t|h|at)?\d{1,2}[:h]\d\d([:.]\d\d)*( ?[ap]\.?m\.?)?|\d{1,2} ?[ap]\.?m\.?|"
    r"\d{1,2}([:.h]\d\d)? ?[-–—/~] ?\d{1,2}([:.h]\d\d)?|\d{1,2} ?(uhr|hrs?|hours?)|"
    r"(hour|hours|hr|stunde|hora|heure|uur|hour ?ending|hour ?beginning)[ _.-]?\d{1,2}"
)
SPAN = re.compile(r"(?i)(\d{1,2})(?:[:.h](\d\d))? ?[-–—/~] ?(\d{1,2})(?:[:.h](\d\d))?")
NUMBERED = re.compile(
    r"(?i)(?:(he|hb|h|qh|mtu|period|bar|slot|interval|session|day)[ _.-]?)?(\d{1,6})(\.\d\d?|h)?"
)
YEAR = re.compile(r"(?i)(?:y|fy|cy|year)?[ _.-]?((?:19|20)\d\d)(?:\.0)?")
SUMMARY = re.compile(
    r"(?i)avg\.?|average|mean|min|max|base|baseload|peak|peakload|off-?peak|total|sum|week|settle"
)  # of the columns beside it
IN_ORDER = {
    "days of the week": tuple(
        day
        for short, rest in zip(
            ("mon", "tue", "wed", "thu", "fri", "sat", "sun"),
            ("day", "sday", "nesday", "rsday", "day", "urday", "day"),
            strict=True,
        )
        for day in (short, short + rest)
    ),
    "months": tuple(
        month
        for short, rest in zip(
            MONTHS,
            ("uary", "ruary", "ch", "il", "", "e", "y", "ust", "tember", "ober", "ember", "ember"),
            strict=True,
        )
        for month in (short, short + rest)
    ),
    "quarters": ("q1", "q2", "q3", "q4"),
    "parts of a day": ("pre", "open", "am", "morning", "day", "noon", "pm", "afternoon", "close",
                       "evening", "post", "night"),
}  # fmt: skip


def refuse_times_as_names(
    names: Sequence[str], columns: Sequence[np.ndarray] | None, file: str
) -> None:
    """Raises `UserError` where the columns of a wide table are called like times.

    Clock times and numbered hours are no symbols. Plain numbers and words may be (7203, MON, AM):
    they are refused where the prices show that each row goes on where the one before it ended.

    Args:
        names: of the columns that would be symbols, as written.
        columns: [R] their prices; None: only the names count.
        file: what errors call the source.
    """
    clocks = [name for name in names if _is_clock(name)]
    if len(clocks) >= 2 and 2 * len(clocks) >= len(names):
        raise UserError(
            f"{file}: the columns {listed(clocks)} are times of the day, no symbols: a row holds "
            f"several bars; {_ADVICE}"
        )
    if columns is None or len(names) < 2:
        return
    _refuse_moved_rows(names, columns, file)
    parts = [i for i, name in enumerate(names) if not SUMMARY.fullmatch(name.strip())]
    what, order = _doubtful([names[i] for i in parts]) if len(parts) > 1 else ("", None)
    if order is not None and _goes_on([columns[parts[i]] for i in order]):
        raise UserError(
            f"{file}: the columns {listed(names)} look like {what}, no symbols: each row goes on "
            f"where the one before it ends, so that a row holds several bars; {_ADVICE}"
        )
    if (order := _years(names)) and _years_go_on([columns[i] for i in order]):
        raise UserError(
            f"{file}: the columns {listed(names)} are years, no symbols: each goes on where the "
            f"one before it ends; {_ADVICE}"
        )


_ADVICE = (
    "write a row per bar, with its whole time in one column 'timestamp' (2024-01-31 09:30) and its "
    "price in 'close'"
)


def _refuse_moved_rows(names: Sequence[str], columns: Sequence[np.ndarray], file: str) -> None:
    """Refuses a column that holds the prices of another one some rows earlier or later."""
    few = range(min(len(names), COMPARED))
    for a, b in ((a, b) for a in few for b in few if a != b):
        for rows in range(1, MOVED + 1):
            left, right = columns[a][rows:MOST_ROWS], columns[b][: MOST_ROWS - rows]
            right = right[: len(left)]
            known = np.isfinite(left) & np.isfinite(right)
            moved = np.diff(left[known]) != 0
            same = (left[known] == right[known])[1:]
            if np.count_nonzero(moved) >= ROWS and np.mean(same[moved]) > SAME_PRICES:
                raise UserError(
                    f"{file}: {names[b]!r} holds the prices of {names[a]!r} moved by "
                    f"{counted(rows, 'row')}: these are columns of one symbol; keep the close "
                    "alone and call it 'close'"
                )


def _is_clock(name: str) -> bool:
    """Whether a name is a time of the day, an hour with its word, or a span of hours."""
    name = name.strip()
    if span := SPAN.fullmatch(name):
        begin, end = int(span[1]), int(span[3])
        longest = 12 if span[2] or span[4] else 1  # 2-10 may be a spread of yields
        return begin <= 24 and end <= 24 and (end - begin) % 24 <= longest
    if CLOCK.fullmatch(name) is None:
        return False
    hour = int(next(iter(re.findall(r"\d+", name))))
    return hour <= 25


def _doubtful(names: Sequence[str]) -> tuple[str, list[int] | None]:
    """What names may be besides symbols, and their order in time; None: nothing."""
    begin = re.split(r"[ _.-]", names[0].strip())[0]
    ends = [name.strip()[len(begin) :].strip(" _.-") for name in names]
    if all(ends) and all(name.strip().startswith(begin) for name in names):
        names = ends  # Price H1, Price H2
    words = [name.strip().casefold().rstrip(".") for name in names]
    for what, known in IN_ORDER.items():
        if all(word in known for word in words):
            return what, sorted(range(len(words)), key=lambda i: known.index(words[i]))
    found = [NUMBERED.fullmatch(name.strip()) for name in names]
    if any(match is None for match in found):
        return "", None
    matches = [match for match in found if match is not None]
    numbers = np.array([float(match[2] + (match[3] or "").rstrip("hH")) for match in matches])
    order = [int(i) for i in np.argsort(numbers, kind="stable")]
    if len({(match[1] or "").casefold() for match in matches}) > 1 or not _evenly(numbers[order]):
        return "", None
    return "times of the day or numbers of bars", order


def _evenly(numbers: np.ndarray) -> bool:
    """Whether ordered numbers, or the minutes of hhmm, are evenly spaced for the most part."""
    hundreds = numbers // 100 * 60 + numbers % 100
    dotted = np.floor(numbers) * 60 + np.round(numbers % 1 * 100)
    for values in (numbers, hundreds, dotted, numbers // 10_000 * 3600 + numbers // 100 % 100 * 60):
        steps = np.diff(values)
        if (
            np.all(steps > 0)
            and np.median(steps) == steps.min()
            and not np.any(steps % steps.min())
        ):
            return True
    return False


def _goes_on(columns: Sequence[np.ndarray]) -> bool:
    """Whether rows [R] of columns in order of time continue each other, down or up the file."""
    first, last = columns[0], columns[-1]
    for begin, end in ((first, last), (first[::-1], last[::-1])):
        known = np.isfinite(begin[1:]) & np.isfinite(begin[:-1]) & np.isfinite(end[:-1])
        if np.count_nonzero(known) < ROWS:
            return False
        now, before, ended = (np.log(part[known]) for part in (begin[1:], begin[:-1], end[:-1]))
        if np.median(np.abs(now - ended)) < GOES_ON * np.median(np.abs(now - before)):
            return True
    return False


def _years(names: Sequence[str]) -> list[int] | None:
    """The order of names that are years one after the other; None: they are none."""
    found = [YEAR.fullmatch(name.strip()) for name in names]
    if len(names) < YEARS or any(match is None for match in found):
        return None
    years = [int(match[1]) for match in found if match is not None]
    if sorted(years) != list(range(min(years), min(years) + len(years))):
        return None
    return sorted(range(len(years)), key=years.__getitem__)


def _years_go_on(columns: Sequence[np.ndarray]) -> bool:
    """Whether each column begins near the price at which the one before it ended."""
    logs = [np.log(column[np.isfinite(column)]) for column in columns]
    if min(map(len, logs)) < ROWS:
        return False
    usual = float(np.median([np.median(np.abs(np.diff(log))) for log in logs]))
    for turned in (logs, [log[::-1] for log in logs]):
        steps = [abs(b[0] - a[-1]) for a, b in pairwise(turned)]
        if np.median(steps) < NEAR_STEPS * usual:
            return True
    return False
