"""Prices that are carried on after a symbol's last trade, to the end of its rows."""

from dataclasses import replace
from typing import Any

import numpy as np

from trainable.data.ingest.column_names import EVENT_NAMES
from trainable.data.ingest.panel import Panel
from trainable.data.ingest.timestamps import show_time

BARS = 20  # at least so many bars without a move at the end …
DAYS = np.timedelta64(60, "D")  # … over so long, …
LONGER = 2  # … and so many times the longest pause that the symbol went on after
MOVE = 1e-9  # relative; less is the rounding of an adjustment
NAMED = 5


def end_carried_on(
    panel: Panel, present: np.ndarray, quality: dict[str, Any]
) -> tuple[Panel, np.ndarray]:
    """Ends symbols whose last price is carried on without a trade; says what else does not move.

    Vendors and `ffill` pad a delisted symbol with its last price. Where its volume is 0, empty or
    carried on too, those rows are no bars. Without a volume it may be a pegged currency: such rows
    are kept and named. A symbol that was as quiet before, and went on, is left alone.

    Args:
        panel: with prices, repaired and adjusted.
        present: [T, N] bool, where a symbol has a bar.
        quality: takes the words, and what was found: `carried_on`.

    Returns:
        The panel and `present`, without the rows that are no bars.
    """
    close, volume = panel.fields["close"], panel.fields.get("volume")
    kept, found = present.copy(), []
    for n, symbol in enumerate(panel.symbols):
        bars = np.flatnonzero(present[:, n])
        start = _last_move(panel.timestamps[bars], close[bars, n])
        if start is None:
            continue
        ended = False
        if volume is not None and np.any(volume[bars[: start + 1], n] > 0):
            last = _last_trade(volume[bars, n], start)
            if last is None:
                continue  # it is traded, at one price
            start, ended = last, len(panel.symbols) > 1
        if ended:
            kept[bars[start + 1 :], n] = False
        since = panel.timestamps[bars[start]]
        found.append({"symbol": symbol, "since": show_time(since), "bars": len(bars) - 1 - start,
                      "ended": ended})  # fmt: skip
    if not found:
        return panel, present
    quality["carried_on"] = found
    notes = quality.setdefault("read_as", [])
    if ended := [entry for entry in found if entry["ended"]]:
        notes.append(
            f"the last price of {_named(ended)} is carried on without a trade to the end of its "
            "rows: it ends there, the rows after that are no bars"
        )
    if still := [entry for entry in found if not entry["ended"]]:
        notes.append(
            f"the close of {_named(still)} does not move any more to the end of its rows; if a "
            "last price is carried on there, remove those rows: they count as bars"
        )
    gone = present & ~kept
    if not gone.any():
        return panel, present
    fields = {
        name: grid if name in EVENT_NAMES else np.where(gone, np.nan, grid)
        for name, grid in panel.fields.items()
    }
    extra = {name: np.where(gone, np.float32(np.nan), grid) for name, grid in panel.extra.items()}
    return replace(panel, fields=fields, extra=extra), kept


def _last_move(times: np.ndarray, price: np.ndarray) -> int | None:
    """The bar from which a symbol's price [n] rests to the end; None: not for long."""
    moves = np.flatnonzero(np.abs(np.diff(price)) > MOVE * price[1:]) + 1
    if not len(moves):
        return None  # it never moves, which is refused as such
    start = int(moves[-1])
    rest = len(price) - 1 - start
    if rest < BARS or times[-1] - times[start] < DAYS:
        return None
    longest = int(np.diff(moves, prepend=0).max())
    return start if rest > LONGER * longest else None


def _last_trade(volume: np.ndarray, start: int) -> int | None:
    """The last bar from `start` on with a volume of its own; None: it is traded to the end.

    Args:
        volume: [n] of a symbol's bars.
        start: the bar from which its price rests.
    """
    rest = volume[start:]
    if rest[0] > 0 and np.all(rest == rest[0]):
        return start  # carried on like the price
    trades = np.flatnonzero(rest > 0)
    last = start + (int(trades[-1]) if len(trades) else 0)
    return last if len(volume) - 1 - last >= BARS else None


def _named(entries: list[dict[str, Any]]) -> str:
    named = [
        f"{entry['symbol']} (since {entry['since']}, {entry['bars']:,} bars)" for entry in entries
    ]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return ", ".join(named[:NAMED]) + more
