"""The hour that a local clock shows twice when summer time ends."""

import numpy as np


def clock_change(twice: np.ndarray) -> str | None:
    """Explains timestamps that occur twice where the end of summer time does it; else None.

    Args:
        twice: [n] datetime64[ns], timestamps that repeat.
    """
    dates = np.unique(twice.astype("datetime64[D]"))
    hours = np.unique((twice - twice.astype("datetime64[D]")).astype("timedelta64[h]").astype(int))
    months = dates.astype("datetime64[M]").astype(int) % 12 + 1
    sundays = (dates.astype(int) + 3) % 7 == 6
    years = dates.astype("datetime64[Y]")
    autumn = np.isin(months, (3, 4, 9, 10, 11))  # March and April: south of the equator
    one_a_year = len(np.unique(years)) == len(dates)
    if not (sundays.all() and autumn.all() and one_a_year and len(hours) == 1 and hours[0] <= 3):
        return None
    return (
        f"a local clock shows the hour from {hours[0]:02d}:00 twice when summer time ends; write "
        "UTC, or times with their offset (+02:00)"
    )
