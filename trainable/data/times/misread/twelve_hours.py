"""A 12-hour clock whose AM and PM were lost: 12:59 is followed by 01:00 on the same day."""

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.times.years import Where

HOUR = 3_600 * 10**9  # nanoseconds
DAY = 24 * HOUR
BACK = 6 * HOUR  # a step back by less is no afternoon: 12 hours later, it would be a long pause
PAUSE = 2 * HOUR  # between the last time of the afternoon and the first of the morning
MOST_DAYS = 0.5  # share of the days of several bars that show it
ENOUGH_TIMES = 6  # times of the day, from which on their set alone can show it
ASK = "a 12-hour clock without AM/PM? write the hours as 0 to 23"


def refuse_twelve_hours(
    values: np.ndarray, index: np.ndarray, codes: np.ndarray, at: Where
) -> None:
    """Raises `UserError` where times are those of a 12-hour clock without AM and PM.

    No time is later than 12:59 or, where 12 was read as 0, than 11:59; and either the rows of most
    days run back once in the order of the file, from noon to the afternoon, or the times of the day
    leave a pause in the morning and reach both ends of the clock.

    Args:
        values: [T] datetime64[ns], the distinct times, increasing.
        index: [R] int64, position in `values` by row.
        codes: [R] int64, symbol by row.
        at: gives file and row of a 0-based row.
    """
    stamps = values.astype("datetime64[ns]").astype(np.int64)
    clock = stamps % DAY
    if not (clock.max() < 12 * HOUR or (clock.min() >= HOUR and clock.max() < 13 * HOUR)):
        return
    order = np.argsort(codes, kind="stable")
    row = _first_step_back(stamps[index[order]], codes[order])
    if row is not None:
        before, after = int(order[row - 1]), int(order[row])
        times = [_clock(int(clock[index[i]])) for i in (before, after)]
        run = "back" if times[1] < times[0] else "on"
        raise UserError(
            f"{at(after)}: times run {run} from {times[0]} to {times[1]} on each day: {ASK}"
        )
    if (found := _pause(np.unique(clock))) is not None:
        first, last, until, since = map(_clock, found)
        raise UserError(
            f"{at(0)}: times of the day reach from {first} to {until} and from {since} to {last}, "
            f"and none is later: {ASK}"
        )


def _first_step_back(stamps: np.ndarray, codes: np.ndarray) -> int | None:
    """The first row, by symbol and then as in the file, whose time runs back as at noon."""
    day = stamps // DAY
    step = np.diff(stamps)
    same = codes[1:] == codes[:-1]
    within = same & (day[1:] == day[:-1])
    if not within.any():
        return None
    pairs = codes[1:][same & ~within] * 2**32 + day[1:][same & ~within]
    if len(np.unique(pairs)) < len(pairs):
        return None  # a day's rows do not stand together: the file is in no order
    ascends = 2 * np.count_nonzero(step[within] >= 0) >= np.count_nonzero(within)
    between = step[same & ~within]
    signs = {1 if ascends else -1}
    if len(between) and np.all(between > 0):
        signs.add(1)  # two bars a day: each day's only step runs back
    for sign in signs:
        back = within & (sign * step < 0)
        if not back.any() or np.any(np.abs(step[back]) < BACK):
            continue
        days = np.unique(codes[1:][within] * 2**32 + day[1:][within])
        shown = np.unique(codes[1:][back] * 2**32 + day[1:][back])
        if len(shown) > MOST_DAYS * len(days):
            return int(np.argmax(back)) + 1
    return None


def _pause(clock: np.ndarray) -> tuple[int, int, int, int] | None:
    """First and last of the times of the day, and those around the pause between them.

    None where there are too few, no pause or several, or where the last is not followed by the
    first after 12 hours.
    """
    if len(clock) < ENOUGH_TIMES:
        return None
    steps = np.diff(clock)
    usual = int(np.median(steps))
    longest = int(np.argmax(steps))
    others = np.delete(steps, longest)
    goes_on = int(clock[0]) + 12 * HOUR - int(clock[-1])
    if steps[longest] < max(PAUSE, 3 * usual) or others.max() > 2 * usual or goes_on > usual:
        return None
    return int(clock[0]), int(clock[-1]), int(clock[longest]), int(clock[longest + 1])


def _clock(passed: int) -> str:
    return f"{passed // HOUR:02d}:{passed // (60 * 10**9) % 60:02d}"
