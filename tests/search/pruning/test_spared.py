"""A trial that no rung and no flat rule prunes, as the default: others are compared with it."""

from tests.fixtures.curves import curve, ending, make_pruner, report
from trainable.report import Stop


def test_no_rung_prunes_it_and_its_scores_count_there() -> None:
    usual, pruner = make_pruner(epochs=4), make_pruner(epochs=4)
    pruner.spare(0)
    batch = [report(n, 1, float(n)) for n in range(8)]
    before, found = usual.judge(batch), pruner.judge(batch)
    assert (before[0].reason, found[0].ends) == ("asha_rung", False)
    assert found[0].evidence == before[0].evidence, "it still says how it stood"
    assert {n: v for n, v in found.items() if n} == {n: v for n, v in before.items() if n}
    assert pruner.rungs == usual.rungs
    ended = pruner.judge([report(0, e, -9.0) for e in (2, 3, 4)])[0]
    assert (ended.action, ended.reason) == ("complete", "completed")
    assert pruner.rungs[-1].count == 1


def test_a_rung_that_could_not_judge_it_as_it_came_does_not_judge_it_later() -> None:
    pruner = make_pruner(epochs=16)
    pruner.spare(0)
    first = pruner.judge([report(0, 1, -5.0)])[0]
    assert not first.ends
    assert not first.undecided, "it need not wait for others"
    pruner.judge([report(n, 1, float(n)) for n in range(1, 9)])
    assert pruner.reconsider(0) is None
    assert not pruner.judge([report(0, 2, -5.0)])[0].ends


def test_once_flat_it_is_complete_however_bad() -> None:
    for spare, expected in ((False, "flat_sharpe"), (True, "converged")):
        pruner = make_pruner(epochs=50, first=40)
        if spare:
            pruner.spare(0)
        _, verdict = ending(pruner, curve(0, [-0.4] * 50))
        assert verdict.reason == expected


def test_a_defect_ends_it() -> None:
    pruner = make_pruner()
    pruner.spare(0)
    verdict = pruner.judge([report(0, 1, 1.0, stop=Stop("nan_explosion"))])[0]
    assert (verdict.action, verdict.reason) == ("prune", "nan_explosion")


def test_what_was_spared_is_spared_after_a_restart() -> None:
    batches = [[report(n, e, -float(n) * e) for n in range(8)] for e in (1, 4)]
    whole, again = make_pruner(), make_pruner()
    for pruner in (whole, again):
        pruner.spare(7)
    for batch in batches:
        whole.judge(batch)
    verdicts = again.restore(batches)
    assert not verdicts[7].ends
    assert again.rungs == whole.rungs
