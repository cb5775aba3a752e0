"""Which asked trials train together: pools by shape, from which cohorts are cut. Pure."""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from search.study import Asked


@dataclass(frozen=True)
class Sizes:
    """How many trials are in flight, and how many train as one.

    Attributes:
        slots: cohorts that train at once.
        untold: asked trials in flight at most: more of them would leave the sampler guessing.
        members: of one cohort at most.
    """

    slots: int
    untold: int
    members: int


def sizes(trials: int, slots: int, cohort: int | None) -> Sizes:
    """Returns the sizes for a search of so many trials on so many slots.

    Untold trials stay within max(16, trials ÷ 8) and are shared out over the slots, unless
    `cohort` sets the members by hand.
    """
    untold = max(16, trials // 8)
    if cohort is not None:
        return Sizes(slots, max(untold, cohort * slots), cohort)
    return Sizes(slots, untold, math.ceil(untold / slots))


class Pool:
    """Trials that wait for a place, by what members of one cohort must share."""

    def __init__(self) -> None:
        self._waiting: dict[Hashable, list[Asked]] = {}

    def __len__(self) -> int:
        """Trials that wait."""
        return sum(len(group) for group in self._waiting.values())

    def add(self, key: Hashable, asked: Asked) -> None:
        """Lets a trial wait among those of its shape."""
        self._waiting.setdefault(key, []).append(asked)

    def cut(self, members: int, more_to_come: bool) -> list[Asked]:
        """Takes a cohort out: a full one, or the largest there is when no more are to come.

        Args:
            members: of a full cohort.
            more_to_come: trials are being asked right now; it is worth waiting for them.

        Returns:
            The cohort, the longest waiting first; empty where there is none (yet).
        """
        if not self._waiting:
            return []
        key = max(self._waiting, key=lambda k: min(len(self._waiting[k]), members))
        group = self._waiting[key]
        if len(group) < members and more_to_come:
            return []
        cohort, rest = group[:members], group[members:]
        if rest:
            self._waiting[key] = rest
        else:
            del self._waiting[key]
        return cohort

    def empty(self) -> Sequence[Asked]:
        """Takes all out."""
        waiting = [asked for group in self._waiting.values() for asked in group]
        self._waiting.clear()
        return waiting
