"""Which trial trains in which slot. A slot holds one worker."""

from search.scheduling.cohorts import CohortKey


class Slots:
    """The open slots and their members, in cohorts by what the members share.

    Attributes:
        cohorts: the number of cohort ids given so far.
        changes: how often a member came or went, or a slot was opened or closed.
    """

    def __init__(self) -> None:
        self.cohorts = self.changes = 0
        self._slots: dict[int, dict[CohortKey, set[int]]] = {}
        self._ids: dict[tuple[int, CohortKey], int] = {}

    @property
    def running(self) -> dict[int, set[int]]:
        """The members of every open slot."""
        return {slot: self.members(slot) for slot in self._slots}

    @property
    def keys(self) -> set[CohortKey]:
        """The keys of all cohorts in all slots."""
        return {key for cohorts in self._slots.values() for key in cohorts}

    def members(self, slot: int) -> set[int]:
        """Returns the members of a slot; none of one that is not open."""
        return set().union(*self._slots.get(slot, {}).values())

    def open(self, slot: int) -> None:
        """Opens an empty slot."""
        self.changes += 1
        self._slots[slot] = {}

    def close(self, slot: int) -> list[int]:
        """Closes a slot; returns the members that were still in it."""
        self.changes += 1
        left = sorted(self.members(slot))
        for key in self._slots.pop(slot, {}):
            del self._ids[slot, key]
        return left

    def add(self, slot: int, key: CohortKey, number: int) -> int:
        """Adds a member to the slot's cohort of this key; returns the cohort's id."""
        self.changes += 1
        if key not in self._slots[slot]:
            self.cohorts += 1
            self._slots[slot][key] = set()
            self._ids[slot, key] = self.cohorts
        self._slots[slot][key].add(number)
        return self._ids[slot, key]

    def remove(self, slot: int, number: int) -> None:
        """Takes a member out of its slot."""
        self.changes += 1
        for key, members in list(self._slots[slot].items()):
            members.discard(number)
            if not members:
                del self._slots[slot][key], self._ids[slot, key]

    def cohort(self, slot: int, key: CohortKey) -> frozenset[int]:
        """Returns the members of a slot's cohort of this key; none where it has no such cohort."""
        return frozenset(self._slots[slot].get(key, ()))

    def trains_alone(self, slot: int) -> bool:
        """Says whether one of a slot's cohorts is a cohort of one."""
        return any(key.single is not None for key in self._slots.get(slot, {}))

    def sizes(self, slot: int) -> dict[CohortKey, int]:
        """Returns the sizes of a slot's cohorts."""
        return {key: len(members) for key, members in self._slots[slot].items()}

    def largest_elsewhere(self, slot: int) -> dict[CohortKey, int]:
        """Returns, for each key, the size of the largest cohort in all other slots."""
        largest: dict[CohortKey, int] = {}
        for other, cohorts in self._slots.items():
            for key, members in cohorts.items() if other != slot else ():
                largest[key] = max(len(members), largest.get(key, 0))
        return largest
