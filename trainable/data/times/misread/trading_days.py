"""Dates beside which the clock runs back once a day: trading days, or midnight at a day's end.

Futures exchanges date the evening with the trading day that follows it, and some files write the
end of a day's last bar as 00:00 of that day. Sorted by such times, the evening comes a day late.
"""

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.times.years import Where

MINUTE = 60 * 10**9  # nanoseconds
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEXT = DAY - 2 * HOUR  # the least from a morning to the next evening, where clocks change too
ENOUGH = 3  # such days, below which nothing can be said
SHARE = 0.1  # of the dates with several bars: evenings were not traded in all years
PLAIN = 0.8  # of all steps back within a day; fewer: its rows are in no order
MOST = 0.7  # of all steps back; fewer: the dates are in no order


def refuse_clocks_that_run_back(
    values: np.ndarray, index: np.ndarray, codes: np.ndarray, at: Where, zoned: bool = False
) -> None:
    """Raises `UserError` where the times of many days run back once, in the order of the file.

    The rows before such a step belong to the day before (a night session dated with its trading
    day), or the one after it to the next (midnight, dated with the day that it ends). Rows in any
    other order pass: those of a day in disorder or backwards, and those that were sorted as text,
    10:00 before 9:30. Files from the newest row to the oldest are read in their own direction.

    Args:
        values: [T] datetime64[ns], the distinct times, increasing.
        index: [R] int64, position in `values` by row.
        codes: [R] int64, symbol by row.
        at: gives file and row of a 0-based row.
        zoned: the source gave a zone, so that `values` do not show the clock of the file.
    """
    if len(index) < 2 * ENOUGH or np.all(index[1:] >= index[:-1]):
        return
    order = np.argsort(codes, kind="stable")
    stamps = values.astype("datetime64[ns]").astype(np.int64)[index[order]]
    symbol = codes[order]
    same = symbol[1:] == symbol[:-1]
    onward = -1 if np.diff(stamps)[same].sum() < 0 else 1  # -1: newest first
    row = _steps_back(onward * stamps, same)
    bars = np.unique(symbol * 2**32 + stamps // DAY, return_counts=True)[1]  # of each date
    if len(row) < max(ENOUGH, SHARE * np.count_nonzero(bars > 1)):
        return
    if onward < 0 and np.median(bars) <= 2:
        return  # the newest day first, and the morning before the afternoon
    before, after = stamps[row - 1], stamps[row]
    if not zoned and _is_sorted_as_text(stamps[::onward], same[::onward]):
        return
    if len(np.unique(codes * len(values) + index)) < len(codes):
        return  # bars that repeat are refused elsewhere
    words = _in_words(before[0], after[0], stamps, row, onward)
    raise UserError(f"{at(int(order[row[0]]))}: {words}")


def _steps_back(stamps: np.ndarray, same: np.ndarray) -> np.ndarray:
    """The rows of a symbol that lie up to a day before the row above them, as after an evening.

    Args:
        stamps: [R] int64, by symbol, ascending as a whole.
        same: [R - 1] bool, a row has the symbol of the row above it.

    Returns:
        Positions; none where many other rows lie before the one above as well.
    """
    step = np.diff(stamps)
    starts = np.flatnonzero(~same | (step < 0)) + 1  # of runs that ascend
    run = np.zeros(len(stamps), np.int64)
    run[starts] = 1
    run = np.cumsum(run)
    back = np.flatnonzero(same & (step < 0)) + 1
    row = back[step[back - 1] > -DAY]
    # Where the run goes on beyond the row above, a whole day has to lie between.
    second = (stamps - stamps.min()) // 10**9
    place = run * 2**32 + second
    beyond = np.searchsorted(place, run[row] * 2**32 + second[row - 1])
    end = np.append(starts, len(stamps))[run[row]]  # of each run, before dates in another order
    jumps = np.append(~same | (step <= -DAY), True)[end - 1]
    inside = beyond < len(stamps)
    inside[inside] = run[beyond[inside]] == run[row[inside]]
    jumps[inside] = stamps[beyond[inside]] - stamps[row[inside]] >= NEXT
    plain = np.count_nonzero(jumps) >= PLAIN * len(row) and len(row) >= MOST * len(back)
    return row[jumps] if plain else row[:0]


def _is_sorted_as_text(stamps: np.ndarray, same: np.ndarray) -> bool:
    """Whether the rows of each date are in the order that unpadded times have as text.

    10:00, 11:30, 20:00, 2:00, 9:30: of one digit and two, the first digits decide.
    """
    hour = stamps % DAY // HOUR
    place = np.where(hour < 10, 11 * hour + 10, 11 * (hour // 10) + hour % 10)
    within = same & (np.diff(stamps // DAY) == 0)
    return bool(np.all(np.diff(place * HOUR + stamps % HOUR)[within] >= 0))


def _in_words(
    before: np.int64, after: np.int64, stamps: np.ndarray, row: np.ndarray, onward: int
) -> str:
    late, early = (before, after) if onward > 0 else (after, before)
    first, last = _clock(int(before)), _clock(int(after))
    run = f"times run {'back' if onward > 0 else 'on'} from {first} to {last} on each date"
    end = row if onward > 0 else row - 1  # the row that would end the day
    beyond = end + onward
    ends = (beyond >= 0) & (beyond < len(stamps))
    alone = np.abs(stamps[beyond[ends]] - stamps[end[ends]]) > 20 * HOUR
    if early % DAY == 0 and late % DAY >= 12 * HOUR and np.mean(alone) > 0.5:
        why = "the midnight that ends a day, with the date of that day? give it the next date"
    else:
        why = (
            "trading days, with an evening that belongs to the day before? give each bar its own "
            "calendar date"
        )
    return f"{run}: {why}; if the times are right, sort the rows by them"


def _clock(stamp: int) -> str:
    return f"{stamp % DAY // HOUR:02d}:{stamp % HOUR // MINUTE:02d}"
