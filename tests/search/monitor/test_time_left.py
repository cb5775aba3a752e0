"""How long a search still takes: closed forms, and a search that is replayed."""

from dataclasses import replace
from pathlib import Path
from statistics import median

import pytest

from benchmarks.truth.curves import Curves, read
from benchmarks.truth.replay import NEVER_FLAT, Setup, replay
from search.monitor.outlook import outlook_of
from search.monitor.time_left import Member, Outlook, TimeLeft, time_left
from search.scheduling.cohorts import PROGRAM
from search.scheduling.controller import Controller
from search.scheduling.pace import Pace
from search.scheduling.seed_race import Finalist
from trainable.report import Report

CURVES = Path(__file__).parents[2] / "fixtures" / "strong-0"
ALONE = 1 + PROGRAM  # units of an epoch of a member alone
ONE = Outlook(slots=((Member(4),),), epochs=10, reduction_factor=1, unit_s=2.0, batches=100)


def expected(outlook: Outlook) -> float:
    found = time_left(outlook)
    assert found is not None
    assert found.low <= found.expected <= found.high
    return found.expected


def test_nothing_is_said_before_the_pace_is_known() -> None:
    assert time_left(replace(ONE, unit_s=None)) is None


def test_a_member_takes_its_epochs_and_what_comes_after_training() -> None:
    assert expected(ONE) == pytest.approx(6 * 2.0 * ALONE)
    assert expected(replace(ONE, after_s=7.0)) == pytest.approx(6 * 2.0 * ALONE + 7)
    assert expected(replace(ONE, overhead=1.5)) == pytest.approx(1.5 * 6 * 2.0 * ALONE)
    assert expected(replace(ONE, since_s=(25.0,))) == pytest.approx(6 * 2.0 * ALONE - 25)
    assert expected(replace(ONE, since_s=(999.0,))) == pytest.approx(0)
    at_six = replace(ONE, since_s=(999.0,), rungs=(2, 6, 10))  # there it would have reported
    assert expected(at_six) == pytest.approx(4 * 2.0 * ALONE)
    assert expected(replace(ONE, budget_s=3.0, after_s=7.0)) == 10


def test_members_of_one_shape_share_a_program_and_others_do_not() -> None:
    two = replace(ONE, slots=((Member(4, shape="a"), Member(4, shape="a")),))
    assert expected(two) == pytest.approx(6 * 2.0 * (2 + PROGRAM))
    other = replace(two, slots=((Member(4, shape="a"), Member(4, shape="b")),))
    assert expected(other) == pytest.approx(6 * 2.0 * 2 * ALONE)
    dear = replace(other, units_s={"b": 6.0})
    assert expected(dear) == pytest.approx(6 * (2.0 + 6.0) * ALONE)


def test_workers_train_beside_each_other_and_what_waits_comes_after() -> None:
    assert expected(replace(ONE, slots=((Member(4),), (Member(0),)))) == pytest.approx(20 * ALONE)
    waiting = replace(ONE, members=1, waiting=(Member(0), Member(5)))
    assert expected(waiting) == pytest.approx((6 + 10 + 5) * 2.0 * ALONE)
    unasked = replace(ONE, members=1, unasked=3)
    assert expected(unasked) == pytest.approx((6 + 3 * 10) * 2.0 * ALONE)
    many = replace(ONE, members=1, unasked=400)
    assert expected(many) == pytest.approx(400 * 20 * ALONE, rel=0.02)


def test_a_rung_stops_all_but_one_in_four() -> None:
    slots = (tuple(Member(0, number=n) for n in range(16)),)
    cut = replace(ONE, slots=slots, rungs=(2, 10), reduction_factor=4, members=16)
    whole = 2.0 * (2 * (16 + PROGRAM) + 8 * (4 + PROGRAM))
    assert expected(cut) == pytest.approx(whole, rel=0.15)
    assert expected(replace(cut, reduction_factor=1)) == pytest.approx(20 * (16 + PROGRAM))


def test_trials_end_where_those_before_them_have_ended() -> None:
    seen = replace(ONE, slots=((Member(0),),), reached={n: 400 for n in range(1, 4)})
    assert expected(replace(seen, stopped={3: 400})) == pytest.approx(3 * 2.0 * ALONE)
    assert expected(replace(seen, finished={3: 400})) == pytest.approx(3 * 2.0 * ALONE)
    spared = replace(seen, stopped={3: 400}, slots=((Member(0, "default"),),))
    assert expected(spared) == pytest.approx(10 * 2.0 * ALONE)


def test_the_seeds_of_finalists_are_counted_before_they_are_begun() -> None:
    race = replace(ONE, finalist_seeds=3, slots=((Member(9, number=0),),))
    assert expected(race) == pytest.approx(2.0 * (ALONE + 10 * (2 + PROGRAM)))
    begun = (Finalist(0, (0.5,), begun=3, training=2),)
    seeds = tuple(Member(6, "seed", parent=0) for _ in range(2))
    training = replace(race, slots=(seeds,), finalists=begun)
    assert expected(training) == pytest.approx(2.0 * 4 * (2 + PROGRAM))
    # Where seeds end sooner than a full training, so do the next.
    sooner = replace(training, seed_ends=(8, 8))
    assert expected(sooner) == pytest.approx(2.0 * 2 * (2 + PROGRAM))


@pytest.mark.parametrize(
    ("low", "expected", "high", "said"),
    [
        (200, 240, 260, "about 4 min left"),
        (180, 240, 360, "about 3–6 min left"),
        (41, 60, 71, "about 40–70 s left"),
        (52, 90, 130, "about 50 s to 2 min left"),
        (5000, 7000, 9000, "about 83 min to 2 h 30 min left"),
        (0, 2, 3, "about 2 s left"),
    ],
)
def test_it_is_said_with_a_range_while_it_cannot_be_known(
    low: float, expected: float, high: float, said: str
) -> None:
    assert TimeLeft(expected, low, high).words() == said


def test_time_passes() -> None:
    assert TimeLeft(10.0, 5.0, 20.0).after(7.0) == TimeLeft(3.0, 0.0, 13.0)


def test_the_pace_is_that_of_the_reports() -> None:
    now = [0.0]
    pace = Pace(lambda: now[0])
    assert pace.unit_s is None
    shapes = {0: "a", 1: "a", 2: "b"}
    each = 0.5 * (2 + PROGRAM) / 2  # a member's share of an epoch of two, of 0.5 s a unit
    pace.take(1, [Report(n, 1, 1, {}, each) for n in (0, 1)], shapes)
    now[0] = 30.0
    pace.take(1, [Report(2, e, 1, {}, 2.0 * ALONE) for e in (1, 2)], shapes)
    assert pace.units_s == {"a": pytest.approx(0.5), "b": pytest.approx(2.0)}
    trained = 4 * ALONE
    assert 1 < pace.overhead < 30.0 / trained  # of one batch it is believed in part
    for turn in range(200):
        now[0] += 1.5 * 2.0 * ALONE
        pace.take(1, [Report(2, 3 + turn, 1, {}, 2.0 * ALONE)], shapes)
    assert pace.overhead == pytest.approx(1.5, abs=0.01)
    pace.rest(1)
    now[0] += 5000.0
    pace.take(1, [Report(2, 999, 1, {}, 2.0 * ALONE)], shapes)
    assert pace.overhead == pytest.approx(1.5, abs=0.01)  # it had nobody to train


def test_of_replayed_searches_the_median_is_said_within_a_third() -> None:
    """How many rounds of seeds finalists race is known to nobody: single searches may be off."""
    curves = read(CURVES)
    setup = Setup("ranks", finalist_seeds=3, trials=20, flat=NEVER_FLAT)
    off = []
    for seed in range(3):
        said, whole = _replayed(curves, setup, seed)
        for share in (0.25, 0.5, 0.75):
            now, left = max(one for one in said if one[0] <= share * whole)
            off.append(left / (whole - now) - 1)
    assert median(map(abs, off)) <= 0.35
    assert max(off) < 2.5
    assert min(off) > -0.6


def _replayed(curves: Curves, setup: Setup, seed: int) -> tuple[list[tuple[float, float]], float]:
    """Returns what was said by the time it was said, and how long the search took."""
    said: list[tuple[float, float]] = []

    def look(controller: Controller, now: float) -> None:
        if not said or now - said[-1][0] >= 20:
            epochs = curves.returns.shape[1]
            left = time_left(outlook_of(controller, setup.trials, epochs, setup.reduction_factor))
            said.extend([] if left is None else [(now, left.expected)])

    return said, replay(curves, setup, seed, look).makespan
