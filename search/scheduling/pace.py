"""How fast a search trains, as its reports show it: seconds of an epoch, by shape."""

import time
from collections import Counter
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

from search.scheduling.cohorts import PROGRAM
from trainable.report import Report

KEPT = 0.95  # of the weight of earlier batches as a new one comes: machines become faster or slower

USUAL = 1.15  # a worker's time over what it trains, before it is known; it first measures shapes
BATCHES = 3.0  # that the usual counts for


@dataclass
class _Sums:
    """Seconds over units, a unit being what one member adds to an epoch of its cohort."""

    seconds: float = 0.0
    units: float = 0.0

    def add(self, seconds: float, units: float) -> None:
        self.seconds = KEPT * self.seconds + seconds
        self.units = KEPT * self.units + units

    @property
    def ratio(self) -> float | None:
        return self.seconds / self.units if self.units > 0 else None


class Pace:
    """Learns from each batch of reports what an epoch costs.

    An epoch of n members of one shape takes n + `PROGRAM` units of time, a unit for each shape.

    Args:
        clock: seconds, from any moment on.

    Attributes:
        batches: how many have come.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.batches = 0
        self._clock = clock
        self._all, self._shapes = _Sums(), dict[Hashable, _Sums]()
        self._wall = _Sums()  # between batches of a slot, over what it trained
        self._last: dict[int, float] = {}  # by slot: when its latest batch came

    def take(self, slot: int, reports: Sequence[Report], shapes: Mapping[int, Hashable]) -> None:
        """Takes in what a slot has reported.

        Args:
            slot: of the worker.
            reports: of one batch.
            shapes: of the trials, by number; members of one shape are a cohort.
        """
        now, trained = self._clock(), 0.0
        by_shape: dict[Hashable, list[Report]] = {}
        for report in reports:
            by_shape.setdefault(shapes[report.number], []).append(report)
            trained += report.seconds
        for shape, own in by_shape.items():
            rounds = max(Counter(report.number for report in own).values())
            units = len(own) + PROGRAM * rounds
            seconds = sum(report.seconds for report in own)
            self._all.add(seconds, units)
            self._shapes.setdefault(shape, _Sums()).add(seconds, units)
        if trained > 0:
            self.batches += 1
            if slot in self._last:  # else its worker has started meanwhile
                self._wall.add(now - self._last[slot], trained)
            self._last[slot] = now

    def rest(self, slot: int) -> None:
        """Notes that a slot has no members: until it has some, its time is no training."""
        self._last.pop(slot, None)

    def since(self, slot: int) -> float:
        """Returns seconds since the latest batch of a slot; 0 before the first."""
        now = self._clock()
        return now - self._last.get(slot, now)

    @property
    def unit_s(self) -> float | None:
        """Seconds of a unit, whatever the shape; None before the first report."""
        return self._all.ratio

    @property
    def units_s(self) -> dict[Hashable, float]:
        """Seconds of a unit by shape, of the shapes that have reported."""
        found = {shape: sums.ratio for shape, sums in self._shapes.items()}
        return {shape: ratio for shape, ratio in found.items() if ratio is not None}

    @property
    def overhead(self) -> float:
        """A worker's time over what it trains: it also starts, stores and waits for answers."""
        if not self.batches:
            return USUAL
        usual = BATCHES * self._all.seconds / self.batches  # seconds that count for the usual
        found = (self._wall.seconds + USUAL * usual) / (self._wall.units + usual)
        return max(1.0, found)
