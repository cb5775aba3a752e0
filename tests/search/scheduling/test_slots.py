"""Who trains in which slot, in which cohort."""

from search.scheduling.cohorts import CohortKey
from search.scheduling.slots import Slots

A, B, ALONE = CohortKey("a"), CohortKey("b"), CohortKey("a", single=3)


def test_slots_know_who_trains_where() -> None:
    slots = Slots()
    slots.cohorts = 4
    slots.open(1)
    slots.open(2)
    assert [slots.add(1, A, 10), slots.add(1, A, 11), slots.add(2, A, 12)] == [5, 5, 6]
    assert slots.add(1, B, 13) == 7
    assert slots.running == {1: {10, 11, 13}, 2: {12}}
    assert (slots.sizes(1), slots.largest_elsewhere(1)) == ({A: 2, B: 1}, {A: 1})
    slots.remove(2, 12)
    assert slots.largest_elsewhere(1) == {}
    assert slots.add(2, A, 14) == 8  # another cohort of that shape
    assert slots.close(1) == [10, 11, 13]
    assert slots.close(1) == []


def test_a_slot_trains_alone_while_it_has_a_cohort_of_one() -> None:
    slots = Slots()
    slots.open(1)
    slots.open(2)
    slots.add(1, A, 2)
    assert slots.add(1, ALONE, 3) != slots.add(1, A, 4)
    assert [slots.trains_alone(slot) for slot in (1, 2, 3)] == [True, False, False]
    assert slots.keys == {A, ALONE}
    slots.remove(1, 3)
    assert not slots.trains_alone(1)
    assert slots.keys == {A}
