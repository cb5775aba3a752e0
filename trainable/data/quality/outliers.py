"""Extreme moves, and which of them are bad ticks rather than news."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from trainable.data.gather import symbol_blocks
from trainable.data.ingest.timestamps import show_time

EXTREME = 15.0  # robust deviations
LISTED = 20  # moves named in the quality record
REVERT_BARS = 3
REVERT_SHARE = 0.7  # of the log move that a bad tick gives back within REVERT_BARS
NEIGHBOURS = 20  # bars at either side that a bad tick must stand out from as well
STALE_BARS = 20  # bars without trade and move before a jump: the old price was not a price
MAD = 1.4826  # median absolute deviation → standard deviation of a normal


class _Move(NamedTuple):
    """An extreme log move.

    Attributes:
        score: in robust deviations. bar, symbol: into which, and whose. change: simple return.
        kind: of bad tick; None: it is none.
        takes_back: it takes a bad tick back.
        unsettled: it is one of the symbol's last bars, so that nothing can have taken it back yet.
    """

    score: float
    bar: int
    symbol: int
    change: float
    kind: str | None
    takes_back: bool
    unsettled: bool


def find_extremes(
    timestamps: np.ndarray,
    symbols: tuple[str, ...],
    close: np.ndarray,
    volume: np.ndarray | None,
    intraday: bool,
) -> tuple[np.ndarray, dict[str, Any]]:
    """Finds log moves beyond 15 robust deviations of their symbol, and the bad ticks among them.

    A robust deviation is 1.4826 × the median absolute deviation of the symbol's non-zero moves. On
    intraday bars, moves across session gaps are compared among themselves. A bad tick gives back
    at least 70 % of its log move within three bars and stands out of the 20 bars at either side as
    well (in a crisis days of ±25 % follow each other, and are real); or it ends at least 20 bars
    without move and trade (a stale price).

    Args:
        timestamps: [T] datetime64[ns].
        symbols: N names.
        close: [T, N] float64, NaN where a bar is missing.
        volume: [T, N] float64 or None.
        intraday: bars are shorter than a day.

    Returns:
        [T, N] bool, bars whose close is a bad tick (until the price has come back; of a stale price
        the bar that ends it); and counts, with the largest moves. `real` counts those that are
        neither a bad tick nor take one back; `unsettled` are those of the last three bars of a
        symbol, which a bar to come may yet take back.
    """
    bad = np.zeros(close.shape, bool)
    found: list[_Move] = []
    zero_returns = moves = 0
    gap = _gaps(timestamps) if intraday else None
    for n, (prices, volumes) in enumerate(_each_symbol(close, volume)):
        bars = np.flatnonzero(np.isfinite(prices))
        if len(bars) < 3:
            continue
        price = np.log(prices[bars])
        move = np.diff(price, prepend=price[0])
        zero_returns += int(np.count_nonzero(move[1:] == 0))
        moves += len(bars) - 1
        traded = None if volumes is None else volumes[bars] > 0
        score = _scores(move, None if gap is None else _crosses(gap, bars))
        back = -1  # the bar whose move takes a bad tick back
        for i in np.flatnonzero(np.abs(score) > EXTREME):
            kind, until = _bad_tick(price, move, traded, int(i))
            bad[bars[i:until], n] = True
            change = float(np.expm1(move[i]))
            late = kind is None and i != back and bool(i >= len(bars) - REVERT_BARS)
            found.append(_Move(float(score[i]), int(bars[i]), n, change, kind, i == back, late))
            back = until if kind == "reverted" else back
    found.sort(key=lambda move: -abs(move.score))
    largest = [_described(move, timestamps, symbols) for move in found[:LISTED]]
    unsettled = [_described(move, timestamps, symbols) for move in found if move.unsettled]
    return bad, {
        "zero_returns": zero_returns,
        "zero_return_share": zero_returns / moves if moves else 0.0,
        "extreme_moves": {
            "count": len(found),
            "real": sum(move.kind is None and not move.takes_back for move in found),
            "largest": largest,
            "unsettled": unsettled[:LISTED],
        },
        "bad_ticks": {
            kind: sum(move.kind == kind for move in found) for kind in ("reverted", "stale")
        }
        | {"bars": int(bad.sum())},
    }


def _described(move: _Move, timestamps: np.ndarray, symbols: tuple[str, ...]) -> dict[str, Any]:
    return {
        "timestamp": show_time(timestamps[move.bar]),
        "symbol": symbols[move.symbol],
        "return": move.change,
        "robust_z": move.score,
        "bad_tick": move.kind,
        "takes_back": move.takes_back,
    }


def _each_symbol(
    close: np.ndarray, volume: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yields close and volume [T] of each symbol."""
    for part in symbol_blocks(close.shape[1]):
        prices = np.ascontiguousarray(close[:, part].T)
        volumes = None if volume is None else np.ascontiguousarray(volume[:, part].T)
        for n in range(len(prices)):
            yield prices[n], None if volumes is None else volumes[n]


def _gaps(timestamps: np.ndarray) -> np.ndarray:
    """[T] int64, session by bar: a new one after more than 5 median spacings and 30 minutes."""
    spacing = np.diff(timestamps.astype("datetime64[ns]").astype(np.int64))
    longest = max(5 * float(np.median(spacing)), 1.8e12) if len(spacing) else 0.0
    return np.concatenate([[0], np.cumsum(spacing > longest)])


def _crosses(session: np.ndarray, bars: np.ndarray) -> np.ndarray:
    return np.diff(session[bars], prepend=session[bars[0]]) > 0


def _scores(move: np.ndarray, crosses: np.ndarray | None) -> np.ndarray:
    """[n] robust z of each move; 0 for the first bar, which has none."""
    score = np.zeros(len(move))
    kinds = [np.ones(len(move), bool)] if crosses is None else [~crosses, crosses]
    for kind in kinds:
        kind[0] = False
        moved = move[kind & (move != 0)]
        if len(moved) < 10:
            continue
        centre = np.median(moved)
        deviation = MAD * np.median(np.abs(moved - centre))
        if deviation > 0:
            score[kind] = (move[kind] - centre) / deviation
    return score


def _bad_tick(
    price: np.ndarray, move: np.ndarray, traded: np.ndarray | None, i: int
) -> tuple[str | None, int]:
    """(kind or None, first bar that is good again) of the extreme move into bar i."""
    back = (price[i + 1 : i + 1 + REVERT_BARS] - price[i]) / -move[i]
    over = 2 - REVERT_SHARE  # coming back further than that is a new move
    returned = np.flatnonzero((back >= REVERT_SHARE) & (back <= over))
    if len(returned):
        after = i + 1 + REVERT_BARS
        beside = np.concatenate(
            [move[max(1, i - NEIGHBOURS) : i], move[after : after + NEIGHBOURS]]
        )
        if abs(move[i]) > EXTREME * MAD * np.median(np.abs(beside)) if len(beside) else True:
            return "reverted", i + 1 + int(returned[0])
    before = slice(i - STALE_BARS, i)
    if i > STALE_BARS and not move[before].any() and (traded is None or not traded[before].any()):
        return "stale", i + 1
    return None, i
