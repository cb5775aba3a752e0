"""Numbers that stand for an empty cell: the largest of their type, or nothing but nines."""

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import ADJUSTED, PRICES
from trainable.data.ingest.panel import Panel

LARGEST = (
    2**31 - 1,
    2**32 - 1,
    2**63 - 1,
    2**64 - 1,
    3.4028234663852886e38,
    1.7976931348623157e308,
)
SCALES = 10.0 ** np.arange(10)  # prices in fixed point, divided by up to 10⁹
SAME, SAME_SINGLE = 1e-9, 1e-6  # relative; of float32
LARGE = 2e9  # from here, or from
FAR = 20.0  # times the median of its column on, a number is looked at
JUMP = 5.0  # and is none where the price beside it is so many times smaller
NINES = 4  # digits
BEYOND_DIGITS = 2**53  # float64 holds no further whole number exactly


def refuse_undefined(panel: Panel) -> None:
    """Raises `UserError` for a number that marks an undefined price or volume.

    Sources of fixed-point prices write 2⁶³ − 1 (9223372036854775807, or × 10⁻⁹) where there is no
    price; others write 99999. Such a number is a jump away from the one beside it.
    """
    columns = {panel.written.get(name, name): grid for name, grid in panel.fields.items()}
    prices = {panel.written.get(name, name) for name in (*PRICES, *ADJUSTED)}
    for name, grid in (columns | panel.extra).items():
        found = np.zeros(grid.shape, bool)
        for n in range(grid.shape[1]):
            found[:, n] = _undefined(grid[:, n], name in prices)
        if found.any():
            where, (bar, symbol) = panel.first(found)
            raise UserError(
                f"{where}: column {name!r} is {_plain(float(grid[bar, symbol]))}, which marks an "
                f"undefined value ({found.sum()} such cells); empty them"
            )


def _undefined(values: np.ndarray, price: bool) -> np.ndarray:
    """[T] bool, the numbers of one symbol's column [T] that mark an undefined one."""
    found = np.zeros(len(values), bool)
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        return found
    own = values[known]
    far = FAR * float(np.median(np.abs(own)))
    if own.max() < min(LARGE, far):
        return found
    large = np.unique(own[own >= min(LARGE, far)])
    marks = _are_largest(large, price)
    if price:
        marks |= np.array([value >= far and _nines(float(value)) for value in large])
    for value in large[marks]:
        others, at = known[own != value], known[own == value]
        if not len(others):
            continue
        right = np.searchsorted(others, at).clip(max=len(others) - 1)
        left = np.maximum(right - 1, 0)
        beside = np.maximum(np.abs(values[others[left]]), np.abs(values[others[right]]))
        found[at] = value > JUMP * beside
    return found


def _are_largest(values: np.ndarray, price: bool) -> np.ndarray:
    """[n] bool, the largest number of a type, or of a price in fixed point that part of it."""
    same = SAME_SINGLE if values.dtype == np.float32 else SAME
    found = np.zeros(len(values), bool)
    for number in LARGEST:
        for scale in SCALES if price else SCALES[:1]:
            found |= np.abs(values.astype(np.float64) / number * scale - 1) < same
    return found


def _nines(value: float) -> bool:
    digits = _plain(value).replace(".", "")
    return len(digits) >= NINES and set(digits) == {"9"}


def _plain(value: float) -> str:
    if value > BEYOND_DIGITS:
        return next((str(n) for n in LARGEST if float(n) == value), f"{value:.10g}")
    return f"{value:.9f}".rstrip("0").rstrip(".")
