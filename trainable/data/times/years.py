"""The years in which a bar may lie: from 1900 to the next one."""

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from trainable.cli.errors import UserError

FIRST_YEAR = 1900  # before it, a date is more likely a number that was misread

Where = Callable[[int], str]  # 0-based row → file and row, for errors
At = Callable[[np.ndarray], str]  # mask of the distinct values → the first row that has one


def last_year() -> int:
    """Returns the last year in which a bar may lie: the next one, for contracts that expire."""
    return datetime.now(UTC).year + 1


def refuse_years(years: np.ndarray, written: Callable[[int], str], name: str, at: At) -> None:
    """Raises `UserError` at the first row whose year is outside 1900 … next year.

    Args:
        years: [U] of the distinct values; NaN counts as outside.
        written: index of a distinct value → its text, for the message.
        name: the column's name.
        at: gives file and row.
    """
    last = last_year()
    outside = ~((years >= FIRST_YEAR) & (years <= last))
    if outside.any():
        first = int(np.argmax(outside))
        raise UserError(
            f"{at(outside)}: {written(first)} in column {name!r} is in the year "
            f"{int(years[first])}; bars lie between {FIRST_YEAR} and {last}: correct or remove it"
        )


def shortened(cell: str) -> str:
    """Returns a cell for a message, cut where it is longer than a date can be."""
    return cell if len(cell) <= 60 else f"{cell[:59]}…"
