"""Which asked trials train together, and where: the waiting, the slots, who goes to which. Pure."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from search.study.study import TrialSpec


class CohortKey(NamedTuple):
    """What the members of one cohort share.

    Attributes:
        shape: of their configurations.
        single: number of the only member of a cohort of one.
        suspects: number of a group that has a worker for itself, of whatever shapes, since one of
            them may have broken the last one.
    """

    shape: Hashable
    single: int | None = None
    suspects: int | None = None


@dataclass(frozen=True)
class Capacity:
    """How many trials are in flight, and how many train in one slot.

    Attributes:
        slots: workers that the machines hold at once.
        untold: asked trials in flight at most: more of them would leave the sampler guessing.
        members: of one slot, of whatever shapes.
        opened: slots open at most: more than there are where machines may come.
    """

    slots: int
    untold: int
    members: int
    opened: int


def sizes(trials: int, slots: int, cohort: int | None, wanted: int = 0) -> Capacity:
    """Returns the sizes for a search of so many trials on so many slots.

    Untold trials stay within max(16, trials ÷ 8), or one for each slot, and are shared out over
    the slots, unless `cohort` sets the members by hand. `wanted` slots wait for machines to come.
    """
    untold = max(16, trials // 8, slots)
    opened = max(slots, wanted)
    if cohort is not None:
        return Capacity(slots, max(untold, cohort * slots), cohort, opened)
    return Capacity(slots, untold, math.ceil(untold / slots), opened)


class WaitingQueue:
    """Trials that wait for a place, by what members of one cohort share."""

    def __init__(self) -> None:
        self._waiting: dict[CohortKey, list[TrialSpec]] = {}

    def __len__(self) -> int:
        """Trials that wait."""
        return sum(len(group) for group in self._waiting.values())

    def counts(self) -> dict[CohortKey, int]:
        """Returns how many wait of each group, the group that came first before the others."""
        return {key: len(group) for key, group in self._waiting.items()}

    def add(self, key: CohortKey, asked: TrialSpec) -> None:
        """Lets a trial wait among those of its shape."""
        self._waiting.setdefault(key, []).append(asked)

    def take(self, key: CohortKey, count: int) -> list[TrialSpec]:
        """Takes up to so many of a group out, the longest waiting first."""
        group = self._waiting.pop(key)
        if rest := group[count:]:
            self._waiting[key] = rest
        return group[:count]

    def give(self, count: int, may: Callable[[TrialSpec], bool]) -> list[TrialSpec]:
        """Takes up to so many out that may go, those first that would wait the longest."""
        given: list[TrialSpec] = []
        for key, group in reversed(list(self._waiting.items())):
            going = [asked for asked in reversed(group) if may(asked)][: count - len(given)]
            given += going
            self._waiting[key] = [asked for asked in group if asked not in going]
            if not self._waiting[key]:
                del self._waiting[key]
        return given

    def drain(self) -> Sequence[TrialSpec]:
        """Takes all out."""
        waiting = [asked for group in self._waiting.values() for asked in group]
        self._waiting.clear()
        return waiting


class Slots:
    """Who trains in which slot, in cohorts by what their members share."""

    def __init__(self) -> None:
        self.cohorts = 0  # ids given so far
        self._slots: dict[int, dict[CohortKey, set[int]]] = {}
        self._ids: dict[tuple[int, CohortKey], int] = {}

    @property
    def running(self) -> dict[int, set[int]]:
        """The members of every open slot."""
        return {slot: self.members(slot) for slot in self._slots}

    @property
    def keys(self) -> set[CohortKey]:
        """Returns what the cohorts of all slots share."""
        return {key for cohorts in self._slots.values() for key in cohorts}

    def members(self, slot: int) -> set[int]:
        """Returns the numbers that train in a slot; none in one that is not open."""
        return set().union(*self._slots.get(slot, {}).values())

    def open(self, slot: int) -> None:
        """Opens an empty slot."""
        self._slots[slot] = {}

    def close(self, slot: int) -> list[int]:
        """Closes a slot; returns who was still in it."""
        left = sorted(self.members(slot))
        for key in self._slots.pop(slot, {}):
            del self._ids[slot, key]
        return left

    def join(self, slot: int, key: CohortKey, number: int) -> int:
        """Enters a member into a slot's cohort of its kind; returns the cohort's id."""
        if key not in self._slots[slot]:
            self.cohorts += 1
            self._slots[slot][key] = set()
            self._ids[slot, key] = self.cohorts
        self._slots[slot][key].add(number)
        return self._ids[slot, key]

    def trains_alone(self, slot: int) -> bool:
        """Says whether one of a slot's cohorts is a cohort of one."""
        return any(key.single is not None for key in self._slots.get(slot, {}))

    def leave(self, slot: int, number: int) -> None:
        """Takes a member out of its slot."""
        for key, members in list(self._slots[slot].items()):
            members.discard(number)
            if not members:
                del self._slots[slot][key], self._ids[slot, key]

    def here(self, slot: int) -> dict[CohortKey, int]:
        """Returns the sizes of a slot's cohorts."""
        return {key: len(members) for key, members in self._slots[slot].items()}

    def elsewhere(self, slot: int) -> dict[CohortKey, int]:
        """Returns the size of the largest cohort of each kind that another slot trains."""
        largest: dict[CohortKey, int] = {}
        for other, cohorts in self._slots.items():
            for key, members in cohorts.items() if other != slot else ():
                largest[key] = max(len(members), largest.get(key, 0))
        return largest


def places(
    waiting: Mapping[CohortKey, int],
    here: Mapping[CohortKey, int],
    elsewhere: Mapping[CohortKey, int],
    members: int,
    lone: bool = True,
) -> dict[CohortKey, int]:
    """Returns how many of each waiting group a slot takes in.

    A shape goes to the slot that trains most of it, since one full cohort costs less than two
    halves; a slot that is less than half full also takes shapes of others. A cohort of one trains
    beside others, one at a time: two would gain nothing from each other, and both end later. An
    empty slot takes a group of suspects, all of it, before anybody else; one that has such a group
    takes nobody while another waits.

    Args:
        waiting: how many wait of each group, the first to come first.
        here: sizes of the slot's cohorts.
        elsewhere: sizes of the largest cohorts in other slots.
        members: of a full slot.
        lone: whether a cohort of one may begin here, as far as others on its GPU are concerned.
    """
    groups = [key.suspects for key in waiting if key.suspects is not None]
    if groups and not here:
        return {key: count for key, count in waiting.items() if key.suspects == groups[0]}
    if groups and any(key.suspects is not None for key in here):
        return {}  # the next group follows when this one has ended
    trusted = [key for key in waiting if key.suspects is None]
    free = members - sum(here.values())
    taken: dict[CohortKey, int] = {}
    singles = [key for key in trusted if key.single is not None]
    if lone and singles and free > 0 and all(key.single is None for key in here):
        taken[singles[0]] = 1
        free -= 1
    shared = [key for key in trusted if key.single is None]

    def late(key: CohortKey) -> tuple[bool, bool, int, int]:
        return foreign(key), key not in here, -here.get(key, 0), -waiting[key]

    def foreign(key: CohortKey) -> bool:
        return elsewhere.get(key, 0) > here.get(key, 0)

    for key in sorted(shared, key=late):
        if foreign(key) and 2 * (members - free) >= members:
            continue
        count = min(waiting[key], free)
        if count > 0:
            taken[key] = count
            free -= count
    return taken
