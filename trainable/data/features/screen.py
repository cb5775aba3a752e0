"""Which features of a table can be used: judged on the training dates, nothing later."""

import numpy as np

from trainable.cli.text import counted
from trainable.data.features.table import FeatureTable
from trainable.data.gather import columns_on

MAX_MISSING = 0.05  # share of rows without a value, from each symbol's first one on
MAX_WARMUP = 0.25  # share of training rows that are without a value in a feature's warm-up
MAX_LATE = 1 / 3  # … or before its first value: a column of a year's return begins after a year


def screen(table: FeatureTable, train: tuple[int, int]) -> tuple[list[int], list[dict[str, str]]]:
    """Splits the table's columns into those to keep and those left out, each with its reason.

    Args:
        table: all that could be computed.
        train: half-open range of the training bars.

    Returns:
        Indices of the columns to keep, and {"feature", "why"} of the others.
    """
    rows = np.flatnonzero((table.time >= train[0]) & (table.time < train[1]))
    age, time, symbol = table.age[rows], table.time[rows], table.symbol[rows]
    kept: list[int] = []
    left_out: list[dict[str, str]] = []
    for j, x in enumerate(columns_on(table.values, rows)):
        name = table.names[j]
        begun = _begun(x, time, symbol)
        why = _fault(x, age > table.warmups[j], begun, table.warmups[j])
        if why is None:
            kept.append(j)
        else:
            left_out.append({"feature": name, "why": why})
    return kept, left_out


def _begun(x: np.ndarray, time: np.ndarray, symbol: np.ndarray) -> np.ndarray:
    """[n] whether a row is not before its symbol's first value; true where a symbol has none."""
    finite = np.isfinite(x)
    never = np.iinfo(np.int64).max
    first = np.full(int(symbol.max(initial=0)) + 1, never)
    np.minimum.at(first, symbol[finite], time[finite].astype(np.int64))
    first[first == never] = -1
    return time >= first[symbol]


def _fault(x: np.ndarray, warm: np.ndarray, begun: np.ndarray, warmup: int) -> str | None:
    """Returns why a feature's training values x [n] are of no use, or None."""
    finite = np.isfinite(x)
    values = x[finite]
    if not len(values):
        return "it has no value on the training dates"
    low, high = float(values.min()), float(values.max())
    if high - low <= 1e-6 * max(abs(low), abs(high)):
        return f"it is constant ({low:.6g}) on the training dates"
    cold = float((~finite & ~warm).mean())
    if cold > MAX_WARMUP:
        return f"its warm-up of {counted(warmup, 'bar')} would cost {cold:.0%} of the training rows"
    late = float((~begun).mean())
    if late > MAX_LATE:
        return (
            f"it begins late: {late:.0%} of the training rows are before its first value; give "
            "more history, or a shorter look-back"
        )
    counts = warm & begun
    missing = 1.0 - float(finite[counts].mean()) if counts.any() else 0.0
    if missing > MAX_MISSING:
        return f"it is missing in {missing:.1%} of the training rows from its first value on"
    return None
