"""Trading sessions of intraday bars: where they end, and what is told from a halt."""

import numpy as np

MIN_GAP = np.timedelta64(30, "m")  # a shorter pause never ends a session
GAP_BARS = 5  # a pause longer than this many usual spacings may end one
HOUR = 3_600 * 10**9  # nanoseconds
NIGHT = 8 * HOUR  # … of bars of an hour and longer: one longer than this, and than 1.5 spacings
RARE = 0.1  # times with fewer bars than this share of the busiest time are closed
DAY = 86_400 * 10**9  # nanoseconds
LATEST = 5  # sessions whose ends say when the newest one ends
MONDAY = 3  # 1970-01-01 was a Thursday


def sessions(timestamps: np.ndarray) -> np.ndarray:
    """Returns the [T] number of the session of each intraday bar.

    A session ends where the next bar is further away than 5 median spacings and 30 minutes, and the
    pause covers a time of the day, or a day of the week, at which hardly any bar stands. A pause
    within the hours that usually trade is a halt or an outage: nobody could know of it before, so
    the session goes on. Of bars of an hour and longer, of which a day has few, a night of 8 hours
    is such a pause, if it is longer than 1.5 of the shorter spacings.

    Args:
        timestamps: [T] datetime64[ns], increasing; UTC or exchange time.
    """
    stamps = timestamps.astype("datetime64[ns]").astype(np.int64)
    spacing = np.diff(stamps)
    if not len(spacing):
        return np.zeros(len(timestamps), np.int64)
    usual, short = float(np.median(spacing)), float(np.quantile(spacing, 0.25))
    limit = max(GAP_BARS * usual, float(MIN_GAP / np.timedelta64(1, "ns")))
    if short >= HOUR:
        usual = short
        limit = min(limit, max(1.5 * usual, NIGHT))
    border = spacing > limit
    pauses = np.flatnonzero(border)
    if len(pauses):
        border[pauses] = _covers_closed_time(stamps, pauses, max(int(usual), 1))
    return np.concatenate([[0], np.cumsum(border)])


def session_ends(timestamps: np.ndarray) -> np.ndarray:
    """Returns [T] bool, the last bars of sessions; the last bar of all is none of them."""
    session = sessions(timestamps)
    return np.append(session[1:] != session[:-1], False)[: len(session)]


def probably_ends(timestamps: np.ndarray, stamp: np.datetime64) -> bool:
    """Says whether a session probably ends with a bar after which no bar is known yet.

    Most of the last five sessions ended at that time of the day. So the days after the clocks were
    changed, and days with other hours, are told wrongly.

    Args:
        timestamps: [T] datetime64[ns], increasing: the bars that are known.
        stamp: of the bar.
    """
    ends = timestamps[session_ends(timestamps)][-LATEST:].astype(np.int64) % DAY
    here = int(stamp.astype("datetime64[ns]").astype(np.int64)) % DAY
    return 2 * int(np.count_nonzero(ends == here)) > len(ends) > 0


def _covers_closed_time(stamps: np.ndarray, pauses: np.ndarray, width: int) -> np.ndarray:
    """Returns which pauses, between bar i and i + 1 for i in `pauses`, cover a closed time.

    Args:
        stamps: [T] int64, nanoseconds.
        pauses: [P] indices of the bars before them.
        width: of a time of the day, nanoseconds: the spacing of the bars.
    """
    slots = -(-DAY // width)
    begin, end = stamps[pauses], stamps[pauses + 1]
    # Slots of the day strictly between the two bars, and whole days.
    first, last = begin // DAY * slots, end // DAY * slots
    first += begin % DAY // width + 1
    last += end % DAY // width
    by_time = _any_closed(_closed(stamps % DAY // width, slots), first, last)
    by_day = _any_closed(_closed((stamps // DAY + MONDAY) % 7, 7), *_days(begin, end))
    return by_time | by_day


def _days(begin: np.ndarray, end: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the range [first, last) of days that lie wholly within each pause, from a Monday."""
    return begin // DAY + 1 + MONDAY, end // DAY + MONDAY


def _closed(slot: np.ndarray, count: int) -> np.ndarray:
    """Returns which of `count` slots hold hardly any of the bars, whose slots are given."""
    bars = np.bincount(slot, minlength=count)
    return bars < RARE * bars.max()


def _any_closed(closed: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """Returns whether a closed slot lies in [first, last), slots being counted on and on."""
    count = len(closed)
    before = np.concatenate([[0], np.cumsum(closed)])

    def closed_before(slot: np.ndarray) -> np.ndarray:
        return slot // count * before[-1] + before[slot % count]

    return closed_before(np.maximum(last, first)) > closed_before(first)
