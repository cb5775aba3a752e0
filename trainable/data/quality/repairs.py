"""Wrong prices: refused where they cannot be repaired, else repaired and counted."""

from dataclasses import replace
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.panel import Panel

PRICES = ("open", "high", "low", "close", "adj_close")
ROUNDING = 1e-9  # relative; less than this is not outside the bar's range


def repair_prices(panel: Panel, quality: dict[str, Any]) -> tuple[Panel, np.ndarray]:
    """Refuses impossible prices and volumes, repairs bars; `quality` takes the counts.

    Returns:
        The panel with one consistent close, and which bars are present ([T, N] bool).

    Raises:
        UserError: non-positive prices, negative volume, high < low.
    """
    fields = dict(panel.fields)
    close = fields.get("close", fields.get("adj_close"))
    assert close is not None
    present = np.isfinite(close)
    if "adj_close" in fields:
        present &= np.isfinite(fields["adj_close"])
    quality["rows_without_close"] = int(np.count_nonzero(panel.rows & ~present))
    for name, grid in fields.items():
        wrong = grid <= 0 if name in PRICES else grid < 0
        if wrong.any():
            where, (bar, symbol) = panel.first(wrong)
            need = "positive" if name in PRICES else "zero or more"
            raise UserError(
                f"{where}: column {name!r} is {grid[bar, symbol]:g}, must be {need} "
                f"({wrong.sum()} such cells); correct or empty it"
            )
        fields[name] = np.where(present, grid, np.nan)
    _refuse_crossed(panel, fields)
    quality["bar_out_of_range"] = _widen(fields)
    if "adj_close" in fields:
        _adjust(fields, quality)
    extra = {
        name: np.where(present, grid, np.float32(np.nan)) for name, grid in panel.extra.items()
    }
    return replace(panel, fields=fields, extra=extra), present


def _refuse_crossed(panel: Panel, fields: dict[str, np.ndarray]) -> None:
    if "high" not in fields or "low" not in fields:
        return
    crossed = fields["high"] < fields["low"]
    if crossed.any():
        where, (bar, symbol) = panel.first(crossed)
        raise UserError(
            f"{where}: column 'high' {fields['high'][bar, symbol]:g} is below 'low' "
            f"{fields['low'][bar, symbol]:g} ({crossed.sum()} such bars); correct them"
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


def _adjust(fields: dict[str, np.ndarray], quality: dict[str, Any]) -> None:
    """Puts open, high and low on the scale of the adjusted close, which becomes the close.

    Without the raw close they cannot be adjusted, and are left out.
    """
    adjusted = fields.pop("adj_close")
    raw = fields.get("close")
    fields["close"] = adjusted
    if raw is None:
        lost = [name for name in ("open", "high", "low") if fields.pop(name, None) is not None]
        quality["left_out_columns"] = [
            {"column": name, "why": "an adjusted close without the raw one"} for name in lost
        ]
        return
    quality["adjusted"] = True
    factor = adjusted / raw
    for name in ("open", "high", "low"):
        if name in fields:
            fields[name] = fields[name] * factor
    _widen(fields)  # rounding of the product


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
        cell=None,  # rows of the file no longer match
        row=None,
    )
    return smaller, cut(present)
