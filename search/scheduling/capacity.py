"""How many trials are in flight, and how many of them train in one slot."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Capacity:
    """What the machines hold at once.

    Attributes:
        slots: workers.
        in_flight: searched trials without an end, at most: more of them would leave the sampler
            guessing.
        members: of one slot, of whatever shapes.
        opened: slots that are open at most: more than `slots` where machines may still come.
    """

    slots: int
    in_flight: int
    members: int
    opened: int


def capacity_of(trials: int, slots: int, cohort: int | None, wanted: int = 0) -> Capacity:
    """Returns the capacity for a search.

    Trials in flight are at most max(16, trials ÷ 8), or one for each slot. They are shared out over
    the slots.

    Args:
        trials: of the search.
        slots: workers that the machines hold at once.
        cohort: members of a slot, set by hand; None: by the rule above.
        wanted: slots that are opened though their machines are still to come.
    """
    in_flight = max(16, trials // 8, slots)
    opened = max(slots, wanted)
    if cohort is not None:
        return Capacity(slots, max(in_flight, cohort * slots), cohort, opened)
    return Capacity(slots, in_flight, math.ceil(in_flight / slots), opened)
