"""Which waiting trials a slot takes in. Pure."""

from collections.abc import Hashable, Mapping
from typing import NamedTuple


class CohortKey(NamedTuple):
    """What the members of one cohort share.

    Attributes:
        shape: of their configurations.
        single: number of the only member of a cohort of one.
        suspects: number of a group of trials that have a worker for themselves, of whatever shapes,
            since one of them may have broken the last worker.
    """

    shape: Hashable
    single: int | None = None
    suspects: int | None = None


def members_to_take(
    waiting: Mapping[CohortKey, int],
    here: Mapping[CohortKey, int],
    elsewhere: Mapping[CohortKey, int],
    members: int,
    single_allowed: bool = True,
) -> dict[CohortKey, int]:
    """Returns how many trials of each waiting group a slot takes in.

    - A shape goes to the slot that trains most of it, since one full cohort costs less than two
      halves. A slot that is less than half full also takes shapes that another slot trains.
    - A slot trains one cohort of one at a time, beside other cohorts: two of them would gain
      nothing from each other, and both would end later.
    - An empty slot takes a whole group of suspects before anything else. A slot with a group of
      suspects takes nothing while another group waits.

    Args:
        waiting: how many trials wait in each group, the oldest group first.
        here: sizes of the slot's cohorts.
        elsewhere: sizes of the largest cohorts in other slots.
        members: of a full slot.
        single_allowed: whether a cohort of one may begin here, as far as other slots on the same
            GPU are concerned.
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
    if single_allowed and singles and free > 0 and all(key.single is None for key in here):
        taken[singles[0]] = 1
        free -= 1
    shared = [key for key in trusted if key.single is None]

    def larger_elsewhere(key: CohortKey) -> bool:
        return elsewhere.get(key, 0) > here.get(key, 0)

    def order(key: CohortKey) -> tuple[bool, bool, int, int]:
        return larger_elsewhere(key), key not in here, -here.get(key, 0), -waiting[key]

    for key in sorted(shared, key=order):
        if larger_elsewhere(key) and 2 * (members - free) >= members:
            continue
        count = min(waiting[key], free)
        if count > 0:
            taken[key] = count
            free -= count
    return taken
