"""Bit-identical metrics end a trial; merely equal-looking ones do not."""

import numpy as np

from tests.fixtures.curves import V, ending, judge_for, report


def test_system_c1_bit_identical_metric_is_a_defect() -> None:
    frozen = [report(0, e, 0.08177260619898637, val_loss=0.5) for e in range(1, 4)]
    epoch, verdict = ending(judge_for(), frozen)
    assert epoch == 3
    assert (verdict.action, verdict.reason) == ("prune", "frozen_metric")
    assert verdict.evidence == {
        "epochs": [1, 2, 3],
        "val_loss": 0.5,
        "sharpe": 0.08177260619898637,
    }


def test_one_bit_of_difference_is_not_frozen() -> None:
    judge = judge_for()
    last = float(np.nextafter(0.5, 1.0))
    losses = [0.5, 0.5, last, last, 0.5]
    reports = [report(0, e, 0.1, val_loss=x) for e, x in enumerate(losses, start=1)]
    assert not judge.judge(reports)[0].ends


def test_undefined_metrics_are_not_frozen() -> None:
    judge = judge_for()
    assert not judge.judge([report(0, e, None, val_loss=0.5) for e in range(1, 6)])[0].ends
    assert not judge.judge([report(1, e, 0.5, val_loss=None) for e in range(1, 6)])[1].ends


def test_an_exempt_seed_member_can_be_frozen() -> None:
    judge = judge_for()
    judge.exempt(0)
    verdict = judge.judge([report(0, e, 0.1, val_loss=0.5) for e in range(1, 4)])[0]
    assert verdict.reason == "frozen_metric"


def test_system_c1_two_different_trials_with_the_same_bits_are_a_defect() -> None:
    judge = judge_for()
    returns = np.random.default_rng(0).standard_normal(V)
    judge.register(3, "lr 1e-3")
    judge.register(4, "lr 1e-4")
    twins = [report(n, 1, 0.7, val_loss=0.5, net_returns=returns.copy()) for n in (4, 3)]
    verdicts = judge.judge(twins)
    assert not verdicts[3].ends
    assert verdicts[4].reason == "frozen_metric"
    assert verdicts[4].evidence == {"same_as": 3, "epoch": 1, "val_loss": 0.5, "sharpe": 0.7}
    assert judge.rungs[0].count == 1


def test_twins_must_agree_in_epoch_returns_and_metrics_and_have_all_of_them() -> None:
    judge = judge_for(minimum=50)
    returns = np.random.default_rng(0).standard_normal(V)
    other = returns.copy()
    other[-1] = np.nextafter(other[-1], 9.0)
    batch = [
        report(0, 1, 0.7, val_loss=0.5, net_returns=returns),
        report(1, 2, 0.7, val_loss=0.5, net_returns=returns),
        report(2, 1, 0.7, val_loss=0.5, net_returns=other),
        report(3, 1, 0.8, val_loss=0.5, net_returns=returns),
        report(4, 1, None, val_loss=0.5, net_returns=None),
        report(5, 1, None, val_loss=0.5, net_returns=None),
    ]
    assert not any(v.ends for v in judge.judge(batch).values())


def test_the_same_configuration_and_seed_may_have_the_same_bits() -> None:
    judge = judge_for()
    returns = np.random.default_rng(0).standard_normal(V)
    for number in (0, 1):
        judge.register(number, "lr 1e-3, seed 0")
        twin = report(number, 1, 0.7, val_loss=0.5, net_returns=returns)
        assert not judge.judge([twin])[number].ends
