"""The pace of a search: steps a second and failed steps, for short epochs and long ones."""

import pytest

from search.monitor.pace import Pace, Spell


def test_nothing_is_reported_yet() -> None:
    pace = Pace()
    assert pace.steps_per_second(5.0, {1}) == 0.0
    assert pace.nan_rate(5.0, {1}) is None


def test_short_epochs_are_counted_over_the_window_and_before_it_is_full_since_the_begin() -> None:
    pace = Pace(window_s=30.0)
    for second in range(1, 101):
        for slot in (1, 2):
            pace.add(slot, Spell(float(second), 1.0, steps=50.0 * slot, failed=0.0))
        if second == 10:
            assert pace.steps_per_second(10.0, {1, 2}) == pytest.approx(150.0)
    assert pace.steps_per_second(100.0, {1, 2}) == pytest.approx(150.0)
    # Both workers are gone: what they did leaves the window second by second.
    assert pace.steps_per_second(115.0, ()) == pytest.approx(75.0)
    assert pace.steps_per_second(131.0, ()) == 0.0


def test_an_epoch_longer_than_the_window_counts_evenly_and_goes_on_until_it_is_late() -> None:
    pace = Pace(window_s=30.0)
    pace.add(1, Spell(120.0, 120.0, steps=1200.0, failed=0.0))
    for now in (120.0, 150.0, 239.0):
        assert pace.steps_per_second(now, {1}) == pytest.approx(10.0)
    assert pace.steps_per_second(150.0, ()) == 0.0  # nobody trains there any more
    assert pace.steps_per_second(255.0, {1}) == pytest.approx(5.0)
    assert pace.steps_per_second(271.0, {1}) == 0.0
    pace.add(1, Spell(240.0, 120.0, steps=2400.0, failed=0.0))
    assert pace.steps_per_second(240.0, {1}) == pytest.approx(20.0)


def test_a_worker_that_waits_between_its_epochs_is_no_faster_for_it() -> None:
    pace = Pace(window_s=30.0)
    for end in (10.0, 20.0, 30.0):
        pace.add(1, Spell(end, 1.0, steps=60.0, failed=0.0))
    assert pace.steps_per_second(39.0, ()) == pytest.approx(6.0)


def test_an_epoch_without_any_time_counts_at_once() -> None:
    pace = Pace(window_s=30.0)
    pace.add(1, Spell(0.0, 0.0, steps=30.0, failed=0.0))
    assert pace.steps_per_second(0.0, {1}) == 0.0
    pace.add(1, Spell(10.0, 0.0, steps=30.0, failed=0.0))
    assert pace.steps_per_second(15.0, {1}) == pytest.approx(2.0)


def test_the_nan_rate_is_that_of_steps_in_the_newest_reports() -> None:
    pace = Pace(window_s=30.0)
    pace.add(1, Spell(1.0, 1.0, steps=100.0, failed=100.0))
    pace.add(2, Spell(50.0, 1.0, steps=300.0, failed=0.0))
    assert pace.nan_rate(51.0, {1, 2}) == 0.25  # the newest of the first worker is an old one
    assert pace.nan_rate(51.0, {2}) == 0.0
    pace.add(1, Spell(52.0, 1.0, steps=100.0, failed=2.0))
    assert pace.nan_rate(52.0, {1, 2}) == pytest.approx(2 / 400)
    assert pace.nan_rate(200.0, ()) is None


def test_what_has_left_the_window_is_forgotten() -> None:
    pace = Pace(window_s=30.0)
    for second in range(10_000):
        pace.add(1, Spell(float(second), 1.0, steps=1.0, failed=0.0))
    assert len(pace._past) <= 30
