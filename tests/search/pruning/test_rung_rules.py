"""What rungs score trials by: hand-made trials, and scipy as an oracle of ranks."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from search.pruning.asha import Rungs
from search.pruning.rung_rules import RULES, Means, shares_below
from search.settings.checks import PRUNING
from tests.fixtures.curves import V, make_pruner, report
from trainable.report import Stop

# Trial 0 has the lowest loss, 1 the highest Sharpe ratio, 2 the highest IC and rank IC.
TRIALS = [
    Means(objective=0.1, loss=-0.90, sharpe=0.1, ic=0.010, rank_ic=0.010),
    Means(objective=2.0, loss=-0.99, sharpe=2.0, ic=0.000, rank_ic=-0.010),
    Means(objective=0.5, loss=-0.95, sharpe=0.5, ic=0.030, rank_ic=0.030),
    Means(objective=0.4, loss=-1.00, sharpe=0.4, ic=-0.010, rank_ic=0.000),
]


def test_every_rule_can_be_asked_for() -> None:
    assert set(PRUNING) == set(RULES)


def test_the_default_scores_by_the_loss_first_and_by_three_ranks_later() -> None:
    rule = RULES["ranks"]
    assert rule.scores(TRIALS, first=True).tolist() == [-0.90, -0.99, -0.95, -1.00]
    # Of three others trial 0 beats 2 by IC, 2 by rank IC and 3 by loss.
    later = rule.scores(TRIALS, first=False)
    assert later == pytest.approx(np.array([7, 1 + 0 + 1, 3 + 3 + 2, 0 + 1 + 0]) / 9)


@pytest.mark.parametrize(
    ("name", "best"), [("objective", 1), ("loss", 0), ("ic", 2), ("rank_ic", 2), ("racing", 1)]
)
def test_a_rule_of_one_figure_scores_by_it(name: str, best: int) -> None:
    for first in (True, False):
        assert int(np.argmax(RULES[name].scores(TRIALS, first))) == best


def test_a_trial_without_an_objective_has_no_score_and_a_missing_figure_is_left_out() -> None:
    none = Means(None, loss=-0.1, ic=0.5, rank_ic=0.5)
    alone = Means(0.3, loss=-0.93, ic=0.02, rank_ic=None)
    scores = RULES["ranks"].scores([*TRIALS, none, alone], first=False)
    assert np.isnan(scores[4])
    assert scores[5] == 3 / 4, "of four others, by IC and by loss"


def test_the_share_of_signal_lets_the_sharpe_ratio_in() -> None:
    rule = RULES["signal"]
    assert rule.figures(False, 0.4) == ("ic", "rank_ic", "loss")
    assert rule.figures(False, 0.6) == ("ic", "rank_ic", "loss", "sharpe")
    assert rule.figures(False, None) == ("ic", "rank_ic", "loss")


def test_losses_of_different_kinds_are_left_out() -> None:
    rule = RULES["ranks"].without_loss()
    assert (rule.first, rule.later) == (("ic", "rank_ic"), ("ic", "rank_ic"))
    assert RULES["ic"].without_loss() == RULES["ic"]


@given(st.lists(st.one_of(st.just(float("nan")), st.floats(-9, 9)), min_size=1, max_size=30))
def test_shares_below_are_ranks(values: list[float]) -> None:
    x = np.array(values)
    known = np.isfinite(x)
    found = shares_below(x)
    assert np.isnan(found[~known]).all()
    if known.sum() > 1:
        expected = (rankdata(x[known]) - 1) / (known.sum() - 1)
        assert found[known] == pytest.approx(expected)
    else:
        assert (found[known] == 0.5).all()


def test_none_stops_nobody() -> None:
    rungs = Rungs((1, 4), 4, rule=RULES["none"])
    verdicts = rungs.judge(1, {n: Means(float(n)) for n in range(20)})
    assert not any(v.ends or v.undecided for v in verdicts.values())
    assert rungs.states()[0].cutoff is None


def test_racing_spares_whom_the_same_days_do_not_tell_from_the_trial_at_the_cutoff() -> None:
    """Two trials with nearly the returns of those above: one below by chance, one by its loss."""
    rng = np.random.default_rng(0)
    shared = rng.normal(0, 0.01, 1000)

    def returns(mean: float, own: float) -> np.ndarray:
        return shared + mean + rng.normal(0, own, 1000)

    good = {n: returns(0.001 + n * 1e-6, 1e-5) for n in range(4)}
    near, worse = returns(0.00098, 1e-3), returns(0.0, 1e-3)
    series = {**good, 4: near, 5: worse, 6: near + 1e-9}
    ratio = {n: float(r.mean() / r.std()) for n, r in series.items()}
    losses = {4: -0.5, 5: -0.5, 6: -2.0}
    arrivals = {n: Means(ratio[n], loss=losses.get(n, -1.0)) for n in series}
    verdicts = Rungs((1, 4), 4, rule=RULES["racing"]).judge(1, arrivals, series)
    plain = Rungs((1, 4), 4).judge(1, arrivals, series)
    assert [plain[n].ends for n in (4, 5, 6)] == [True] * 3
    assert [verdicts[n].ends for n in (4, 5, 6)] == [False, True, True]
    spared, cut = verdicts[4].evidence, verdicts[5].evidence
    assert spared["difference"] < 0 <= spared["upper_bound"]
    assert cut["upper_bound"] < 0
    assert verdicts[6].evidence["upper_bound"] >= 0, "spared, were its loss among the better half"


def test_epochs_of_the_warm_up_enter_no_mean_with_later_ones() -> None:
    pruner = make_pruner(16, warmup_ends=3)
    for epoch, sharpe in enumerate([-9.0, -8.0, 1.0, 2.0, 6.0, 7.0], start=1):
        pruner.judge([report(0, epoch, sharpe)])
    assert [pruner.objective(0, e) for e in range(1, 7)] == [-9.0, -8.5, 1.0, 1.5, 3.0, 5.0]


def test_who_came_before_a_rung_could_judge_is_held_to_its_cutoff_later() -> None:
    """The first of five is the worst; it goes on until four others have come to the rung."""
    pruner = make_pruner(16)
    assert pruner.judge([report(0, 1, -5.0)])[0].undecided
    assert not pruner.judge([report(0, 2, 9.0)])[0].ends, "nobody else has come"
    pruner.judge([report(n, 1, float(n)) for n in range(1, 5)])
    verdict = pruner.judge([report(0, 3, 9.0)])[0]
    assert (verdict.reason, verdict.evidence["level"]) == ("asha_rung", 1)
    assert verdict.evidence["value"] == -5.0, "what it was there, not what it is now"


def test_whose_training_has_ended_is_not_stopped_for_an_earlier_rung() -> None:
    """A trial that early stopping ends in the batch in which the rung could first judge it."""
    last = replace(report(0, 3, -5.0), stop=Stop("early_stopped", {"epoch": 3}))
    for batch, reason in (([report(0, 2, -5.0)], "asha_rung"), ([report(0, 2, -5.0), last], None)):
        pruner = make_pruner(16)
        pruner.judge([report(0, 1, -5.0)])
        pruner.judge([report(n, 1, float(n)) for n in range(1, 5)])
        assert pruner.judge(batch)[0].reason == (reason or "early_stopped")


def test_the_evidence_of_a_rung_has_the_share_of_signal() -> None:
    pruner = make_pruner(16)
    rng = np.random.default_rng(3)
    reports = [report(n, 1, float(n), net_returns=rng.normal(0.001 * n, 0.01, V)) for n in range(8)]
    verdicts = pruner.judge(reports)
    shares = {v.evidence["signal_share"] for v in verdicts.values()}
    (share,) = shares
    assert 0.5 < share <= 1.0
