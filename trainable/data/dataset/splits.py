"""The split by date: train | validation | gate | sealed test."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.data.dataset.sessions import session_ends
from trainable.data.settings import DataSettings

PARTS = ("train", "valid", "gate", "test")
SHARES = {"valid_from": 0.60, "gate_from": 0.75, "test_from": 0.85}  # of the timestamps


@dataclass(frozen=True)
class Split:
    """Half-open ranges [start, stop) of bar indices; each part begins where the one before ends.

    Attributes:
        train, valid, gate, test: the parts.
        borders: of a fold (`trainable.data.folds`), bars at which labels end besides those at which
            parts do: where what is scored begins and ends.
    """

    train: tuple[int, int]
    valid: tuple[int, int]
    gate: tuple[int, int]
    test: tuple[int, int]
    borders: tuple[int, ...] = ()

    @property
    def stops(self) -> tuple[int, ...]:
        """The bars at which labels and positions end at the latest, increasing."""
        parts = (self.train, self.valid, self.gate, self.test)
        return tuple(sorted({*(stop for _, stop in parts), *self.borders} - {0}))

    def part(self, name: str) -> tuple[int, int]:
        """Returns the range of one of `PARTS`."""
        if name not in PARTS:
            raise ValueError(f"{name!r} is not a part of the split: {', '.join(PARTS)}")
        return getattr(self, name)


def split_by_date(timestamps: np.ndarray, settings: DataSettings, intraday: bool = False) -> Split:
    """Splits the T bars at the dates of the settings, by default at 60, 75 and 85 % of the bars.

    Each date is the first of its part. A date that is not set stays at its default share, whatever
    the others are, so that moving the validation window never moves the sealed test. On intraday
    bars with sessions each part begins with the next session, unless there are too few of them.

    Args:
        timestamps: [T] datetime64[ns], increasing.
        settings: `valid_from`, `gate_from`, `test_from` are read.
        intraday: bars are shorter than a day.

    Raises:
        UserError: a date that cannot be read, lies outside the data or leaves a part empty.
    """
    span = f"the data has {counted(len(timestamps), 'bar')}"
    if len(timestamps):
        span += f" from {timestamps[0]:.19} to {timestamps[-1]:.19}".replace("T00:00:00", "")
    starts = [0]
    for key, share in SHARES.items():
        given = getattr(settings, key)
        if given is None:
            start = int(share * len(timestamps))
            what = f"data.{key} (unset: after {share:.0%} of the bars)"
        else:
            start = _first_bar(timestamps, key, given, span)
            what = f"data.{key}={given}"
        if start <= starts[-1]:
            before = ("the first bar", *SHARES)[len(starts) - 1]
            raise UserError(
                f"{what} leaves no bar between {'data.' if len(starts) > 1 else ''}{before} and "
                f"itself; {span}; give dates in the order data.valid_from < data.gate_from < "
                "data.test_from"
            )
        starts.append(start)
    if intraday:
        starts = _with_sessions(starts, timestamps)
    stops = [*starts[1:], len(timestamps)]
    return Split(*zip(starts, stops, strict=True))


def _with_sessions(starts: list[int], timestamps: np.ndarray) -> list[int]:
    """Returns the first bars of the parts, moved on to where the next session begins."""
    borders = np.flatnonzero(session_ends(timestamps)) + 1
    at = np.searchsorted(borders, starts[1:])
    if len(borders) == 0 or at.max() == len(borders):
        return starts
    moved = [0, *(int(bar) for bar in borders[at])]
    return moved if (np.diff(moved) > 0).all() else starts


def _first_bar(timestamps: np.ndarray, key: str, given: str, span: str) -> int:
    """Returns the index of the first bar at or after the date `given`."""
    try:
        date = pd.Timestamp(given)
    except ValueError as error:
        raise UserError(f"data.{key}={given!r} is no date; write it as 2015-01-31") from error
    if date is pd.NaT:
        raise UserError(f"data.{key}={given!r} is no date; write it as 2015-01-31")
    if date.tzinfo is not None:
        date = date.tz_convert("UTC").tz_localize(None)
    if not len(timestamps) or not (
        pd.Timestamp(timestamps[0]) <= date <= pd.Timestamp(timestamps[-1])
    ):
        raise UserError(f"data.{key}={given} is outside the data: {span}")
    return int(np.searchsorted(timestamps, date.to_datetime64()))


def rows_inside(time: np.ndarray, label_end: np.ndarray, part: tuple[int, int]) -> np.ndarray:
    """Returns which rows belong to a part: their bar and their whole label interval lie inside it.

    This is the purge: no label of one part is made of prices of the next. There is no embargo,
    because no part is trained on after it was tested on (folds: `trainable.data.folds`).

    Args:
        time: [R] bar index of each row.
        label_end: [R] bar index at which its label interval ends.
        part: half-open range of bar indices.
    """
    start, stop = part
    return (time >= start) & (label_end < stop)
