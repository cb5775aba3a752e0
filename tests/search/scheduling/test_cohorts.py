"""Who goes to which slot: shapes stay together, slots stay busy, nobody is left behind."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.scheduling.cohorts import CohortKey, Slots, WaitingQueue, places, sizes
from search.study.study import TrialSpec


def asked(number: int) -> TrialSpec:
    return TrialSpec(number, {}, "search", seed=number)


A, B, C = CohortKey("a"), CohortKey("b"), CohortKey("c")
LARGE, OTHER = CohortKey("d", 8), CohortKey("d", 9)
ONE, TWO, REST = CohortKey("a", suspects=1), CohortKey("b", suspects=1), CohortKey("a", suspects=2)


def numbers(cohort: list[TrialSpec]) -> list[int]:
    return [member.number for member in cohort]


@pytest.mark.parametrize(
    ("trials", "slots", "cohort", "untold", "members"),
    [
        (8, 1, None, 16, 16),
        (64, 2, None, 16, 8),
        (1024, 2, None, 128, 64),
        (1024, 16, None, 128, 8),
        (64, 3, None, 16, 6),
        (64, 2, 1, 16, 1),
        (64, 2, 32, 64, 32),  # a size set by hand fills every slot
    ],
)
def test_untold_trials_are_few_and_shared_over_the_slots(
    trials: int, slots: int, cohort: int | None, untold: int, members: int
) -> None:
    found = sizes(trials, slots, cohort)
    assert (found.slots, found.untold, found.members) == (slots, untold, members)
    assert found.members * slots >= found.untold or cohort is not None


def test_the_pool_gives_the_longest_waiting_of_a_group() -> None:
    pool = WaitingQueue()
    for number, key in enumerate([A, B, A, A]):
        pool.add(key, asked(number))
    assert pool.counts() == {A: 3, B: 1}
    assert numbers(pool.take(A, 2)) == [0, 2]
    assert numbers(pool.take(A, 2)) == [3]
    assert (len(pool), pool.counts()) == (1, {B: 1})
    assert [member.number for member in pool.drain()] == [1]
    assert (len(pool), pool.drain()) == (0, [])


def test_the_roster_knows_who_trains_where() -> None:
    roster = Slots()
    roster.cohorts = 4
    roster.open(1)
    roster.open(2)
    assert [roster.join(1, A, 10), roster.join(1, A, 11), roster.join(2, A, 12)] == [5, 5, 6]
    assert roster.join(1, B, 13) == 7
    assert roster.running == {1: {10, 11, 13}, 2: {12}}
    assert (roster.here(1), roster.elsewhere(1)) == ({A: 2, B: 1}, {A: 1})
    roster.leave(2, 12)
    assert roster.elsewhere(1) == {}
    assert roster.join(2, A, 14) == 8  # another cohort of that shape
    assert roster.close(1) == [10, 11, 13]
    assert roster.close(1) == []


def test_a_shape_goes_to_the_slot_that_has_most_of_it() -> None:
    assert places({A: 5, B: 3, C: 4}, {B: 2}, {A: 1}, 8) == {B: 3, C: 3}
    assert places({A: 5}, {B: 5}, {A: 1}, 8) == {}  # more than half full: others have A
    assert places({A: 5}, {B: 4, A: 1}, {A: 2}, 8) == {}  # others have more of it
    assert places({A: 5}, {B: 4, A: 1}, {A: 1}, 8) == {A: 3}
    assert places({A: 5}, {B: 3}, {A: 1}, 8) == {A: 5}
    assert places({A: 9}, {}, {}, 8) == {A: 8}
    assert places({A: 9}, {A: 8}, {}, 8) == {}


def test_who_may_have_broken_its_worker_has_an_empty_slot_with_its_group() -> None:
    assert places({A: 3, ONE: 4, REST: 5, TWO: 2}, {}, {}, 8) == {ONE: 4, TWO: 2}
    assert places({REST: 9}, {}, {}, 8) == {REST: 9}  # a group stays together
    assert places({ONE: 1, A: 3}, {B: 1}, {}, 8) == {A: 3}
    assert places({ONE: 1}, {B: 1}, {}, 8) == {}
    assert places({ONE: 1, A: 3}, {REST: 1}, {}, 8) == {}  # so that its turn comes
    assert places({A: 3}, {REST: 1}, {}, 8) == {A: 3}


def test_cohorts_of_one_train_beside_others_one_in_a_slot() -> None:
    assert places({LARGE: 1, OTHER: 1, A: 3}, {}, {}, 8) == {LARGE: 1, A: 3}
    assert places({A: 3, OTHER: 1}, {B: 7}, {}, 8) == {OTHER: 1}
    assert places({A: 3, OTHER: 1}, {B: 5}, {}, 8) == {OTHER: 1, A: 2}
    assert places({OTHER: 1, A: 3}, {LARGE: 1}, {}, 8) == {A: 3}
    assert places({OTHER: 1}, {A: 8}, {}, 8) == {}
    assert places({ONE: 1, OTHER: 1}, {A: 1}, {}, 8) == {OTHER: 1}
    assert places({LARGE: 1, A: 3}, {}, {}, 8, lone=False) == {A: 3}


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
    taken = places(waiting, here, elsewhere, members)
    assert all(0 < count <= waiting[key] for key, count in taken.items())
    assert sum(taken.values()) <= max(0, members - sum(here.values()))
    assert taken or here or not waiting
