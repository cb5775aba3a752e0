"""Two different trials with bit-identical evaluations are a defect; similar ones are not."""

import numpy as np

from search.pruning.frozen_metric import fingerprint
from tests.fixtures.curves import V, make_pruner, report
from trainable.report import Stop

RETURNS = np.random.default_rng(0).standard_normal(V)


def test_system_c1_two_different_trials_with_the_same_bits_are_a_defect() -> None:
    pruner = make_pruner()
    pruner.register(3, "lr 1e-3")
    pruner.register(4, "lr 1e-4")
    same = [report(n, 1, 0.7, val_loss=0.5, net_returns=RETURNS.copy()) for n in (4, 3)]
    verdicts = pruner.judge(same)
    assert not verdicts[3].ends
    assert (verdicts[4].action, verdicts[4].reason) == ("prune", "frozen_metric")
    assert verdicts[4].evidence == {"same_as": 3, "epoch": 1, "val_loss": 0.5, "sharpe": 0.7}
    assert pruner.rungs[0].count == 1


def test_a_seed_that_is_exempt_from_the_rungs_is_not_exempt_from_this_rule() -> None:
    pruner = make_pruner()
    pruner.exempt(1)
    same = [report(n, 1, 0.7, val_loss=0.5, net_returns=RETURNS) for n in (0, 1)]
    assert pruner.judge(same)[1].reason == "frozen_metric"


def test_epoch_returns_and_metrics_must_agree_and_all_be_defined() -> None:
    pruner = make_pruner(minimum=50)
    other = RETURNS.copy()
    other[-1] = np.nextafter(other[-1], 9.0)
    batch = [
        report(0, 1, 0.7, val_loss=0.5, net_returns=RETURNS),
        report(1, 2, 0.7, val_loss=0.5, net_returns=RETURNS),
        report(2, 1, 0.7, val_loss=0.5, net_returns=other),
        report(3, 1, 0.8, val_loss=0.5, net_returns=RETURNS),
        report(4, 1, None, val_loss=0.5, net_returns=None),
        report(5, 1, None, val_loss=0.5, net_returns=None),
    ]
    assert not any(v.ends for v in pruner.judge(batch).values())
    assert len({fingerprint(each) for each in batch[:4]}) == 4
    assert [fingerprint(each) for each in batch[4:]] == [None, None]


def test_the_same_configuration_and_seed_may_have_the_same_bits() -> None:
    pruner = make_pruner()
    for number in (0, 1):
        pruner.register(number, "lr 1e-3, seed 0")
        same = report(number, 1, 0.7, val_loss=0.5, net_returns=RETURNS)
        assert not pruner.judge([same])[number].ends


def test_metrics_that_repeat_within_one_trial_are_for_its_worker_to_stop() -> None:
    pruner = make_pruner()
    frozen = [report(0, e, 0.1, val_loss=0.5, net_returns=RETURNS) for e in range(1, 5)]
    assert not pruner.judge(frozen[:3])[0].ends
    evidence = {"epochs": [2, 3, 4], "val_loss": 0.5, "sharpe": 0.1}
    stopped = report(0, 4, 0.1, val_loss=0.5, stop=Stop("frozen_metric", evidence))
    verdict = pruner.judge([stopped])[0]
    assert (verdict.reason, verdict.evidence) == ("frozen_metric", evidence)
