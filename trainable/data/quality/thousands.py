"""Numbers that lost a mark: a dot between thousands read as a decimal point, or a dropped one.

A column of whole numbers in which 999 is followed by 1.004, or 99.994 by 100126, is a thousand
times too large or too small in some of its cells.
"""

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import ADJUSTED, PRICES
from trainable.data.ingest.panel import Panel

THREE = 3  # digits of a group
PLACES = (2, THREE, 4, 5, 6)  # digits behind a decimal point that may be missing
NEAR = 0.25  # |log ratio| between a move and a power of ten: the bar's own return beside it
TWICE = 2  # so many moves up and down, where the digits are not the three of thousands
ALL_PLACES = 0.5  # share of the fractions that have all digits: the last one is not zero
MIXED, MIXED_CELLS = 0.05, 10  # of a volume, whole numbers and fractions: each so many
THOUSANDFOLD = (200.0, 5000.0)  # volumes of whole numbers ÷ fractions, by their medians
LARGE_SPLIT = 500.0  # a split from which on prices may jump by a thousand


def refuse_lost_marks(panel: Panel) -> None:
    """Raises `UserError` at the first cell of a price or volume in which a mark was misread.

    Args:
        panel: as read, before any repair.
    """
    split = panel.fields.get("split")
    if split is not None and np.any(
        (split > LARGE_SPLIT) | ((split > 0) & (split * LARGE_SPLIT < 1))
    ):
        return
    for name, grid in panel.fields.items():
        if name in PRICES + ADJUSTED:
            _refuse_jumps(panel, name, grid)
        elif name in ("volume", "adj_volume"):
            _refuse_mixture(panel, name, grid)


def _refuse_jumps(panel: Panel, name: str, grid: np.ndarray) -> None:
    """Refuses a price that moves by a power of ten between whole numbers and fractions."""
    positive = np.where(grid > 0, grid, np.nan)
    low, high = np.fmin.reduce(positive, axis=0), np.fmax.reduce(positive, axis=0)
    for n in np.flatnonzero(high > 10 ** (PLACES[0] - 0.2) * low):
        bars = np.flatnonzero(np.isfinite(positive[:, n]))
        prices = positive[bars, n]
        moves = np.diff(np.log10(prices))
        for places in PLACES:
            jumps = np.abs(np.abs(moves) - places) < NEAR / np.log(10)
            up, down = jumps & (moves > 0), jumps & (moves < 0)
            least = TWICE if places != THREE else 0
            if not jumps.any() or min(up.sum(), down.sum()) < least:
                continue
            if not _digits_show_it(prices, up, down, places):
                continue
            first = int(np.argmax(jumps))
            mask = np.zeros(grid.shape, bool)
            mask[bars[first + 1], n] = True
            where, _ = panel.first(mask)
            what = (
                "dots between thousands in some cells only? write all numbers without them"
                if places == THREE
                else "a decimal point that is missing in some cells? put it back"
            )
            raise UserError(
                f"{where}: column {panel.written.get(name, name)!r} goes from "
                f"{_plain(prices[first])} to {_plain(prices[first + 1])}, and fractions have "
                f"{places} digits throughout: {what}"
            )


def _digits_show_it(prices: np.ndarray, up: np.ndarray, down: np.ndarray, places: int) -> bool:
    """Whether the large sides of the jumps are whole and all fractions have so many digits."""
    large = np.concatenate([prices[1:][up], prices[:-1][down]])
    if np.any(large != np.rint(large)):
        return False
    fractions = prices[prices != np.rint(prices)]
    if not len(fractions) or (places == THREE and fractions.min() < 1):
        return False  # a dot between thousands leaves 1.000 and more
    return _has_places(fractions, places)


def _has_places(fractions: np.ndarray, places: int) -> bool:
    """Whether no fraction has more decimal digits, and most have as many."""
    if np.any(np.round(fractions, places) != fractions):
        return False
    return float(np.mean(np.round(fractions, places - 1) != fractions)) > ALL_PLACES


def _refuse_mixture(panel: Panel, name: str, grid: np.ndarray) -> None:
    """Refuses a volume of fractions with three digits above 1 and of whole numbers.

    These are all below 1,000, where only thousands have a dot, or about a thousand times as large.
    """
    for n in range(grid.shape[1]):
        bars = np.flatnonzero(grid[:, n] > 0)
        cells = grid[bars, n]
        broken = cells != np.rint(cells)
        least = max(MIXED_CELLS, MIXED * len(cells))
        if min(broken.sum(), (~broken).sum()) < least or cells[broken].min() < 1:
            continue
        ratio = float(np.median(cells[~broken]) / np.median(cells[broken]))
        if cells.max() >= 1000 and not THOUSANDFOLD[0] < ratio < THOUSANDFOLD[1]:
            continue
        if _has_places(cells[broken], THREE):
            mask = np.zeros(grid.shape, bool)
            mask[bars[np.argmax(broken)], n] = True
            where, _ = panel.first(mask)
            raise UserError(
                f"{where}: column {panel.written.get(name, name)!r} holds "
                f"{_plain(cells[broken][0])} among whole numbers, and fractions have 3 digits "
                "throughout: dots between thousands? write whole numbers without them"
            )


def _plain(value: float) -> str:
    """`1.004` or `100126`, as a file has it."""
    return f"{value:.0f}" if value == round(value) else f"{value:.6f}".rstrip("0")
