"""Calendar features: the weekday and the time of day as points on a circle."""

import numpy as np

from trainable.data.features.bars import Bars


def _weekday(bars: Bars) -> np.ndarray:
    days = bars.timestamp.astype("datetime64[D]").astype(np.int64)
    return 2.0 * np.pi * ((days + 3) % 7) / 7.0  # 1970-01-01 was a Thursday; Monday is 0


def _time_of_day(bars: Bars) -> np.ndarray:
    day = bars.timestamp.astype("datetime64[D]")
    return 2.0 * np.pi * ((bars.timestamp - day) / np.timedelta64(1, "D"))


def weekday_sin(bars: Bars) -> np.ndarray:
    """Returns the sine of the weekday on a circle of seven."""
    return np.sin(_weekday(bars))


def weekday_cos(bars: Bars) -> np.ndarray:
    """Returns the cosine of the weekday on a circle of seven."""
    return np.cos(_weekday(bars))


def time_of_day_sin(bars: Bars) -> np.ndarray:
    """Returns the sine of the time of day (of the timestamps: UTC where the source had zones)."""
    return np.sin(_time_of_day(bars))


def time_of_day_cos(bars: Bars) -> np.ndarray:
    """Returns the cosine of the time of day."""
    return np.cos(_time_of_day(bars))
