"""Values of large tables and grids in another order, piece by piece to spare memory and cache."""

import ctypes
import sys
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

SHARE = 4  # a quarter of the columns is gathered at a time
ROWS = 1 << 14  # rows moved at a time: they stay in the cache
SYMBOLS = 16  # symbols turned at a time: 128 bytes of each bar


def columns_on(
    table: np.ndarray, rows: np.ndarray, columns: np.ndarray | None = None
) -> Iterator[np.ndarray]:
    """Yields each column [n] of `table` [R, F] on `rows` [n], contiguous and in order.

    Args:
        table: left as it is.
        rows: indices of rows.
        columns: [k] indices of columns; None: all.
    """
    columns = np.arange(table.shape[1]) if columns is None else columns
    width = max(-(-len(columns) // SHARE), 1)
    for begin in range(0, len(columns), width):
        chosen = columns[begin : begin + width]
        part = np.empty((len(chosen), len(rows)), table.dtype)
        for i in range(0, len(rows), ROWS):
            part[:, i : i + ROWS] = table[rows[i : i + ROWS]][:, chosen].T
        yield from part


def sampled(rows: np.ndarray, most: int) -> np.ndarray:
    """Returns the rows [n] in order; of more than `most`, a fixed random sample of so many."""
    if len(rows) <= most:
        return rows
    chosen = np.random.default_rng(0).choice(len(rows), most, replace=False)
    return rows[np.sort(chosen)]


def symbol_blocks(symbols: int) -> Iterator[slice]:
    """Yields the symbols of a grid [T, N] a few at a time: one column of it is slow to read."""
    for begin in range(0, symbols, SYMBOLS):
        yield slice(begin, min(begin + SYMBOLS, symbols))


def by_symbol(grid: np.ndarray, present: np.ndarray) -> np.ndarray:
    """Returns the cells of `grid` [T, N] where `present`, by symbol, then time: the rows [R]."""
    parts = [
        np.ascontiguousarray(grid[:, part].T)[np.ascontiguousarray(present[:, part].T)]
        for part in symbol_blocks(present.shape[1])
    ]
    return np.concatenate(parts) if parts else np.empty(0, grid.dtype)


def release_memory() -> None:
    """Gives back what was freed: Arrow and the C library keep it for themselves otherwise."""
    pa.default_memory_pool().release_unused()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # not in every C library
        if trim is not None:
            trim(0)
