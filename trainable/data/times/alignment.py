"""Several symbols on one grid of bars: daily bars stamped at different hours, or no bar in common.

A portfolio needs bars on which its symbols can be compared. Daily bars of several exchanges are
often stamped at each one's own midnight or close, so that no timestamp has all of them.
"""

import numpy as np

from trainable.cli.errors import UserError

SHARED = 0.05  # of the bars that two symbols could share; fewer: they do not belong together
ENOUGH = 20  # bars of a symbol within the other's dates, below which nothing can be said
USUAL = 3  # times of day that a symbol's daily bars are stamped at: summer time changes them
WEEKEND = 0.05  # of a symbol's bars; more: a stamp may belong to another day
COMPARED = 64  # symbols that are compared with each other
CELLS = 2 * 10**7  # … on so many cells at most
LISTED = 6  # symbols named in a message


def on_one_grid(
    values: np.ndarray, index: np.ndarray, codes: np.ndarray, names: tuple[str, ...], file: str
) -> tuple[np.ndarray, np.ndarray, str | None]:
    """Brings daily bars that are stamped at different hours to their dates.

    Read as dates where that is certain: no symbol has two bars on a date, each has its usual time
    of day, and none has bars on weekends, so that no stamp can mean the day before or the next.

    Args:
        values: [T] datetime64[ns], the distinct times, increasing.
        index: [R] int64, position in `values` by row.
        codes: [R] int64, symbol by row.
        names: N symbols.
        file: for errors.

    Returns:
        Values and index, and what was done, in words; None where nothing was.

    Raises:
        UserError: daily bars of different hours that are not certain to be of the same dates, or
            groups of symbols that share almost no timestamp.
    """
    if len(names) < 2:
        return values, index, None
    note = None
    dates, date_of = np.unique(values.astype("datetime64[D]"), return_inverse=True)
    if len(dates) < len(values) and _one_a_date(date_of[index], len(dates), codes, len(names)):
        hours = _hours(values, index, codes, names)
        if hours is not None and _is_workdays(dates, date_of[index], codes):
            values, index = dates.astype("datetime64[ns]"), date_of[index]
            note = f"daily bars stamped at {_clock_list(hours)} read as their dates"
        elif hours is not None and len(hours) > 1:
            raise UserError(f"{file}: {_different_hours(hours)}")
    _refuse_separate(values, index, codes, names, file)
    return values, index, note


def _one_a_date(date: np.ndarray, dates: int, codes: np.ndarray, symbols: int) -> bool:
    """Whether no symbol has two bars on a date."""
    if len(codes) > dates * symbols:
        return False
    return len(np.unique(date * symbols + codes)) == len(codes)


def _is_workdays(dates: np.ndarray, date: np.ndarray, codes: np.ndarray) -> bool:
    weekend = (dates.astype(np.int64) + 3) % 7 >= 5  # 1970-01-01 was a Thursday
    bars = np.bincount(codes)
    return not np.any(np.bincount(codes, weekend[date]) > WEEKEND * bars)


def _hours(
    values: np.ndarray, index: np.ndarray, codes: np.ndarray, names: tuple[str, ...]
) -> dict[str, list[str]] | None:
    """Symbols by the time of day of most of their bars; None where one has no usual time."""
    passed = values - values.astype("datetime64[D]")
    minute = passed.astype("timedelta64[m]").astype(np.int64)[index]
    pairs, counts = np.unique(codes * 1440 + minute, return_counts=True)
    symbol, clock = np.divmod(pairs, 1440)
    order = np.lexsort((-counts, symbol))
    symbol, clock, counts = symbol[order], clock[order], counts[order]
    start = np.flatnonzero(np.diff(symbol, prepend=-1))
    place = np.arange(len(symbol)) - np.repeat(start, np.diff(np.append(start, len(symbol))))
    total = np.bincount(symbol, counts)
    usual = np.bincount(symbol, counts * (place < USUAL))
    enough = total >= ENOUGH
    if not enough.any() or np.any(usual[enough] < 0.95 * total[enough]):
        return None
    hours: dict[str, list[str]] = {}
    for n, most in zip(symbol[start], clock[start], strict=True):
        if not enough[n]:
            continue
        hours.setdefault(f"{most // 60:02d}:{most % 60:02d}", []).append(names[n])
    return dict(sorted(hours.items()))


def _clock_list(hours: dict[str, list[str]]) -> str:
    return ", ".join(list(hours)[:LISTED]) + (" …" if len(hours) > LISTED else "")


def _different_hours(hours: dict[str, list[str]]) -> str:
    groups = "; ".join(f"{hour}: {_few(group)}" for hour, group in list(hours.items())[:LISTED])
    largest = max(hours.values(), key=len)
    return (
        f"daily bars are stamped at different hours ({groups}), so that a stamp in the evening may "
        "belong to the next day; write the trading day as the date, or choose symbols of one hour: "
        f"data.symbols={','.join(largest[:LISTED])}{',…' if len(largest) > LISTED else ''}"
    )


def _refuse_separate(
    values: np.ndarray, index: np.ndarray, codes: np.ndarray, names: tuple[str, ...], file: str
) -> None:
    """Refuses symbols that fall into groups without timestamps in common, over the same dates."""
    most = int(np.clip(CELLS // len(values), 2, min(len(names), COMPARED)))
    chosen = np.unique(np.linspace(0, len(names) - 1, most).astype(int))
    has = np.zeros((len(chosen), len(values)), np.float32)
    place = np.full(len(names), -1)
    place[chosen] = np.arange(len(chosen))
    rows = place[codes] >= 0
    has[place[codes[rows]], index[rows]] = 1
    first = has.argmax(axis=1)
    last = has.shape[1] - 1 - has[:, ::-1].argmax(axis=1)
    total = np.concatenate([np.zeros((len(chosen), 1)), np.cumsum(has, axis=1)], axis=1)
    start, stop = np.maximum.outer(first, first), np.minimum.outer(last, last) + 1
    stop = np.maximum(start, stop)
    of = np.arange(len(chosen))
    inside = total[of[:, None], stop] - total[of[:, None], start]  # bars of i within both lives
    fewer = np.minimum(inside, inside.T)
    together = has @ has.T
    linked = (together > SHARED * fewer) | (fewer < ENOUGH)
    group = _first_group(linked)
    if group.all():
        return
    inside_names = [names[i] for i in chosen[group]]
    other = [names[i] for i in chosen[~group]]
    raise UserError(
        f"{file}: {_few(inside_names)} and {_few(other)} share almost no timestamp; bring their "
        "bars to the same times (daily bars: the trading day as the date), or choose symbols that "
        f"share them: data.symbols={','.join(inside_names[:LISTED])}"
        f"{',…' if len(inside_names) > LISTED else ''}"
    )


def _first_group(linked: np.ndarray) -> np.ndarray:
    """[n] bool, what is linked with the first symbol, directly or by way of others."""
    group = np.zeros(len(linked), bool)
    group[0] = True
    while True:
        wider = linked[group].any(axis=0) | group
        if np.array_equal(wider, group):
            return group
        group = wider


def _few(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more
