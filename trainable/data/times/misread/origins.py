"""Epochs that count another unit, or from another day than 1970-01-01: their dates look odd."""

from datetime import date

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.times.years import FIRST_YEAR, last_year

DAY = 86_400 * 10**9  # nanoseconds
ENOUGH = 50  # instants, below which nothing can be said
INTRADAY_BELOW = 20 * DAY // 24  # spacing of bars shorter than a day
NO_INTRADAY = 10  # years from 1970, of which nobody has bars within the day
FIRST_MONTH = 31 * DAY  # a series that is made up may begin at zero
FACTORS = (10, 60, 100)  # larger units: 10 ms, minutes, a tenth of a second
ORIGINS = {
    date(2000, 1, 1): "kdb+",
    date(2001, 1, 1): "Apple",
    date(1980, 1, 6): "GPS",
    date(1980, 1, 1): "DOS",
    date(1990, 1, 1): "",
    date(1960, 1, 1): "SAS",
}
SURE_WEEKS = 8  # of bars, which show the days of the week without any
SELDOM = 0.02  # of what a usual day of the week has: as good as none
USUAL = 0.5  # … and at least this
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
WEEKEND = {4, 5, 6}  # one of these days is closed at every exchange that is not always open
SAUDI_EPOCHS = 1997  # before, weeks from Saturday are those of a count from 2000
HOLIDAYS = ((12, 25), (1, 1))
ENOUGH_HOLIDAYS = 3  # of each, on Monday to Friday


def refuse_other_units(instants: np.ndarray, written: str, unit: str, name: str, at: str) -> None:
    """Raises `UserError` where epochs count a larger unit than the one that their size shows.

    Daily bars then lie a tenth, a hundredth or a 60th of a day apart, and bars within the day in
    the years after 1970.

    Args:
        instants: [U] int64 nanoseconds, as read.
        written: the first number as the file has it.
        unit: how the numbers were read.
        name: the column's name.
        at: file and first row.
    """
    moments = np.unique(instants)
    if len(moments) < ENOUGH or moments[0] < FIRST_MONTH:
        return
    steps, counts = np.unique(np.diff(moments), return_counts=True)
    step = int(steps[np.argmax(counts)])
    end = _instant(date(last_year() + 1, 1, 1))
    likely = [f for f in FACTORS if moments[-1] < end / f]
    found = [f for f in likely if step * f == DAY and 2 * counts.max() >= len(steps)]
    years = int(moments[-1]) / (365.25 * DAY)
    early = years < 1 or (
        years < NO_INTRADAY and float(np.median(np.diff(moments))) < INTRADAY_BELOW
    )
    if not (found or (early and likely)):
        return
    first = int(moments[0])
    others = ", ".join(f"{_date(first * f)} in units of {f} {unit}" for f in found or likely)
    raise UserError(
        f"{at}: {written} in column {name!r} is {_date(first)} as an epoch in {unit}, with a bar "
        f"every {step / 60e9:,.4g} minutes, and {others}; write ISO 8601"
    )


def refuse_odd_weeks(instants: np.ndarray, name: str, at: str, epochs: bool) -> None:
    """Raises `UserError` where bars leave out days of the week that no exchange leaves out.

    Exchanges are closed on Saturday and Sunday, on Friday and Saturday, or on Thursday and Friday;
    stamps of the day before or after add Sunday and Monday. Of epochs, Saturday to Wednesday
    before 1997 is refused as well, and Sunday to Thursday where years earlier by ten have no bar
    on Christmas and New Year: they count from 2000 and from 1960.

    Args:
        instants: [T] int64 nanoseconds.
        name: the column's name.
        at: file and first row.
        epochs: the column holds numbers, which may count from another day.
    """
    days = np.unique(instants // DAY)
    closed = _closed(days)
    if not closed:
        return
    fitting = [origin for origin in ORIGINS if _turns_into_workdays(days, closed, origin)]
    odd = not WEEKEND & closed
    if epochs and closed == {3, 4}:
        odd = days[-1] < _day(date(SAUDI_EPOCHS, 1, 1)) and date(2000, 1, 1) in fitting
    if epochs and closed == {4, 5}:
        odd = date(1960, 1, 1) in fitting and not np.any(instants % DAY)
        odd = odd and _keeps_holidays(days + _day(date(1960, 1, 1)))
    if not odd:
        return
    none = " and ".join(NAMES[i] for i in sorted(closed))
    known = "" if WEEKEND & closed else ", as at no exchange that we know of"
    text = f"{at}: no bar lies on {none} in column {name!r}{known}"
    if epochs and fitting:
        origins = " or ".join(f"{o} ({ORIGINS[o]})" if ORIGINS[o] else f"{o}" for o in fitting)
        raise UserError(
            f"{text}: epochs count from 1970; as numbers that count from {origins} all lie on "
            "Monday to Friday; write ISO 8601"
        )
    raise UserError(
        f"{text}: the dates are some days off; correct them (numbers that count from 2000, 2001 or "
        "1980 were taken for epochs?)"
    )


def _closed(days: np.ndarray) -> set[int]:
    """The one or two days of the week without bars, Monday is 0; empty: others or none."""
    if len(days) < ENOUGH or days[-1] - days[0] < 7 * SURE_WEEKS:
        return set()
    bars = np.bincount((days + 3) % 7, minlength=7)  # 1970-01-01 was a Thursday
    usual = float(np.median(bars))
    closed = set(np.flatnonzero(bars <= SELDOM * usual).tolist())
    open_ = [i for i in range(7) if i not in closed]
    if len(closed) > 2 or np.any(bars[open_] < USUAL * usual):
        return set()
    apart = len(closed) == 2 and (max(closed) - min(closed)) not in (1, 6)
    return set() if apart else closed


def _turns_into_workdays(days: np.ndarray, closed: set[int], origin: date) -> bool:
    """Whether the days, counted from another origin, lie on Monday to Friday and in our time."""
    moved = days[[0, -1]] + _day(origin)
    if moved[0] < _day(date(FIRST_YEAR, 1, 1)) or moved[1] >= _day(date(last_year() + 1, 1, 1)):
        return False
    weekdays = {(i + _day(origin)) % 7 for i in closed}
    return weekdays <= {5, 6} and 5 in weekdays


def _keeps_holidays(days: np.ndarray) -> bool:
    """Whether no bar lies on Christmas or New Year, of which enough fall on Monday to Friday."""
    years = days[[0, -1]].astype("datetime64[D]").astype("datetime64[Y]").astype(np.int64) + 1970
    for month, day in HOLIDAYS:
        dates = np.array([_day(date(y, month, day)) for y in range(years[0], years[1] + 1)])
        dates = dates[(dates >= days[0]) & (dates <= days[-1]) & ((dates + 3) % 7 < 5)]
        if len(dates) < ENOUGH_HOLIDAYS or np.isin(dates, days).any():
            return False
    return True


def _day(of: date) -> int:
    return (of - date(1970, 1, 1)).days


def _instant(of: date) -> int:
    return _day(of) * DAY


def _date(instant: int) -> str:
    return str(np.datetime64(instant, "ns").astype("datetime64[D]"))
