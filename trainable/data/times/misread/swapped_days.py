"""Dates whose month and day a spreadsheet swapped, those up to the 12th of a month alone.

Read in the other order of its language, 05/02/2020 becomes the second of May; 13/02/2020 stays.
"""

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.times.years import Where

DAY = 86_400 * 10**9  # nanoseconds
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
TWELFTH = 12
ENOUGH = 15  # dates on days of the week that no later date of a month has
ENOUGH_LATER = 60  # dates after the 12th, which show the days of the week that have bars
SELDOM = 0.02  # of the dates after the 12th: a day of the week without bars but for exceptions
DISORDER = 5  # rows that lie before the one above, and none once month and day are swapped back


def refuse_swapped_days(
    values: np.ndarray, index: np.ndarray, codes: np.ndarray, at: Where
) -> None:
    """Raises `UserError` where the month and the day of some dates were swapped.

    Either dates up to the 12th of a month, and none after it, lie on days of the week that have no
    bars otherwise; or the rows of the file are in order once month and day of all those dates are
    swapped back.

    Args:
        values: [T] datetime64[ns], the distinct times, increasing.
        index: [R] int64, position in `values` by row.
        codes: [R] int64, symbol by row.
        at: gives file and row of a 0-based row.
    """
    days = values.astype("datetime64[D]")
    swapped = _swapped(days)
    moved = swapped != days
    if not moved.any():
        return
    off = _on_closed_days(days, swapped)
    if np.count_nonzero(off) >= ENOUGH:
        row = int(np.argmax(off[index]))
        weekday = _weekday(days, int(index[row]))
        why = f"lies on a {weekday}, as only dates up to the 12th of a month do"
    else:
        if not _are_in_order(values, values + (swapped - days), index, codes):
            return
        row = int(np.argmax(moved[index]))
        why = "is out of order, as many rows are, and in order with month and day swapped"
    raise UserError(
        f"{at(row)}: {days[index[row]]} {why}: a spreadsheet swapped month and day of the dates "
        f"up to the 12th (it was {swapped[index[row]]}); export the file again with dates as "
        "2020-01-31, and do not save it from a spreadsheet"
    )


def _swapped(days: np.ndarray) -> np.ndarray:
    """[T] datetime64[D] with month and day swapped where the day is none after the 12th."""
    years, months = days.astype("datetime64[Y]"), days.astype("datetime64[M]")
    month = (months - years).astype(np.int64)
    day = (days - months).astype(np.int64)
    other = (years.astype("datetime64[M]") + day).astype("datetime64[D]") + month
    return np.where(day < TWELFTH, other, days)


def _on_closed_days(days: np.ndarray, swapped: np.ndarray) -> np.ndarray:
    """[T] bool, a date up to the 12th lies on a day of the week that has no bars after the 12th.

    None where such dates after the 12th are more than a few, or where swapping them back does not
    bring them to days of the week with bars.
    """
    none = np.zeros(len(days), bool)
    day = (days - days.astype("datetime64[M]")).astype(np.int64) + 1
    weekday = (days.astype(np.int64) + 3) % 7
    later = np.unique(days[day > TWELFTH])
    if len(later) < ENOUGH_LATER:
        return none
    bars = np.bincount((later.astype(np.int64) + 3) % 7, minlength=7)
    closed = bars <= SELDOM * len(later)
    off = (swapped != days) & closed[weekday]
    back = ~closed[(swapped[off].astype(np.int64) + 3) % 7]
    dates = len(np.unique(days[off]))
    exceptions = int(bars[closed].sum())
    return off if dates >= max(ENOUGH, 10 * exceptions) and np.mean(back) > 0.95 else none


def _are_in_order(
    values: np.ndarray, swapped: np.ndarray, index: np.ndarray, codes: np.ndarray
) -> bool:
    """Whether rows are out of order, and all in order with month and day swapped back."""
    if np.all(index[1:] >= index[:-1]):
        return False
    order = np.argsort(codes, kind="stable")
    same = codes[order][1:] == codes[order][:-1]
    stamps = values.astype(np.int64)[index[order]]
    onward = -1 if np.diff(stamps)[same].sum() < 0 else 1
    back = same & (onward * np.diff(stamps) < 0)
    if np.count_nonzero(back) < DISORDER:
        return False
    right = onward * np.diff(swapped.astype(np.int64)[index[order]])
    return bool(np.all(right[same] >= 0))


def _weekday(days: np.ndarray, index: int) -> str:
    return WEEKDAYS[(int(days.astype(np.int64)[index]) + 3) % 7]  # 1970-01-01 was a Thursday
