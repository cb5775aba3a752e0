"""A market: bars of many symbols on one time grid, as read and repaired, before any feature."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Market:
    """Checked bars on a grid of T timestamps and N symbols; NaN where a bar is missing.

    Attributes:
        timestamps: [T] datetime64[ns], increasing, unique; UTC where the source had time zones.
        symbols: N names, sorted.
        fields: `close` and, where the source has them, `open`, `high`, `low`, `volume`: [T, N]
            float64. Empty for ready features.
        extra: further numeric columns by name, [T, N] float32; they become features as they are.
        target: [T, N] float64, ready label (ready features only).
        returns: [T, N] float64, ready simple return from a symbol's own bar t to its next, on the
            row of t; the target where `data.returns` names none (ready features only).
        beside: [T, N] float64, a close that the file of ready features has; target and returns are
            compared with it, and nothing else is made of it.
        beside_name: what the file calls it.
        present: [T, N] bool, where the source has a bar.
        bad_ticks: [T, N] bool, extreme moves that mostly reverse within three bars.
        intraday: bars are shorter than a day.
        periods_per_year: bars a year.
        name: the source's name or file name.
        sha256: hash of the content.
        symbol_group: [N] int32, the group of each symbol (`data.groups`); −1: unknown. None: the
            source has none.
        quality: what was found and repaired, by check name, for `run.json`.
        expected: [T, N] float64, the generator's own conditional expectation of the next bar's
            return (synthetic only): the best prediction there is.
    """

    timestamps: np.ndarray
    symbols: tuple[str, ...]
    fields: dict[str, np.ndarray]
    present: np.ndarray
    bad_ticks: np.ndarray
    intraday: bool
    periods_per_year: float
    name: str
    sha256: str
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    target: np.ndarray | None = None
    returns: np.ndarray | None = None
    beside: np.ndarray | None = None
    beside_name: str = "close"
    symbol_group: np.ndarray | None = None
    quality: dict[str, Any] = field(default_factory=dict)
    expected: np.ndarray | None = None
