"""Cohorts: full ones first, the rest when nothing more is to come, nobody left behind."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.cohorts import Pool, sizes
from search.study import Asked


def asked(number: int) -> Asked:
    return Asked(number, {}, "search", seed=number)


def numbers(cohort: list[Asked]) -> list[int]:
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


def test_a_full_cohort_is_cut_in_order_of_arrival() -> None:
    pool = Pool()
    for number in range(5):
        pool.add("a", asked(number))
    assert numbers(pool.cut(3, more_to_come=True)) == [0, 1, 2]
    assert len(pool) == 2
    assert pool.cut(3, more_to_come=True) == []
    assert numbers(pool.cut(3, more_to_come=False)) == [3, 4]
    assert (len(pool), pool.cut(3, more_to_come=False)) == (0, [])


def test_shapes_never_mix_and_the_largest_group_goes_first() -> None:
    pool = Pool()
    for number, key in enumerate("abbab"):
        pool.add(key, asked(number))
    assert numbers(pool.cut(9, more_to_come=False)) == [1, 2, 4]
    assert numbers(pool.cut(9, more_to_come=False)) == [0, 3]


def test_emptying_takes_all() -> None:
    pool = Pool()
    for number, key in enumerate("abc"):
        pool.add(key, asked(number))
    assert sorted(member.number for member in pool.empty()) == [0, 1, 2]
    assert (len(pool), pool.empty()) == (0, [])


@given(st.lists(st.sampled_from("abcd"), max_size=40), st.integers(1, 9))
def test_everyone_is_cut_exactly_once(keys: list[str], members: int) -> None:
    pool = Pool()
    for number, key in enumerate(keys):
        pool.add(key, asked(number))
    seen: Counter[int] = Counter()
    while cohort := pool.cut(members, more_to_come=False):
        assert len(cohort) <= members
        assert len({keys[member.number] for member in cohort}) == 1
        seen.update(numbers(cohort))
    assert seen == Counter(range(len(keys)))
