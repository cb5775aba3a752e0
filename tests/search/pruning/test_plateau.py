"""The pruner on flat and rising curves: who is called flat, when, and what becomes of it."""

import json
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from search.pruning.pruner import Pruner
from search.pruning.rung_rules import RULES
from tests.fixtures.curves import DAYS, YEAR, V, curve, ending, make_pruner, report
from trainable.report import Stop


def filled(pruner: Pruner, epochs: Sequence[int], value: float) -> Pruner:
    """Puts four other trials of one value on some rungs."""
    for number in range(100, 104):
        pruner.judge([report(number, e, value) for e in range(1, max(epochs) + 1)])
    return pruner


def rises(sharpes: Sequence[float]) -> str | None:
    return ending(make_pruner(50), curve(0, sharpes))[1].reason


def test_a_constant_curve_with_noise_is_called_flat_soon_after_the_window() -> None:
    """The lowest loss, of the first epoch, is 10 epochs old: epoch 11 at the earliest."""
    epochs = [ending(make_pruner(50), curve(0, [0.8] * 50, seed))[0] for seed in range(20)]
    assert min(epochs) == 11
    assert float(np.median(epochs)) <= 13
    assert max(epochs) <= 25


def test_a_curve_that_still_improves_is_almost_never_called_flat() -> None:
    """0.3 annual Sharpe per window of ten epochs, from below zero, over the whole training."""
    sharpes = [float(s) for s in np.linspace(-0.5, 1.0, 50)]
    reasons = [ending(make_pruner(50), curve(0, sharpes, seed))[1].reason for seed in range(40)]
    assert reasons.count("completed") >= 39


def test_a_late_riser_is_not_called_flat_before_its_plateau() -> None:
    sharpes = [1.2 * (1 - math.exp(-e / 8)) for e in range(50)]
    for seed in range(10):
        epoch, _ = ending(make_pruner(50), curve(0, sharpes, seed))
        assert sharpes[-1] - sharpes[epoch - 1] < 0.1, seed


def test_flat_and_not_positive_is_pruned_with_its_figures() -> None:
    pruner = make_pruner(50)
    reports = curve(0, [-0.4] * 50)
    epoch, verdict = ending(pruner, reports)
    assert (verdict.action, verdict.reason) == ("prune", "flat_sharpe")
    evidence = verdict.evidence
    assert evidence["upper_bound"] < evidence["margin"] == 0.1
    assert (evidence["window"], evidence["days"]) == (5, V)
    ranking = reports[evidence["best_epoch"] - 1]
    assert evidence["sharpe"] == evidence["value"] == ranking.values["sharpe"] < 0
    losses = [r.values["val_loss"] for r in reports[:epoch]]
    assert ranking.values["val_loss"] == min(loss for loss in losses if loss is not None)
    assert evidence["median"] is None
    json.dumps(evidence, allow_nan=False)


def test_flat_at_a_positive_sharpe_above_the_last_rungs_median_has_converged() -> None:
    pruner = filled(make_pruner(50, rule=RULES["none"]), [16], value=0.5)
    _, verdict = ending(pruner, curve(0, [0.8] * 50))
    assert (verdict.action, verdict.reason) == ("complete", "converged")
    assert (verdict.evidence["median"], verdict.evidence["median_level"]) == (0.5, 16)


def test_flat_at_a_positive_sharpe_below_the_last_rungs_median_is_pruned() -> None:
    pruner = filled(make_pruner(50, rule=RULES["none"]), [50], value=1.5)
    _, verdict = ending(pruner, curve(0, [0.8] * 50))
    assert (verdict.action, verdict.reason) == ("prune", "flat_sharpe")
    assert verdict.evidence["median_level"] == 50


def test_flat_and_alone_on_all_rungs_has_converged_when_positive() -> None:
    assert rises([0.8] * 50) == "converged"


def test_no_flat_verdict_before_the_warm_up_has_ended() -> None:
    pruner = make_pruner(50, warmup_ends=30)
    assert ending(pruner, curve(0, [-0.4] * 50))[0] == 37  # a window of 8 epochs from it on


def test_no_flat_verdict_while_the_ic_rises() -> None:
    pruner = make_pruner(50)
    reports = curve(0, [-0.4] * 50)
    rising = [
        report(0, r.epoch, r.values["sharpe"], net_returns=r.net_returns, ic=0.001 * r.epoch)
        for r in reports
    ]
    assert ending(pruner, rising)[1].reason == "completed"


def test_no_flat_verdict_without_position_at_either_end_of_the_window() -> None:
    reports = curve(0, [-0.4] * 50)
    assert ending(make_pruner(50), reports)[0] == 11
    reports[9] = report(0, 10, None, val_loss=1.1)
    assert ending(make_pruner(50), reports)[0] == 13
    always = [report(0, epoch, None) for epoch in range(1, 51)]
    assert ending(make_pruner(50), always)[1].reason == "completed"


def test_no_flat_verdict_on_the_validation_loss_while_it_falls() -> None:
    for objective in ("sharpe", "val_loss"):
        falling, still = make_pruner(50, objective=objective), make_pruner(50, objective=objective)
        reports = curve(0, [-0.4] * 50)
        better = [replace(r, values={**r.values, "val_loss": 1 - 1e-3 * r.epoch}) for r in reports]
        assert ending(falling, better)[1].reason == "completed"
        assert ending(still, reports)[1].reason == "flat_sharpe"


def test_a_flat_trial_whose_last_epoch_came_with_the_same_batch_is_completed() -> None:
    """A worker reports when its step ends: it has trained to the end before anybody could judge."""
    reports = curve(0, [-0.4] * 50)
    reports[-1] = replace(reports[-1], stop=Stop("completed", {"epoch": 50}))
    epoch = ending(make_pruner(50), reports)[0]
    assert epoch < 20
    for first in (0, epoch - 1):  # a batch before it says nothing of the end
        pruner = make_pruner(50)
        pruner.judge(reports[:first])
        verdict = pruner.judge(reports[first:])[0]
        assert (verdict.action, verdict.reason) == ("complete", "completed")
        assert pruner.epoch(0) == 50
    pruner = make_pruner(50)
    assert pruner.judge(reports[:epoch])[0].reason == "flat_sharpe"
    assert pruner.judge(reports[epoch:])[0].reason == "flat_sharpe", "it had arrived before"


def test_a_flat_seed_is_complete_whatever_it_earns() -> None:
    """Were it pruned, the mean over the seeds would be that of those that earn something."""
    for sharpe, reason in ((-0.4, "flat_sharpe"), (0.8, "converged")):
        plain, exempt = make_pruner(50), make_pruner(50)
        exempt.exempt(0)
        first, verdict = ending(plain, curve(0, [sharpe] * 50))
        assert verdict.reason == reason
        last, verdict = ending(exempt, curve(0, [sharpe] * 50))
        assert (last, verdict.action, verdict.reason) == (first, "complete", "converged")


def test_what_is_finished_on_the_side_is_trained_on_where_it_is_flat() -> None:
    for sharpe in (-0.4, 0.8):
        pruner = make_pruner(50)
        pruner.exempt(0, to_its_end=True)
        epoch, verdict = ending(pruner, curve(0, [sharpe] * 50))
        assert (epoch, verdict.action, verdict.reason) == (50, "complete", "completed")


def test_intraday_returns_are_judged_by_days() -> None:
    bars = 7
    stamps = (
        DAYS[:, None].astype("datetime64[h]") + np.arange(14, 14 + bars).astype("timedelta64[h]")
    ).ravel()
    rng = np.random.default_rng(0)
    base = rng.standard_normal(len(stamps))
    pruner = Pruner((1, 50), stamps, YEAR * bars)
    reports = []
    for epoch in range(1, 51):
        returns = 1e-3 * (base + 0.03 * rng.standard_normal(len(stamps)))
        sharpe = float(returns.mean() / returns.std() * math.sqrt(YEAR * bars))
        reports.append(report(0, epoch, sharpe, net_returns=returns, val_loss=1 + 1e-6 * epoch))
    epoch, verdict = ending(pruner, reports)
    assert epoch < 25
    assert verdict.evidence["days"] == V


def test_returns_of_another_length_are_a_defect() -> None:
    with pytest.raises(ValueError, match="trial 3: 5 returns for"):
        make_pruner().judge([report(3, 1, 1.0, net_returns=np.zeros(5))])
