"""Which features of a table can be used: judged on the training dates, nothing later."""

import numpy as np

from trainable.cli.text import counted
from trainable.data.features.table import FeatureTable
from trainable.data.gather import columns_on

MAX_MISSING = 0.05  # share of training rows without a value, beyond the warm-up
MAX_WARMUP = 0.25  # share of training rows that are without a value in a feature's warm-up


def screen(table: FeatureTable, train: tuple[int, int]) -> tuple[list[int], list[dict[str, str]]]:
    """Splits the table's columns into those to keep and those left out, each with its reason.

    Args:
        table: all that could be computed.
        train: half-open range of the training bars.

    Returns:
        Indices of the columns to keep, and {"feature", "why"} of the others.
    """
    rows = np.flatnonzero((table.time >= train[0]) & (table.time < train[1]))
    age = table.age[rows]
    kept: list[int] = []
    left_out: list[dict[str, str]] = []
    for j, x in enumerate(columns_on(table.values, rows)):
        name = table.names[j]
        why = _fault(x, age > table.warmups[j], table.warmups[j])
        if why is None:
            kept.append(j)
        else:
            left_out.append({"feature": name, "why": why})
    return kept, left_out


def _fault(x: np.ndarray, warm: np.ndarray, warmup: int) -> str | None:
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
    missing = 1.0 - float(finite[warm].mean()) if warm.any() else 0.0
    if missing > MAX_MISSING:
        return f"it is missing in {missing:.1%} of the training rows"
    return None
