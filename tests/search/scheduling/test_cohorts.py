"""Which trials a slot takes in and gives away: shapes stay together, slots busy, nobody is lost."""

from collections import Counter
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.scheduling.cohorts import PROGRAM, CohortKey, Move, members_to_take, moves_out

A, B, C = CohortKey("a"), CohortKey("b"), CohortKey("c")
LARGE, OTHER = CohortKey("d", 8), CohortKey("d", 9)
ONE, TWO, REST = CohortKey("a", suspects=1), CohortKey("b", suspects=1), CohortKey("a", suspects=2)


def test_a_shape_goes_to_the_slot_that_has_most_of_it() -> None:
    assert members_to_take({A: 5, B: 3, C: 4}, {B: 2}, {A: 1}, 8) == {B: 3, C: 3}
    assert members_to_take({A: 5}, {B: 5}, {A: 1}, 8) == {}  # more than half full: others have A
    assert members_to_take({A: 5}, {B: 4, A: 1}, {A: 2}, 8) == {}  # others have more of it
    assert members_to_take({A: 5}, {B: 4, A: 1}, {A: 1}, 8) == {A: 3}
    assert members_to_take({A: 5}, {B: 3}, {A: 1}, 8) == {A: 5}
    assert members_to_take({A: 9}, {}, {}, 8) == {A: 8}
    assert members_to_take({A: 9}, {A: 8}, {}, 8) == {}


def test_who_may_have_broken_its_worker_has_an_empty_slot_with_its_group() -> None:
    assert members_to_take({A: 3, ONE: 4, REST: 5, TWO: 2}, {}, {}, 8) == {ONE: 4, TWO: 2}
    assert members_to_take({REST: 9}, {}, {}, 8) == {REST: 9}  # a group stays together
    assert members_to_take({ONE: 1, A: 3}, {B: 1}, {}, 8) == {A: 3}
    assert members_to_take({ONE: 1}, {B: 1}, {}, 8) == {}
    assert members_to_take({ONE: 1, A: 3}, {REST: 1}, {}, 8) == {}  # so that its turn comes
    assert members_to_take({A: 3}, {REST: 1}, {}, 8) == {A: 3}


def test_cohorts_of_one_train_beside_others_one_in_a_slot() -> None:
    assert members_to_take({LARGE: 1, OTHER: 1, A: 3}, {}, {}, 8) == {LARGE: 1, A: 3}
    assert members_to_take({A: 3, OTHER: 1}, {B: 7}, {}, 8) == {OTHER: 1}
    assert members_to_take({A: 3, OTHER: 1}, {B: 5}, {}, 8) == {OTHER: 1, A: 2}
    assert members_to_take({OTHER: 1, A: 3}, {LARGE: 1}, {}, 8) == {A: 3}
    assert members_to_take({OTHER: 1}, {A: 8}, {}, 8) == {}
    assert members_to_take({ONE: 1, OTHER: 1}, {A: 1}, {}, 8) == {OTHER: 1}
    assert members_to_take({LARGE: 1, A: 3}, {}, {}, 8, single_allowed=False) == {A: 3}


@given(
    st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 9)),
    st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 4)),
    st.dictionaries(st.sampled_from([A, B, C]), st.integers(1, 4)),
    st.integers(1, 12),
)
def test_a_slot_takes_no_more_than_it_has_places_and_an_empty_one_takes_somebody(
    waiting: dict[CohortKey, int],
    here: dict[CohortKey, int],
    elsewhere: dict[CohortKey, int],
    members: int,
) -> None:
    taken = members_to_take(waiting, here, elsewhere, members)
    assert all(0 < count <= waiting[key] for key, count in taken.items())
    assert sum(taken.values()) <= max(0, members - sum(here.values()))
    assert taken or here or not waiting


X, Y, Z = (CohortKey(shape) for shape in "XYZ")


def time_of(slots: Mapping[int, Mapping[CohortKey, int]]) -> float:
    """What an epoch of the busiest slot takes."""
    return max(sum(PROGRAM + n for n in cohorts.values() if n) for cohorts in slots.values())


@pytest.mark.parametrize(
    ("slots", "moves"),
    [
        ({1: {X: 1, Y: 1}, 2: {X: 1}}, [Move(X, 1, 2)]),  # they merge
        ({1: {X: 1, Y: 1}, 2: {X: 1, Y: 1}}, [Move(X, 1, 2)]),  # and 2 gives Y in turn
        ({1: {Y: 1}, 2: {X: 2, Y: 1}}, []),  # 2 gives it when it asks
        ({1: {X: 1, Y: 1}, 2: {}}, [Move(X, 1, 2)]),  # the idle one takes a whole cohort
        ({1: {X: 5}, 2: {}}, [Move(X, 2, 2)]),  # or half of the only one
        ({1: {X: 1}, 2: {}}, []),  # one member trains on one machine
        ({1: {X: 1}, 2: {X: 1}}, []),  # two programs side by side are quicker than one
        ({1: {X: 9, Y: 9}, 2: {X: 8, Y: 9}}, [Move(X, 9, 2)]),
        ({1: {X: 30}, 2: {Y: 30}}, []),
        ({1: {}, 2: {X: 3}}, []),
        ({1: {X: 1, Y: 1}}, []),
        ({1: {CohortKey("X", 7): 1, CohortKey("Y", 8): 1}, 2: {}}, []),  # each trains alone
        ({1: {CohortKey("X", None, 1): 1, Y: 1}, 2: {}}, [Move(Y, 1, 2)]),  # suspects stay
    ],
)
def test_dwindled_cohorts_merge_and_idle_slots_get_work(
    slots: dict[int, dict[CohortKey, int]], moves: list[Move]
) -> None:
    assert moves_out(1, slots, 64) == moves


@given(
    st.dictionaries(
        st.integers(1, 4),
        st.dictionaries(st.sampled_from([X, Y, Z]), st.integers(1, 12)),
        min_size=1,
    )
)
def test_slots_that_give_in_turn_come_to_rest_and_no_member_is_lost(
    slots: dict[int, dict[CohortKey, int]],
) -> None:
    total = Counter({key: sum(c.get(key, 0) for c in slots.values()) for key in (X, Y, Z)})
    before, quiet = time_of(slots), 0
    for slot in list(slots) * 12:
        moves = moves_out(slot, slots, 64)
        for key, members, to in moves:
            slots[slot][key] -= members
            slots[to][key] = slots[to].get(key, 0) + members
        slots = {s: {key: n for key, n in c.items() if n} for s, c in slots.items()}
        quiet = 0 if moves else quiet + 1
    assert quiet >= len(slots)
    assert time_of(slots) <= before
    assert Counter({key: sum(c.get(key, 0) for c in slots.values()) for key in total}) == total


def test_cohorts_that_would_be_two_programs_all_the_same_do_not_merge() -> None:
    slots = {1: {X: 10, Y: 10}, 2: {X: 10, Y: 10}}
    assert moves_out(1, slots, 64) == [Move(X, 10, 2)]
    assert moves_out(1, slots, 16) == []


def test_what_is_held_stays_and_no_half_of_an_exchange_is_made() -> None:
    slots = {1: {X: 1, Y: 1}, 2: {X: 1, Y: 1}}
    assert moves_out(1, slots, 64, {(1, X), (1, Y)}) == []
    assert moves_out(1, slots, 64, {(1, X)}) == [Move(Y, 1, 2)]
    assert moves_out(1, slots, 64, {(2, X), (2, Y)}) == []
