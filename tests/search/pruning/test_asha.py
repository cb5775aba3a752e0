"""Where rungs stand, and who is cut there when several arrive together."""

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from search.pruning.asha import Rungs, first_rung, rung_epochs
from search.pruning.history import mean_of_finite
from search.pruning.rung_rules import Means
from tests.fixtures.curves import shown
from trainable.cli.errors import UserError

values = st.one_of(st.none(), st.floats(-1e6, 1e6))


def test_first_rung_is_the_first_epoch_that_ends_after_the_warm_up() -> None:
    assert first_rung(0, 100) == 1
    assert first_rung(99, 100) == 1
    assert first_rung(100, 100) == 2
    assert first_rung(5000, 2350) == 3


def test_rungs_stand_at_powers_of_the_factor_and_at_the_last_epoch() -> None:
    assert rung_epochs(50, 1, 4) == (1, 4, 16, 50)
    assert rung_epochs(16, 1, 4) == (1, 4, 16)
    assert rung_epochs(50, 3, 4) == (3, 12, 48, 50)
    assert rung_epochs(100, 2, 3) == (2, 6, 18, 54, 100)


def test_warm_up_longer_than_the_training_leaves_the_last_rung_only() -> None:
    assert rung_epochs(5, 9, 4) == (5,)
    assert rung_epochs(1, 1, 4) == (1,)


def test_rungs_by_hand_get_the_last_epoch() -> None:
    assert rung_epochs(10, 1, 4, (1, 4, 10)) == (1, 4, 10)
    assert rung_epochs(50, 1, 4, (5, 20)) == (5, 20, 50)


@pytest.mark.parametrize(
    ("given_rungs", "message"),
    [
        ((4, 1), "rungs=4,1: the epochs must increase"),
        ((2, 2), "must increase"),
        ((0, 4), "rungs=0,4: every rung must lie in 1 … 10"),
        ((4, 11), r"rungs=4,11: every rung must lie in 1 … 10 \(epochs=10\)"),
        ((), "empty"),
    ],
)
def test_bad_rungs_by_hand_are_the_persons_error(given_rungs, message: str) -> None:
    with pytest.raises(UserError, match=message):
        rung_epochs(10, 1, 4, given_rungs)


def test_a_reduction_factor_of_one_is_the_persons_error() -> None:
    with pytest.raises(UserError, match="reduction_factor=1"):
        rung_epochs(10, 1, 1)


def test_values_that_arrive_together_are_judged_against_all_others() -> None:
    verdicts = Rungs((1, 4), 4).judge(1, shown({number: float(number) for number in range(8)}))
    kept = [number for number, verdict in verdicts.items() if not verdict.ends]
    assert kept == [5, 6, 7]  # 5 lies on the cutoff of its seven others, and equal is not below
    assert verdicts[4].reason == "asha_rung"
    evidence = {"level": 1, "value": 4.0, "cutoff": 5.5, "count": 7, "by": "objective"}
    assert verdicts[4].evidence == evidence | {"signal_share": None}, "no returns were given"


def test_the_second_of_two_at_0_999_against_1_is_not_cut_by_default() -> None:
    rungs = Rungs((1, 4), 4)
    assert rungs.judge(1, shown({0: 1.0}))[0].action == "continue"
    assert rungs.judge(1, shown({1: 0.999}))[1].action == "continue"
    strict = Rungs((1, 4), 4, minimum=1)
    strict.judge(1, shown({0: 1.0}))
    assert strict.judge(1, shown({1: 0.999}))[1].action == "prune"


def test_a_rung_cuts_from_its_minimum_count_of_others_on() -> None:
    rungs = Rungs((1, 4), 4, minimum=3)
    assert not any(v.ends for v in rungs.judge(1, shown({0: 3.0, 1: 2.0, 2: 1.0})).values())
    assert rungs.judge(1, shown({3: 0.0}))[3].evidence["count"] == 3
    assert rungs.judge(1, shown({3: 0.0}))[3].reason == "asha_rung"


@pytest.mark.parametrize("bad", [None, math.nan, math.inf, -math.inf])
def test_facts_an_undefined_value_is_below_every_finite_one_and_never_enters(bad) -> None:
    rungs = Rungs((1, 4), 4)
    rungs.judge(1, shown({number: -1e9 * (number + 1) for number in range(4)}))
    verdict = rungs.judge(1, shown({9: bad}))[9]
    assert (verdict.action, verdict.reason) == ("prune", "asha_rung")
    assert verdict.evidence["value"] is None
    state = rungs.states()[0]
    assert state.count == 4
    assert state.cutoff is not None
    assert math.isfinite(state.cutoff)


def test_a_rung_of_only_undefined_values_stops_nobody_and_does_not_crash() -> None:
    rungs = Rungs((1, 4), 4, minimum=1)
    verdicts = rungs.judge(1, shown(dict.fromkeys(range(20), None)))
    assert {verdict.action for verdict in verdicts.values()} == {"continue"}
    assert rungs.states()[0].cutoff is None
    assert rungs.judge(1, shown({20: -5.0}))[20].action == "continue"
    assert rungs.judge(1, shown({21: None}))[21].action == "prune"


def test_the_last_rung_completes_and_cuts_nobody() -> None:
    verdicts = Rungs((1, 4), 4, minimum=1).judge(
        4, shown({n: float(n) for n in range(8)} | {9: None})
    )
    assert {(v.action, v.reason) for v in verdicts.values()} == {("complete", "completed")}


def test_a_repeated_value_changes_nothing_and_keeps_its_verdict() -> None:
    rungs = Rungs((1, 4), 4)
    once = rungs.judge(1, shown({number: float(number) for number in range(8)}))
    before = rungs.states()
    assert rungs.judge(1, shown({0: 100.0, 7: -100.0})) == {0: once[0], 7: once[7]}
    assert rungs.states() == before


def test_the_median_is_that_of_the_highest_rung_with_enough_others() -> None:
    """Of what each would have been ranked by there, not of the means that rungs compare."""
    rungs = Rungs((1, 4, 16), 2)
    assert rungs.last_median(without=0) == (None, None)
    rungs.judge(1, {0: Means(1.0, ranked=1.0), 1: Means(-9.0, ranked=2.0), 2: Means(6, ranked=6)})
    rungs.judge(4, {0: Means(9.0, ranked=9.0), 2: Means(0.0, ranked=5.0)})
    assert rungs.last_median(without=0) == (1, 4.0), "one other trial at epoch 4 is no median"
    assert rungs.last_median(without=1) == (4, 7.0)


def test_the_mean_leaves_out_what_is_undefined() -> None:
    assert mean_of_finite([1.0, None, 3.0]) == 2.0
    assert mean_of_finite([None, math.nan]) is None
    assert mean_of_finite([]) is None
    assert mean_of_finite([1.7e308, 1.7e308]) is None  # their sum overflows


@settings(max_examples=100, deadline=None)
@given(st.lists(values, min_size=1, max_size=40), st.integers(2, 6), st.randoms())
def test_the_best_of_a_batch_is_never_cut_and_order_does_not_matter(batch, factor, random) -> None:
    arrivals = dict(enumerate(batch))
    shuffled = random.sample(list(arrivals.items()), len(arrivals))
    verdicts = Rungs((1, 9), factor).judge(1, shown(arrivals))
    assert Rungs((1, 9), factor).judge(1, shown(dict(shuffled))) == verdicts
    known = {n: v for n, v in arrivals.items() if v is not None}
    if known:
        best = max(known, key=lambda n: known[n])
        assert not verdicts[best].ends
    kept = [n for n, v in verdicts.items() if not v.ends]
    cut = [n for n, v in verdicts.items() if v.ends]
    assert all(known.get(c, -math.inf) < known.get(k, -math.inf) for c in cut for k in kept)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 200), st.integers(1, 30), st.integers(2, 8))
def test_rungs_increase_and_end_at_the_last_epoch(epochs, first, factor) -> None:
    rungs = rung_epochs(epochs, first, factor)
    assert rungs[-1] == epochs
    assert all(b > a for a, b in pairwise(rungs))
    assert rung_epochs(epochs, first, factor, rungs) == rungs


def test_who_came_when_there_were_too_few_is_judged_when_there_are_enough() -> None:
    rungs = Rungs((1, 4), minimum=2)
    assert rungs.judge(1, shown({0: 1.0}))[0].undecided
    assert rungs.reconsider(1, 0) is None
    rungs.judge(1, shown({1: 2.0}))
    assert rungs.reconsider(1, 0) is None
    rungs.judge(1, shown({2: 3.0}))
    verdict = rungs.reconsider(1, 0)
    assert verdict is not None
    assert (verdict.action, verdict.reason) == ("prune", "asha_rung")
    shown_figures = {"level": 1, "value": 1.0, "cutoff": 2.75, "count": 2}
    assert verdict.evidence.items() >= shown_figures.items()
    assert rungs.judge(1, shown({0: 9.0})) == {0: verdict}
