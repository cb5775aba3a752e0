"""How many trials are in flight, and how many of them train in one slot."""

import pytest

from search.scheduling.capacity import capacity_of


@pytest.mark.parametrize(
    ("trials", "slots", "cohort", "in_flight", "members"),
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
def test_trials_in_flight_are_few_and_shared_over_the_slots(
    trials: int, slots: int, cohort: int | None, in_flight: int, members: int
) -> None:
    found = capacity_of(trials, slots, cohort)
    assert (found.slots, found.in_flight, found.members) == (slots, in_flight, members)
    assert found.members * slots >= found.in_flight or cohort is not None


def test_slots_are_opened_for_machines_that_may_still_come() -> None:
    assert [capacity_of(8, 2, None, wanted).opened for wanted in (0, 1, 5)] == [2, 2, 5]
    assert capacity_of(8, 2, None, wanted=5).slots == 2
