"""How many bars make a year: counted from the timestamps, rounded to a calendar that is near."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

DAY = 86_400 * 10**9  # nanoseconds
YEAR = 365.25  # days
INTRADAY_BELOW = 20 * 3_600 * 10**9  # median spacing of bars shorter than a day, nanoseconds

FIVE_DAYS, SEVEN_DAYS = 252.0, 365.0  # trading days a year
NEAR_DAYS = 0.06  # relative: 237 to 267 days a year are 252 (holidays differ, or are not left out)
NEAR = 0.02  # relative: of weekly bars and longer
JUDGED_FROM = 0.6  # of the bars: where the validation part begins by default
FEW_DAYS = 60  # days below which a count says little: the weekdays decide
HALF_AN_HOUR = DAY / 48
LONG_GAP = 15 * DAY  # a longer pause, and than five bars, is no part of the calendar
KNOWN = {52: "weekly", 26: "every two weeks", 24: "twice a month", 13: "every four weeks",
         12: "monthly", 6: "every two months", 4: "quarterly", 2: "twice a year",
         1: "yearly"}  # fmt: skip
NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@dataclass(frozen=True)
class BarCalendar:
    """How often there is a bar.

    Attributes:
        intraday: bars are shorter than a day.
        bars_a_year: what a ratio of bars is annualised with.
        counted: bars a year as counted from the span; None where it is too short to count.
        why: in a few words.
    """

    intraday: bool
    bars_a_year: float
    counted: float | None
    why: str

    def set_to(self, bars_a_year: float | None) -> "BarCalendar":
        """Returns it with the number that a person set; None changes nothing."""
        if bars_a_year is None:
            return self
        found = f"set by data.periods_per_year (found: {self.bars_a_year:,.6g}, {self.why})"
        return replace(self, bars_a_year=bars_a_year, why=found)

    def described(self) -> dict[str, Any]:
        """Returns what `run.json` says of it."""
        return {"bars_a_year": self.bars_a_year, "counted": self.counted, "why": self.why}


def bar_calendar(timestamps: np.ndarray, present: np.ndarray | None = None) -> BarCalendar:
    """Infers whether bars are shorter than a day, and how many make a year.

    The bars of the grid are counted, those on which only some symbols trade included: the returns
    of a portfolio have one entry for each. Pauses of more than 15 days and five bars do not count.
    252 days a year where about five weekdays have bars, 365 where all seven have; of intraday bars,
    that times the bars of a full day. Where the count is further away than 6 %, other calendars are
    tried (every second day, weekly, monthly …, within 2 %), then the count itself is taken. Where
    the last 40 % of the bars, on which models are judged, have another calendar than the whole
    (crypto beside stocks that began earlier), theirs counts.

    Args:
        timestamps: [T] datetime64[ns], increasing, T >= 2.
        present: [T, N] bool, where a symbol has a bar; None: everywhere.
    """
    whole = _calendar(timestamps, present)
    start = int(JUDGED_FROM * len(timestamps))
    if len(timestamps) - start < 2 or whole.counted is None:
        return whole
    recent = _calendar(timestamps[start:], None if present is None else present[start:])
    change = abs(recent.bars_a_year / whole.bars_a_year - 1)
    if recent.counted is None or recent.intraday != whole.intraday or change <= NEAR_DAYS:
        return whole
    before = f"since {str(timestamps[start])[:10]}; {whole.counted:,.6g} over the whole span"
    return replace(recent, why=f"{recent.why} ({before})")


def _calendar(timestamps: np.ndarray, present: np.ndarray | None) -> BarCalendar:
    nanoseconds = timestamps.astype("datetime64[ns]").astype(np.int64)
    spacing = np.diff(nanoseconds)
    median = float(np.median(spacing))
    days, per_day = np.unique(nanoseconds // DAY, return_counts=True)
    # Of two bars a day, as many are followed by a night as by the other bar.
    intraday = median < INTRADAY_BELOW or float(np.median(per_day)) > 1.5
    weekday = (days + 3) % 7  # 1970-01-01 was a Thursday; Monday is 0
    typical = _by_weekday(days, per_day, intraday)
    open_days = float(np.minimum(typical, 1.0).sum())  # a Sunday evening is a part of a day
    full = typical[weekday] > 0.8
    a_day = float(np.median(per_day[full])) if intraday else 1.0
    usual = min(median, float(np.quantile(spacing, 0.25))) if a_day < 4 else median
    if intraday and len(days) > 1 and spacing.max() <= max(5 * usual, HALF_AN_HOUR):
        a_day = float(round(DAY / usual))  # round the clock, which days cut short do not show
    seven = open_days > 6.4
    nominal = a_day * (SEVEN_DAYS if seven else FIVE_DAYS)
    counted = _counted(nanoseconds, spacing, median, intraday)
    word = _days_word(typical, open_days)
    word += _unequal((nanoseconds // DAY + 3) % 7, seven, present)
    per = f"{a_day:,.6g} a day" if intraday else "daily"
    if counted is None:
        if median <= 4 * DAY:
            unseen = "" if np.ptp(days) >= 7 else ", no whole week is seen"
            why = f"{word}, {per} (too short to count{unseen})"
            return BarCalendar(intraday, nominal, None, why)
        counted = YEAR * DAY / median
    counted = round(float(counted), 4)
    whole_days = abs(open_days - 5) < 0.5 or seven
    if abs(counted / nominal - 1) <= NEAR_DAYS and whole_days:
        return BarCalendar(intraday, nominal, counted, f"{word}, {per}")
    if not intraday:
        for bars, name in KNOWN.items():
            if abs(counted / bars - 1) <= NEAR:
                return BarCalendar(intraday, float(bars), counted, name)
        even = not seven and whole_days and np.std(spacing) < 0.5 * np.mean(spacing)
        for step in (2, 3, 4):
            if even and abs(counted * step / nominal - 1) <= NEAR_DAYS:
                return BarCalendar(
                    intraday, nominal / step, counted, f"every {step} trading days, {word}"
                )
    return BarCalendar(intraday, counted, counted, f"counted: {word}, {_spaced(median, a_day)}")


def _by_weekday(days: np.ndarray, per_day: np.ndarray, intraday: bool) -> np.ndarray:
    """[7] bars of a weekday, Monday first, as a share of what most weekdays have."""
    if intraday and len(days) > 8:  # without the first and the last, which may be cut
        days, per_day = days[1:-1], per_day[1:-1]
    bars = np.bincount((days + 3) % 7, weights=per_day, minlength=7)
    dates = np.bincount((np.arange(days[0], days[-1] + 1) + 3) % 7, minlength=7)
    average = bars / np.maximum(dates, 1)
    return average / np.median(average[average > 0])


def _counted(
    nanoseconds: np.ndarray, spacing: np.ndarray, median: float, intraday: bool
) -> float | None:
    """Bars a year over the span; None where it is too short for its ends not to matter."""
    pause = spacing > max(LONG_GAP, 5 * median)
    paused = float(spacing[pause].sum()) / DAY
    if not intraday and median > 1.5 * DAY:  # from bar to bar, which is exact where it is even
        span = float(nanoseconds[-1] - nanoseconds[0]) / DAY
        if span < FEW_DAYS:
            return None
        return float(len(spacing) - pause.sum()) / (span - paused) * YEAR
    week = (nanoseconds // DAY + 3) // 7  # from Monday to Sunday
    weeks = float(week[-1] - week[0] - 1)  # without the first and the last, which may be cut
    if weeks * 7 < FEW_DAYS:
        return None
    bars = np.count_nonzero((week > week[0]) & (week < week[-1]))
    return bars / (weeks * 7 - paused) * YEAR


def _days_word(typical: np.ndarray, open_days: float) -> str:
    """`5 weekdays`, with their names where they are not Monday to Friday."""
    days = np.flatnonzero(typical > 0.2)
    count = len(days) if abs(len(days) - open_days) < 0.8 else round(open_days)
    if count >= 7 or len(days) != count or list(days) == [0, 1, 2, 3, 4]:
        return f"{count} weekday{'s' if count > 1 else ''}"
    first = next((d for d in days if (d - 1) % 7 not in days), days[0])
    last = (first + count - 1) % 7
    whole = all((first + i) % 7 in days for i in range(count))
    names = f"{NAMES[first]} to {NAMES[last]}" if whole else ", ".join(NAMES[d] for d in days)
    return f"{count} weekdays ({names})" if count > 1 else NAMES[days[0]]


def _unequal(weekday_of_bar: np.ndarray, seven: bool, present: np.ndarray | None) -> str:
    """Names how many symbols have no bars on the weekend, where others have."""
    if not seven or present is None or present.shape[1] < 2:
        return ""
    weekend = present[weekday_of_bar >= 5].sum(axis=0)
    without = int(np.count_nonzero(weekend * 20 < present.sum(axis=0)))
    if not 0 < without < present.shape[1]:
        return ""
    return f" ({without} of {present.shape[1]} symbols have none on weekends)"


def _spaced(median: float, a_day: float) -> str:
    if median < INTRADAY_BELOW:
        return f"about {a_day:,.6g} a day"
    days = median / DAY
    return "a bar a day where there is one" if days < 1.5 else f"a bar every {days:.3g} days"


def calendar_words(bars_a_year: float, quality: Mapping[str, Any]) -> str:
    """Returns `252: 5 weekdays, daily`: the number, and why where the market was inferred.

    Args:
        bars_a_year: of the market.
        quality: of the market, with the calendar that was found.
    """
    why = quality.get("calendar", {}).get("why")
    return f"{bars_a_year:,.6g}" + (f": {why}" if why else "")
