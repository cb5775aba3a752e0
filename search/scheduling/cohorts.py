"""Which waiting trials a slot takes in, and which members move to another slot. Pure."""

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from itertools import permutations, product
from typing import NamedTuple

# What an epoch of a cohort costs beside its members, in epochs of one of them: of a small network
# a member alone takes 300 µs a step, one of a cohort of 16 takes 82.
PROGRAM = 3.5
GAIN = 0.9  # to which share the time of the busier of two slots must come down
MOST_MOVES = 8  # between two slots
MOST_OTHERS = 8  # slots that a slot looks at


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


class Move(NamedTuple):
    """Members of one cohort that go to another slot."""

    key: CohortKey
    members: int
    to: int


def moves_out(slot: int, slots: Mapping[int, Mapping[CohortKey, int]]) -> list[Move]:
    """Returns which members a slot gives away, so that the busier of two slots ends sooner.

    A cohort that has dwindled costs nearly as much as a full one. So two of one shape merge where
    each trains beside others; and an idle slot takes a cohort from one that has several, or half of
    its only one. What the other slot gives in turn, it finds when it asks itself.

    Args:
        slot: that gives.
        slots: sizes of the cohorts of each open slot.
    """
    best: list[Move] = []
    least = GAIN
    mine = slots[slot]
    others = sorted((o for o in slots if o != slot), key=lambda o: _load(slots[o]))
    sharing = [other for other in others[1:] if mine.keys() & slots[other].keys()]
    for to in [*others[:1], *sharing][:MOST_OTHERS] if mine else []:
        before = {slot: Counter(mine), to: Counter(slots[to])}
        after = _evened_out(before)
        share = max(map(_load, after.values())) / max(map(_load, before.values()))
        moves = [Move(key, n - after[slot][key], to) for key, n in mine.items()]
        if share < least and any(move.members > 0 for move in moves):
            best, least = [move for move in moves if move.members > 0], share
    return best


def _load(cohorts: Mapping[CohortKey, int]) -> float:
    """Returns what an epoch of all members of a slot costs."""
    return sum(PROGRAM + size for size in cohorts.values() if size)


Pair = dict[int, Counter[CohortKey]]


def _evened_out(pair: Pair) -> Pair:
    """Returns two slots after the moves and exchanges that even them out most, one by one."""
    for _ in range(MOST_MOVES):
        best = min(_changed(pair), key=_unevenness, default=pair)
        if _unevenness(best) > _unevenness(pair) - 1e-9:
            break
        pair = best
    return pair


def _changed(pair: Pair) -> Iterator[Pair]:
    """Yields a pair after each move of a cohort, or of half of one, and each exchange of two."""
    free = {slot: [key for key in cohorts if _may_move(key)] for slot, cohorts in pair.items()}
    for slot, to in permutations(pair):
        for key in free[slot]:
            size = pair[slot][key]
            for members in (size, size // 2) if size > 1 else (size,):
                yield _moved(pair, key, members, slot, to)
    a, b = pair
    for first, second in product(free[a], free[b]):
        if first != second:
            half = _moved(pair, first, pair[a][first], a, b)
            yield _moved(half, second, pair[b][second], b, a)


def _may_move(key: CohortKey) -> bool:
    return key.single is None and key.suspects is None


def _moved(pair: Pair, key: CohortKey, members: int, slot: int, to: int) -> Pair:
    return {
        slot: pair[slot] - Counter({key: members}),
        to: pair[to] + Counter({key: members}),
    }


def _unevenness(pair: Pair) -> float:
    """Returns what is large where one of two slots has much more to do; less is better."""
    return sum(_load(cohorts) ** 4 for cohorts in pair.values())
