"""Wrong prices: refused where they cannot be repaired, else repaired and counted."""

from dataclasses import replace
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import ADJUSTED, EVENT_NAMES, PRICES
from trainable.data.ingest.panel import Panel
from trainable.data.quality.adjustment import adjust, with_raw_close, without_factors

ENOUGH_BARS, HALF = 20, 0.5  # so many bars, and which share of them, are no repair
ROUNDING = 1e-9  # relative; less than this is not outside the bar's range


def repair_prices(panel: Panel, quality: dict[str, Any]) -> tuple[Panel, np.ndarray]:
    """Refuses impossible prices and volumes, repairs bars; `quality` takes the counts.

    Returns:
        The panel with one consistent close, and which bars are present ([T, N] bool).

    Raises:
        UserError: non-positive prices, negative volume, high < low.
    """
    panel = with_raw_close(panel, quality)
    fields = dict(panel.fields)
    close = fields.get("close", fields.get("adj_close"))
    assert close is not None
    present = np.isfinite(close)
    if "adj_close" in fields:
        present &= np.isfinite(fields["adj_close"])
    quality["rows_without_close"] = int(np.count_nonzero(panel.rows & ~present))
    for name, grid in fields.items():
        if name in EVENT_NAMES:
            continue
        prices = PRICES + ADJUSTED
        wrong = grid <= 0 if name in prices else grid < 0
        if wrong.any():
            where, (bar, symbol) = panel.first(wrong)
            need = "positive" if name in prices else "zero or more"
            raise UserError(
                f"{where}: column {panel.written.get(name, name)!r} is {grid[bar, symbol]:g}, must "
                f"be {need} ({wrong.sum()} such cells); {_advice(grid, name in prices)}"
            )
        fields[name] = np.where(present, grid, np.nan)
    _refuse_crossed(panel, fields)
    quality["bar_out_of_range"] = _widen(fields)
    _refuse_other_scale(panel, fields, quality["bar_out_of_range"], int(present.sum()))
    kept = without_factors(panel, fields, quality)
    fields = adjust(panel, fields, quality)
    _widen(fields)  # rounding of the products
    extra = {name: np.where(present, grid, np.float32(np.nan)) for name, grid in kept.items()}
    return replace(panel, fields=fields, extra=extra), present


def _advice(grid: np.ndarray, price: bool) -> str:
    """What to do about prices that are not positive, or a negative volume."""
    size = np.abs(grid[np.isfinite(grid)])
    negative = grid[grid < 0]
    if price and len(negative) > 1 and np.abs(negative).min() > 0.1 * np.median(size):
        return (
            "a minus before a plausible price is CRSP's mark of a mean of bid and ask: write it "
            "without, or empty it"
        )
    return "correct or empty it"


def _refuse_crossed(panel: Panel, fields: dict[str, np.ndarray]) -> None:
    if "high" not in fields or "low" not in fields:
        return
    crossed = fields["high"] < fields["low"]
    if crossed.any():
        where, (bar, symbol) = panel.first(crossed)
        high, low = (panel.written.get(name, name) for name in ("high", "low"))
        raise UserError(
            f"{where}: column {high!r} {fields['high'][bar, symbol]:g} is below {low!r} "
            f"{fields['low'][bar, symbol]:g} ({crossed.sum()} such bars); correct them"
        )


def _refuse_other_scale(
    panel: Panel, fields: dict[str, np.ndarray], outside: int, bars: int
) -> None:
    """Refuses bars whose range mostly does not hold open and close: that is no slip to repair."""
    if bars < ENOUGH_BARS or outside <= HALF * bars:
        return
    for name in PRICES:
        known = fields[name][np.isfinite(fields[name])] if name in fields else np.empty(0)
        if len(known) and known.min() == known.max():
            return  # it never moves, which is said as such
    raise UserError(
        f"{panel.file}: high and low do not hold open and close on {outside:,} of {bars:,} bars: "
        "they are on another scale (adjusted beside raw prices?); give all four on one, or only "
        "the close"
    )


def _widen(fields: dict[str, np.ndarray]) -> int:
    """Widens high and low to hold open and close; returns how many bars needed it."""
    touched = np.zeros(next(iter(fields.values())).shape, bool)
    inside = [fields[name] for name in ("open", "close") if name in fields]
    for name, choose, sign in (("high", np.fmax, 1), ("low", np.fmin, -1)):
        if name not in fields or not inside:
            continue
        grid = fields[name]
        wide = choose.reduce([grid, *inside])
        wide = np.where(np.isnan(grid), np.nan, wide)
        touched |= sign * (wide - grid) > ROUNDING * np.abs(grid)
        fields[name] = wide
    return int(touched.sum())


def drop_empty(
    panel: Panel, present: np.ndarray, quality: dict[str, Any]
) -> tuple[Panel, np.ndarray]:
    """Drops bars on which no symbol is present, and symbols without any bar."""
    bars, kept = np.asarray(present.any(axis=1)), np.asarray(present.any(axis=0))
    if not bars.any():
        raise UserError(f"{panel.file}: no row has a close")
    quality["bars_dropped"] = int(np.count_nonzero(~bars))
    quality["symbols_without_bars"] = [s for s, k in zip(panel.symbols, kept, strict=True) if not k]
    if bars.all() and kept.all():
        return panel, present

    def cut(grid: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(grid[np.ix_(bars, kept)])

    smaller = replace(
        panel,
        timestamps=panel.timestamps[bars],
        symbols=tuple(s for s, k in zip(panel.symbols, kept, strict=True) if k),
        fields={name: cut(grid) for name, grid in panel.fields.items()},
        extra={name: cut(grid) for name, grid in panel.extra.items()},
        rows=cut(panel.rows),
        target=None if panel.target is None else cut(panel.target),
        returns=None if panel.returns is None else cut(panel.returns),
        beside=None if panel.beside is None else cut(panel.beside),
        symbol_group=None if panel.symbol_group is None else panel.symbol_group[kept],
        cell=None,  # rows of the file no longer match
        row=None,
    )
    return smaller, cut(present)
