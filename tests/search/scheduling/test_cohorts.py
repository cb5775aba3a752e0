"""Which trials a slot takes in: shapes stay together, slots stay busy, nobody is left behind."""

from hypothesis import given
from hypothesis import strategies as st

from search.scheduling.cohorts import CohortKey, members_to_take

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
