"""Prices adjusted for splits and dividends: by an adjusted close, or by a column of splits."""

from dataclasses import replace
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.ingest.column_names import ALIASES, RAW_CLOSES, squashed
from trainable.data.ingest.panel import Panel

SPLIT_FROM = 0.15  # |log ratio| from which a step of the adjustment is a split, not a dividend
VOLUME_BARS = 20  # bars at either side of a split on which the volume is compared
MOST = 0.9  # of the splits must be plain
NEAR = 0.25  # of a split's log ratio: at least so far a plain one may be from all or nothing
HALF = 0.5  # of a split's log ratio: nearer to all of it, or nearer to nothing
INSIDE = 0.9  # share of the bars on which a raw close lies between low and high
FACTOR_STEPS = 0.05  # share of the bars on which a factor may change
SMALLEST = 1e-4  # log ratio: a smaller step of a factor is rounding


def with_raw_close(panel: Panel, quality: dict[str, Any]) -> Panel:
    """Finds the raw close among further columns, where only an adjusted close is known as such.

    Its name is one of a close (`PRC`, `last`, `raw_close`); where the bar's range is given, it lies
    inside.

    Args:
        panel: as read.
        quality: takes what was found.
    """
    if "adj_close" not in panel.fields or "close" in panel.fields:
        return panel
    names = [name for name in panel.extra if squashed(name) in RAW_CLOSES]
    names += [name for name in panel.extra if squashed(name) in ALIASES["close"]]
    low, high = panel.fields.get("low"), panel.fields.get("high")
    for name in names:
        grid = panel.extra[name].astype(np.float64)
        if low is not None and high is not None:
            known = np.isfinite(grid) & np.isfinite(low) & np.isfinite(high)
            size = np.abs(grid)
            inside = (size >= low * (1 - SMALLEST)) & (size <= high * (1 + SMALLEST))
            if not known.any() or inside[known].mean() < INSIDE:
                continue
        written = panel.written.get(name, name)
        note = f"{written!r} read as the raw close beside {_written(panel, 'adj_close')}"
        quality.setdefault("read_as", []).append(note)
        return replace(
            panel,
            fields={**panel.fields, "close": grid},
            extra={key: values for key, values in panel.extra.items() if key != name},
            written={**panel.written, "close": written},
        )
    return panel


def without_factors(
    panel: Panel, fields: dict[str, np.ndarray], quality: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Returns the further columns that are no factor between the raw and the adjusted close.

    A factor changes in few steps, and where adjusted ÷ raw close does, by as much or its inverse.

    Args:
        panel: with its further columns.
        fields: with both closes, before they are adjusted.
        quality: takes what is left out.
    """
    if "adj_close" not in fields or "close" not in fields:
        return panel.extra
    factor = np.log(fields["adj_close"]) - np.log(fields["close"])
    kept = {}
    for name, grid in panel.extra.items():
        verdicts = [_is_factor(grid[:, n], factor[:, n]) for n in range(grid.shape[1])]
        found = [verdict for verdict in verdicts if verdict is not None]
        if found and np.mean(found) > MOST:
            _leave_out(quality, panel, name, "a factor of adjustment; the adjusted close holds it")
        else:
            kept[name] = grid
    return kept


def _is_factor(column: np.ndarray, factor: np.ndarray) -> bool | None:
    """Whether a symbol's column [T] steps as its factor's logarithm [T]; None: neither steps."""
    known = np.isfinite(column) & np.isfinite(factor)
    x = column[known].astype(np.float64)
    if len(x) < 2:
        return None
    if (x <= 0).any():
        return False
    own, steps = np.diff(np.log(x)), np.diff(factor[known])
    changed = np.abs(own) > SMALLEST
    if not changed.any() and np.abs(steps).max() < SPLIT_FROM:
        return None
    if not 0 < changed.sum() <= max(FACTOR_STEPS * len(own), 1):
        return False
    size = np.abs(own[changed])
    near = np.abs(np.abs(steps[changed]) - size) < 0.1 * size + 0.001
    return bool(near.mean() > MOST)


def adjust(
    panel: Panel, fields: dict[str, np.ndarray], quality: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Puts prices and volume on one scale; returns open, high, low, close and volume.

    With an adjusted close, that is the close; open, high and low are the adjusted ones where they
    are given, else scaled by adjusted ÷ raw close. With a column of splits and no adjusted close,
    all prices before a split are divided by its ratio if the close jumps there. Volume is scaled at
    splits if it jumps as well.

    Args:
        panel: for names and places of rows; its `split` column is read whole.
        fields: [T, N] by role, NaN where a bar is missing.
        quality: takes what was done, and which columns are left out.

    Raises:
        UserError: a close of which it is not clear whether splits are in it.
    """
    fields = dict(fields)
    events = {name: fields.pop(name) for name in ("split", "dividend") if name in fields}
    adjusted = {
        name: fields.pop(f"adj_{name}")
        for name in ("open", "high", "low", "close", "volume")
        if f"adj_{name}" in fields
    }
    if "close" in adjusted:
        fields = _by_close(panel, fields, adjusted, quality)
        why = "the adjusted close holds it"
    else:
        for name in adjusted:
            _leave_out(quality, panel, f"adj_{name}", "adjusted, but the close is not")
        why = "returns are those of the close as it is"
        if "split" in events:
            fields = _by_splits(panel, fields, quality)
            _leave_out(quality, panel, "split", "an event, no feature")
            events.pop("split")
    for name in events:
        _leave_out(quality, panel, name, why)
    return fields


def _by_close(
    panel: Panel,
    fields: dict[str, np.ndarray],
    adjusted: dict[str, np.ndarray],
    quality: dict[str, Any],
) -> dict[str, np.ndarray]:
    raw = fields.get("close")
    said = [f"{_written(panel, 'adj_close')} is the close"]
    out = {**fields, **adjusted}
    scaled = [name for name in ("open", "high", "low") if name in fields and name not in adjusted]
    given = [name for name in adjusted if name != "close"]
    if raw is None:
        for name in scaled:
            out.pop(name)
            _leave_out(quality, panel, name, "an adjusted close without the raw one")
    else:
        factor = adjusted["close"] / raw
        for name in scaled:
            out[name] = fields[name] * factor
        if scaled:
            said.append(f"{', '.join(scaled)} scaled by it ÷ {_written(panel, 'close')}")
        if "volume" in fields and "volume" not in adjusted:
            out["volume"], word = _volume(fields["volume"], _split_part(factor))
            said += [word] if word else []
    if given:
        said.append(f"adjusted {', '.join(given)} used")
    quality["adjusted"] = True
    quality.setdefault("read_as", []).append(f"adjusted prices: {'; '.join(said)}")
    return out


def _by_splits(
    panel: Panel, fields: dict[str, np.ndarray], quality: dict[str, Any]
) -> dict[str, np.ndarray]:
    """Adjusts by the column of splits where the close jumps at them."""
    ratio = panel.fields["split"]
    ratio = np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)
    total = np.cumsum(np.log(ratio), axis=0)
    close = fields["close"]
    moves, steps, where = _at_splits(close, total)
    if not len(steps):
        return fields
    name = _written(panel, "split")
    count = "one split" if len(steps) == 1 else f"{len(steps)} splits"
    found = -moves / steps  # 1: the close jumps as the split does; 0: it knows nothing of it
    large = np.abs(steps) > SPLIT_FROM
    unclear = UserError(
        f"{panel.file}: column {name} names {count}, and it is not clear whether the close is "
        "adjusted for that; give an adjusted close ('adj_close'), or remove the column"
    )
    if large.any():
        near = np.clip(4 * _deviation(close) / np.abs(steps[large]), NEAR, HALF)
        raw, clean = np.abs(found[large] - 1) < near, np.abs(found[large]) < near
        jumps = raw.mean() > clean.mean()
        right, wrong = (raw, clean) if jumps else (clean, raw)
        if wrong.any() or right.mean() < MOST:
            odd = where[np.flatnonzero(large)[np.argmax(wrong if wrong.any() else ~right)]]
            place, _ = panel.first(odd == np.arange(close.size).reshape(close.shape))
            raise UserError(f"{unclear} (at {place} it moves in another way)")
    else:
        noise = _deviation(close) / np.sqrt(np.sum(steps**2))
        share = float(np.sum(found * steps**2) / np.sum(steps**2))
        if noise > 0.2:
            raise unclear
        jumps = share > HALF
    read_as = quality.setdefault("read_as", [])
    if not jumps:
        beside = large & _jumps_beside(close, total)
        if beside.any():
            cell = where[np.argmax(beside)]
            place, _ = panel.first(cell == np.arange(close.size).reshape(close.shape))
            raise UserError(f"{unclear} (the close jumps a bar before or after {place})")
        read_as.append(f"prices are adjusted for {count} of {name} already")
        return fields
    part = total - total[-1]
    out = dict(fields)
    for price in ("open", "high", "low", "close"):
        if price in out:
            out[price] = out[price] * np.exp(part)
    word = None
    if "volume" in out:
        out["volume"], word = _volume(out["volume"], part)
    quality["adjusted"] = True
    read_as.append(f"prices adjusted for {count} of {name}" + (f"; {word}" if word else ""))
    return out


def _jumps_beside(close: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Returns [S] bool, the splits whose move the close makes at the bar before or after."""
    found: list[np.ndarray] = [np.empty(0, bool)]
    for n in range(close.shape[1]):
        bars = np.flatnonzero(np.isfinite(close[:, n]))
        step = np.diff(total[bars, n])
        at = np.flatnonzero(np.abs(step) > 1e-9)
        moves = np.pad(np.diff(np.log(close[bars, n])), 1)
        shares = -np.stack([moves[at], moves[at + 2]]) / step[at]
        found.append((np.abs(shares - 1) < NEAR).any(axis=0))
    return np.concatenate(found)


def _at_splits(close: np.ndarray, total: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Log moves of the close at splits, their log ratios, and the flat cells they are at; [S]."""
    moves, steps, where = [], [], [np.empty(0, np.int64)]
    for n in range(close.shape[1]):
        bars = np.flatnonzero(np.isfinite(close[:, n]))
        step = np.diff(total[bars, n])
        at = np.flatnonzero(np.abs(step) > 1e-9)
        moves.append(np.diff(np.log(close[bars, n]))[at])
        steps.append(step[at])
        where.append(bars[at + 1] * close.shape[1] + n)
    return np.concatenate(moves), np.concatenate(steps), np.concatenate(where)


def _deviation(close: np.ndarray) -> float:
    """A robust standard deviation of the log moves of all symbols."""
    moves = np.diff(np.log(close), axis=0)
    moves = moves[np.isfinite(moves) & (moves != 0)]
    return 1.4826 * float(np.median(np.abs(moves))) if len(moves) else 0.0


def _split_part(factor: np.ndarray) -> np.ndarray:
    """[T, N] the part of a factor's logarithm that splits make, 0 at each symbol's last bar."""
    part = np.zeros(factor.shape)
    for n in range(factor.shape[1]):
        bars = np.flatnonzero(np.isfinite(factor[:, n]))
        if len(bars) < 2:
            continue
        step = np.diff(np.log(factor[bars, n]))
        step[np.abs(step) < SPLIT_FROM] = 0.0
        part[bars[:-1], n] = -np.cumsum(step[::-1])[::-1]
    return part


def _volume(volume: np.ndarray, part: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Volume on the scale of the last bar, and a word on it; as it is if it is there already.

    At a split the number of shares changes; a volume that was not adjusted jumps with it. The share
    of the jump that is found, by least squares over all splits, tells which.
    """
    up = down = 0.0
    for n in range(volume.shape[1]):
        bars = np.flatnonzero(np.isfinite(part[:, n]) & (volume[:, n] > 0))
        steps = np.diff(part[bars, n])
        level = np.log(volume[bars, n])
        for i in np.flatnonzero(np.abs(steps) > SPLIT_FROM):
            before = level[max(0, i + 1 - VOLUME_BARS) : i + 1]
            after = level[i + 1 : i + 1 + VOLUME_BARS]
            if len(before) >= 5 and len(after) >= 5:
                up += steps[i] * (np.median(after) - np.median(before))
                down += steps[i] ** 2
    if not down:
        return volume, None
    if up / down <= HALF:
        return volume, "volume does not jump at the splits and stays as it is"
    return volume * np.exp(-part), "volume scaled at the splits as well"


def _leave_out(quality: dict[str, Any], panel: Panel, name: str, why: str) -> None:
    column = panel.written.get(name, name)
    quality.setdefault("left_out_columns", []).append({"column": column, "why": why})


def _written(panel: Panel, name: str) -> str:
    return repr(panel.written.get(name, name))
