"""Which waiting trials a slot takes in, and which members move to another slot. Pure."""

from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

# What an epoch of a cohort costs beside its members, in epochs of one of them: of a small network
# a member alone takes 300 µs a step, one of a cohort of 16 takes 82.
PROGRAM = 3.5
WORTH_MOVING = 0.9  # the time of the busier of two slots then, over what it is
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


def moves_out(
    slot: int,
    slots: Mapping[int, Mapping[CohortKey, int]],
    limit: int,
    held: Container[tuple[int, CohortKey]] = (),
) -> list[Move]:
    """Returns which members a slot gives away, so that the busier of two slots ends sooner.

    A cohort that has dwindled costs nearly as much as a full one. So two of one shape merge where
    each trains beside others; and an idle slot takes a cohort from one that has several, or half of
    its only one. What the other slot gives in turn, it finds when it asks itself.

    Args:
        slot: that gives.
        slots: sizes of the cohorts of each slot that takes members in.
        limit: members of one program at most; a shape may train best in smaller ones.
        held: cohorts, by slot and key, that stay where they are.
    """
    free = {
        at: [key for key in sizes if _may_move(key) and (at, key) not in held]
        for at, sizes in slots.items()
    }
    others = sorted((at for at in slots if at != slot), key=lambda at: _load(slots[at], limit))
    sharing = [at for at in others[1:] if slots[slot].keys() & slots[at].keys()]
    best: list[Move] = []
    least = WORTH_MOVING
    for to in [*others[:1], *sharing][:MOST_OTHERS] if slots[slot] else []:
        pair = slots[slot], slots[to]
        before = max(_load(sizes, limit) for sizes in pair)
        given, after = _evened_out(*pair, free[slot], free[to], limit)
        moves = [Move(key, members, to) for key, members in given.items() if members > 0]
        if moves and after < least * before:
            best, least = moves, after / before
    return best


def _evened_out(
    here: Mapping[CohortKey, int],
    there: Mapping[CohortKey, int],
    gives: Sequence[CohortKey],
    takes: Sequence[CohortKey],
    limit: int,
) -> tuple[dict[CohortKey, int], float]:
    """Evens out two slots by the moves and exchanges that do it most, one by one.

    Returns:
        How many members of each cohort `here` gives, below 0 where it gets some; and what an epoch
        of the busier slot costs then.
    """
    mine, theirs = dict(here), dict(there)
    for key in (*here, *there):
        mine.setdefault(key, 0)
        theirs.setdefault(key, 0)
    loads = _load(mine, limit), _load(theirs, limit)
    for _ in range(MOST_MOVES):
        best, least, after = None, _unevenness(*loads), loads
        for option in _options(mine, theirs, gives, takes):
            a, b = loads
            for key, n in option:
                a += _cost(mine[key] - n, limit) - _cost(mine[key], limit)
                b += _cost(theirs[key] + n, limit) - _cost(theirs[key], limit)
            if _unevenness(a, b) < least - 1e-9:
                best, least, after = option, _unevenness(a, b), (a, b)
        if best is None:
            break
        for key, n in best:
            mine[key] -= n
            theirs[key] += n
        loads = after
    return {key: n - mine[key] for key, n in here.items()}, max(loads)


def _options(
    mine: Mapping[CohortKey, int],
    theirs: Mapping[CohortKey, int],
    gives: Sequence[CohortKey],
    takes: Sequence[CohortKey],
) -> Iterator[tuple[tuple[CohortKey, int], ...]]:
    """Yields each move of a cohort, or of half of one, and each exchange of two."""
    out = [(key, mine[key]) for key in gives if mine[key]]
    back = [(key, -theirs[key]) for key in takes if theirs[key]]
    for key, n in (*out, *back):
        yield ((key, n),)
        if abs(n) > 1:
            yield ((key, int(n / 2)),)
    for one, other in product(out, back):
        if one[0] != other[0]:
            yield one, other


def _may_move(key: CohortKey) -> bool:
    return key.single is None and key.suspects is None


def _load(sizes: Mapping[CohortKey, int], limit: int) -> float:
    """Returns what an epoch of all members of a slot costs."""
    return sum(_cost(size, limit) for size in sizes.values())


def _cost(size: int, limit: int) -> float:
    """Returns what an epoch of so many members of one shape costs."""
    return PROGRAM * -(-size // limit) + size


def _unevenness(a: float, b: float) -> float:
    """Returns what is large where one of two slots has much more to do; less is better."""
    return a**4 + b**4
