"""What was guessed, left out or looks odd in a market, in lines for a plan."""

import math
from collections.abc import Mapping
from typing import Any

SPLITS = (2, 3, 4, 5, 6, 7, 8, 10, 12, 15, 20, 25, 30, 40, 50, 100)
LIKE_A_SPLIT = 0.035  # |log ratio| between a move and a split: most days' own return beside it
NAMED = 3  # extreme moves that are named


def reading_lines(quality: Mapping[str, Any]) -> list[str]:
    """Returns how the source was read and which columns are left out, a line each."""
    lines = [f"Data read as: {note}." for note in quality.get("read_as", ())]
    left_out = left_out_columns(quality)
    if left_out:
        lines.append(f"Columns left out: {left_out}.")
    return lines


def left_out_columns(quality: Mapping[str, Any]) -> str:
    """Returns the columns that are no feature, with the reason of each."""
    reasons: dict[str, list[str]] = {}
    for entry in quality.get("left_out_columns", ()):
        reasons.setdefault(entry["why"], []).append(repr(entry["column"]))
    if text := quality.get("ignored_columns"):
        reasons["text"] = [repr(name) for name in text]
    return "; ".join(f"{', '.join(names)} ({why})" for why, names in reasons.items())


def extreme_line(quality: Mapping[str, Any]) -> str | None:
    """Returns the extreme moves that are no bad ticks in one line; None: there is none."""
    if "extreme_moves" not in quality:
        return None
    moves = quality["extreme_moves"]
    count = moves["real"]
    real = [m for m in moves["largest"] if m["bad_tick"] is None and not m["takes_back"]]
    if not real:
        return None
    noun = "extreme move is no bad tick" if count == 1 else "extreme moves are no bad ticks"
    # A split changes every figure, a crash is part of the market: those like splits come first.
    named = sorted(real, key=lambda move: not like_a_split(move["return"]))[:NAMED]
    return f"{count:,} {noun}: {', '.join(map(_named, named))}{' …' if count > NAMED else ''}"


def unsettled_line(quality: Mapping[str, Any]) -> str | None:
    """Returns the newest moves that double or halve a price, or look like a split; None: none.

    No later bar can have shown yet whether they are bad ticks, so that whoever trades on them does
    so blindly. `find_extremes` found them.
    """
    moves = quality.get("extreme_moves", {}).get("unsettled", [])
    odd = [m for m in moves if like_a_split(m["return"]) or not -0.5 < m["return"] < 1.0]
    if not odd:
        return None
    more = " …" if len(odd) > NAMED else ""
    return f"{', '.join(map(_named, odd[:NAMED]))}{more}"


def like_a_split(change: float) -> bool:
    """Returns whether a simple return is near that of a split or a reverse split of raw prices."""
    move = abs(math.log1p(change)) if change > -1 else math.inf
    return any(abs(move - math.log(ratio)) < LIKE_A_SPLIT for ratio in SPLITS)


def _named(move: Mapping[str, Any]) -> str:
    hint = " (a split? use adjusted prices)" if like_a_split(move["return"]) else ""
    return f"{move['symbol']} {move['timestamp']} {move['return']:+.1%}{hint}"
