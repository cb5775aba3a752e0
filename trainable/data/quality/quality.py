"""Checks of a panel: what cannot be repaired is an error that says where, the rest is counted."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.panel import Panel
from trainable.data.ingest.timestamps import show_time
from trainable.data.market import Market
from trainable.data.quality.carried_on import end_carried_on
from trainable.data.quality.no_prices import refuse_no_prices
from trainable.data.quality.outliers import find_extremes
from trainable.data.quality.price_levels import leave_out_levels, leave_out_levels_beside
from trainable.data.quality.repairs import drop_empty, repair_prices
from trainable.data.quality.returns import (
    describe_returns,
    refuse_impossible_returns,
    refuse_no_returns,
)
from trainable.data.quality.thousands import refuse_lost_marks
from trainable.data.quality.undefined import refuse_undefined
from trainable.data.settings import DataSettings
from trainable.data.times.bar_calendar import bar_calendar
from trainable.data.times.bar_lengths import refuse_bars_of_several_lengths

CONSTANT_FROM = 10  # bars of one symbol from which an unmoving close is a defect


def checked(panel: Panel, settings: DataSettings, name: str) -> Market:
    """Checks, repairs and describes a panel.

    Repairs: rows without a close are missing bars; bars without any symbol are dropped; high and
    low are widened to hold open and close; a volume that is zero throughout is left out; with an
    adjusted close, open, high and low are scaled by adjusted ÷ raw close. Nothing is filled in.

    Args:
        panel: the source, narrowed to the chosen symbols and dates.
        settings: for `periods_per_year`.
        name: the market's name.

    Raises:
        UserError: infinite values, non-positive prices, negative volume, high < low, constant
            columns, fewer than two bars.
    """
    quality: dict[str, Any] = deepcopy(panel.notes)
    _refuse_infinite(panel, settings)
    if panel.target is not None:
        present = panel.rows
        refuse_impossible_returns(panel, settings)
    else:
        refuse_undefined(panel)
        refuse_lost_marks(panel)
        refuse_no_prices(panel)
        panel, present = repair_prices(panel, quality)
        panel, present = end_carried_on(panel, present, quality)
    panel, present = drop_empty(panel, present, quality)
    _refuse_constant(panel, quality)
    if panel.target is not None:
        _refuse_unmoving_label(panel, settings, quality)
        refuse_no_returns(panel, settings)
        if panel.beside is not None:
            leave_out_levels_beside(panel, panel.beside, quality)
    else:
        leave_out_levels(panel, quality)
    if len(panel.timestamps) < 2:
        raise UserError(f"{panel.file}: only {len(panel.timestamps)} bar; give at least two")
    lengths = refuse_bars_of_several_lengths(panel.timestamps, present, panel.symbols, panel.file)
    if lengths is not None:
        quality.setdefault("read_as", []).append(lengths)
    calendar = bar_calendar(panel.timestamps, present).set_to(settings.periods_per_year)
    quality["calendar"] = calendar.described()
    if panel.target is not None:
        describe_returns(panel, settings, calendar.bars_a_year, quality)
    market = Market(
        timestamps=panel.timestamps,
        symbols=panel.symbols,
        fields=panel.fields,
        present=present,
        bad_ticks=np.zeros(present.shape, bool),
        intraday=calendar.intraday,
        periods_per_year=calendar.bars_a_year,
        name=name,
        sha256=panel.sha256,
        extra=panel.extra,
        target=panel.target,
        returns=panel.returns,
        beside=panel.beside,
        beside_name=panel.written.get("close", "close"),
        symbol_group=panel.symbol_group,
        quality=quality,
    )
    return described(market)


def described(market: Market) -> Market:
    """Adds counts, extreme moves and bad ticks to `market.quality` and `market.bad_ticks`."""
    close, volume = market.fields.get("close"), market.fields.get("volume")
    quality = dict(market.quality)
    quality.setdefault("rows_in_file", None)
    present = market.present
    quality |= {
        "rows": int(present.sum()),
        "bars": len(market.timestamps),
        "symbols": len(market.symbols),
        "first": show_time(market.timestamps[0]),
        "last": show_time(market.timestamps[-1]),
        "missing_bars": _missing(present),
        "empty_cells": {
            name: int(np.count_nonzero(np.isnan(grid) & present))
            for name, grid in (market.fields | market.extra).items()
        },
    }
    bad = market.bad_ticks
    if close is not None:
        quality["zero_volume_bars"] = None if volume is None else int(np.count_nonzero(volume == 0))
        found, moves = find_extremes(
            market.timestamps, market.symbols, close, volume, market.intraday
        )
        bad = bad | found
        quality |= moves
    return replace(market, quality=quality, bad_ticks=bad)


def _refuse_infinite(panel: Panel, settings: DataSettings) -> None:
    columns = {panel.written.get(name, name): grid for name, grid in panel.fields.items()}
    columns |= panel.extra | _ready(panel, settings)
    for name, grid in columns.items():
        infinite = np.isinf(grid)
        if infinite.any():
            where, _ = panel.first(infinite)
            raise UserError(
                f"{where}: column {name!r} is infinite ({infinite.sum()} such cells); correct or "
                "empty it"
            )


def _refuse_constant(panel: Panel, quality: dict[str, Any]) -> None:
    """Refuses prices that never move; leaves further columns out that are constant."""

    def leave_out(name: str, why: str) -> None:
        column = panel.written.get(name, name)
        quality.setdefault("left_out_columns", []).append({"column": column, "why": why})

    for name, grid in list(panel.fields.items()):
        low, high = np.fmin.reduce(grid, axis=0), np.fmax.reduce(grid, axis=0)
        if name != "close" and not np.isfinite(grid).any():
            panel.fields.pop(name)
            leave_out(name, "empty")
            continue
        one = np.fmin.reduce(low) == np.fmax.reduce(high) and grid.size > 1
        if name == "volume" and (one or np.all(~(high > 0))):
            panel.fields.pop(name)
            value = float(np.fmin.reduce(low))
            leave_out(name, f"{value:g} throughout" if value else "zero throughout")
            continue
        if name != "close" and one:
            _constant(panel, name, float(np.fmin.reduce(low)))
        long = np.isfinite(grid).sum(axis=0) >= CONSTANT_FROM
        if name == "close" and np.any(still := long & (low == high)):
            names = [s for s, is_still in zip(panel.symbols, still, strict=True) if is_still]
            column = panel.written.get("adj_close", panel.written.get("close", "close"))
            raise UserError(
                f"{panel.file}: column {column!r} of {', '.join(names[:5])} never moves "
                f"({low[still][0]:g} throughout); leave {'it' if len(names) == 1 else 'them'} out: "
                f"data.symbols={_others(panel.symbols, names)}"
            )
    for name, grid in list(panel.extra.items()):
        low, high = np.fmin.reduce(grid, axis=None), np.fmax.reduce(grid, axis=None)
        if np.isnan(low) or (low == high and grid.size > 1):
            panel.extra.pop(name)
            leave_out(name, "empty" if np.isnan(low) else f"{low:g} throughout")


def _ready(panel: Panel, settings: DataSettings) -> dict[str, np.ndarray]:
    """Returns the ready target and returns [T, N], by the names that the file gives them."""
    grids = {settings.target: panel.target, settings.returns: panel.returns}
    return {name: grid for name, grid in grids.items() if name is not None and grid is not None}


def _refuse_unmoving_label(panel: Panel, settings: DataSettings, quality: dict[str, Any]) -> None:
    """Refuses a target, or returns, without a number or of one value, and a lack of features."""
    for name, grid in _ready(panel, settings).items():
        key = "data.target" if name == settings.target else "data.returns"
        low, high = np.fmin.reduce(grid, axis=None), np.fmax.reduce(grid, axis=None)
        if not np.isnan(low) and (low != high or grid.size == 1):
            continue
        what = "has no number" if np.isnan(low) else f"is constant ({low:g} throughout)"
        needed = "there is nothing to learn" if key == "data.target" else "nothing can be earned"
        raise UserError(
            f"{panel.file}: column {name!r} {what}, so {needed}; name another: {key}=COLUMN"
        )
    if not panel.extra:
        names = ", ".join(entry["column"] for entry in quality["left_out_columns"])
        raise UserError(f"{panel.file}: all features are constant or empty: {names}")


def _constant(panel: Panel, name: str, value: float) -> None:
    raise UserError(
        f"{panel.file}: column {panel.written.get(name, name)!r} is constant ({value:g} "
        "throughout); remove it from the file"
    )


def _others(symbols: tuple[str, ...], out: list[str]) -> str:
    rest = [s for s in symbols if s not in out]
    return ",".join(rest[:20]) + (",…" if len(rest) > 20 else "") if rest else "(others)"


def _missing(present: np.ndarray) -> int:
    """Bars that are missing between a symbol's first and last."""
    T = len(present)
    has = present.any(axis=0)
    first, last = present.argmax(axis=0), T - 1 - present[::-1].argmax(axis=0)
    return int(np.sum(np.where(has, last - first + 1 - present.sum(axis=0), 0)))
