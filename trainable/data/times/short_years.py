"""Dates in digits that are no ISO dates, but lie where epochs do: yymmddhhmm, ddmmyyyyhhmm."""

from typing import NamedTuple

import numpy as np

from trainable.data.times.years import FIRST_YEAR, last_year

ENOUGH = 30  # numbers: an epoch may pass as such digits for 24 steps in a row, and no longer
SHARE = 0.95  # of the numbers; of epochs it is one in 200

# Number of digits → the forms that it may have; hours are H, minutes M, seconds S.
FORMS = {
    10: ("yymmddHHMM", "ddmmyyHHMM", "mmddyyHHMM", "ddmmyyyyHH", "mmddyyyyHH"),
    12: ("yymmddHHMMSS", "ddmmyyHHMMSS", "mmddyyHHMMSS", "ddmmyyyyHHMM", "mmddyyyyHHMM"),
    14: ("ddmmyyyyHHMMSS", "mmddyyyyHHMMSS"),
}


class Limits(NamedTuple):
    """The least and the largest value of a part of a date."""

    least: int
    most: int


def short_year_forms(whole: np.ndarray) -> tuple[str, ...]:
    """Returns the forms of digits in which almost all numbers are dates; none: they are epochs.

    The year has two digits or stands at the end, so that they sort or read as something else. A
    zero at the front may be missing, as it does where digits were taken for a number.

    Args:
        whole: [U] int64, the distinct numbers, of which none is a date with its year first.
    """
    if len(whole) < ENOUGH or whole.min() < 0:
        return ()
    digits = len(str(int(whole.max())))
    forms = FORMS.get(digits + digits % 2, ())
    found = [form for form in forms if np.mean(_are_dates(whole, form)) >= SHARE]
    whole_years = [form for form in found if "yyyy" in form]
    return tuple(form.lower() for form in whole_years or found)


def _are_dates(whole: np.ndarray, form: str) -> np.ndarray:
    """[U] bool, a number is a date in this form."""
    parts: dict[str, np.ndarray] = {}
    rest = whole
    for letter in dict.fromkeys(reversed(form)):
        size = 10 ** form.count(letter)
        parts[letter], rest = rest % size, rest // size
    limits = {"m": Limits(1, 12), "d": Limits(1, 31), "H": Limits(0, 24), "M": Limits(0, 59)}
    limits |= {"S": Limits(0, 59)}
    limits["y"] = Limits(FIRST_YEAR, last_year()) if "yyyy" in form else Limits(0, 99)
    found = rest == 0
    for letter, part in parts.items():
        found &= (part >= limits[letter].least) & (part <= limits[letter].most)
    return found & ((parts["d"] <= 30) | ~np.isin(parts["m"], (2, 4, 6, 9, 11)))
