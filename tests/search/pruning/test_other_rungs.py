"""A resumed search with other epochs judges at other rungs; what was judged stays."""

import pytest

from search.pruning.pruner import Pruner
from tests.fixtures.curves import curve, ending, make_pruner, report
from trainable.report import Stop


def begun(epochs: int = 16, trials: int = 8) -> Pruner:
    """Rungs at 1, 4, 16; all trials have reported the first, three of them epochs 2 to 5."""
    pruner = make_pruner(epochs)
    for number in range(trials):
        pruner.register(number, number, epochs)
    pruner.judge([report(n, 1, float(n)) for n in range(trials)])
    pruner.judge([report(n, e, float(n)) for n in (5, 6, 7) for e in range(2, 6)])
    return pruner


def test_verdicts_and_values_of_a_rung_that_stays_stay() -> None:
    pruner = begun()
    before = pruner.rungs
    verdict = pruner.judge([report(0, 1, 0.0)])[0]
    pruner.judge_at((1, 4, 9))
    assert pruner.rungs[:2] == before[:2]
    assert [rung.epoch for rung in pruner.rungs] == [1, 4, 9]
    assert pruner.judge([report(0, 1, 0.0)])[0] == verdict
    assert pruner.judge([report(8, 1, 0.5)])[8].reason == "asha_rung", "against those eight"


def test_a_new_rung_holds_the_values_that_trials_had_there() -> None:
    pruner = begun()
    pruner.judge([report(5, 6, None, stop=Stop("nan_explosion"))])
    pruner.judge_at((1, 3, 9))
    assert [rung.count for rung in pruner.rungs] == [7, 2, 0], "not that of the trial that exploded"


def test_who_was_to_train_for_longer_is_not_over_at_the_last_rung_of_now() -> None:
    pruner = begun()
    pruner.judge_at((1, 3))
    later = pruner.judge([report(7, epoch, 7.0) for epoch in range(6, 16)])
    assert not later[7].ends
    assert pruner.judge([report(7, 16, 7.0, stop=Stop("completed"))])[7].reason == "completed"
    pruner.register(9, 9, 3)
    done = pruner.judge([report(9, epoch, 99.0) for epoch in (1, 2, 3)])[9]
    assert (done.action, done.reason) == ("complete", "completed")


def test_who_waits_at_a_rung_that_is_the_last_one_now_goes_on() -> None:
    pruner = make_pruner(16)
    pruner.register(0, 0, 16)
    undecided = pruner.judge([report(0, epoch, 1.0) for epoch in range(1, 5)])[0]
    assert undecided.undecided
    pruner.judge_at((1, 4))
    assert pruner.reconsider(0) is None
    pruner.judge_at((1, 3))
    assert pruner.reconsider(0) is None, "its rung is there no more"


@pytest.mark.parametrize("rungs", [(1, 4, 20), (1, 4, 16, 64)])
def test_who_goes_on_for_longer_is_judged_at_the_rungs_to_come(rungs: tuple[int, ...]) -> None:
    pruner = begun()
    pruner.judge_at(rungs)
    for number in (5, 6, 7):
        pruner.register(number, number, rungs[-1])
    verdicts = pruner.judge([report(n, e, float(n)) for n in (5, 6, 7) for e in range(6, 17)])
    assert not any(verdict.ends for verdict in verdicts.values())
    last = [report(n, rungs[-1], float(n)) for n in (5, 6, 7)]
    assert {v.reason for v in pruner.judge(last).values()} == {"completed"}


def test_a_longer_training_has_a_longer_window_from_now_on() -> None:
    """5 epochs and ends of 3 of 16; of 100 the lowest loss, that of the first, is 20 old."""
    reports = curve(0, [-0.4] * 100)
    assert ending(make_pruner(16), reports[:16])[0] == 8
    pruner = make_pruner(16)
    pruner.judge(reports[:2])
    pruner.judge_at((1, 4, 16, 64, 100))
    assert ending(pruner, reports[2:])[0] == 21
