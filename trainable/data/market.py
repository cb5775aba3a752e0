"""A market: bars of many symbols on one time grid, as read and repaired, before any feature."""

from dataclasses import dataclass, field, replace
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


def until(market: Market, bars: int) -> Market:
    """Returns the first bars of a market, as if it ended there; symbols that begin later are gone.

    Nothing of later bars is left in it.
    """
    kept = np.flatnonzero(market.present[:bars].any(axis=0))
    return _cut(market, np.arange(bars), kept)


def of_symbols(market: Market, kept: np.ndarray) -> Market:
    """Returns some symbols of a market, by their indices, on the bars that one of them has."""
    return _cut(market, np.flatnonzero(market.present[:, kept].any(axis=1)), kept)


def _cut(market: Market, bars: np.ndarray, kept: np.ndarray) -> Market:
    """Returns a market on some bars and of some symbols."""

    def cut(grid: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(grid[np.ix_(bars, kept)])

    def maybe(grid: np.ndarray | None) -> np.ndarray | None:
        return None if grid is None else cut(grid)

    return replace(
        market,
        timestamps=market.timestamps[bars],
        symbols=tuple(market.symbols[n] for n in kept),
        fields={name: cut(grid) for name, grid in market.fields.items()},
        extra={name: cut(grid) for name, grid in market.extra.items()},
        present=cut(market.present),
        bad_ticks=cut(market.bad_ticks),
        target=maybe(market.target),
        returns=maybe(market.returns),
        beside=maybe(market.beside),
        expected=maybe(market.expected),
        symbol_group=None if market.symbol_group is None else market.symbol_group[kept],
    )
