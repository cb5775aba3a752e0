"""What should be looked into before a ranking is believed."""

from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.load import Run
from analysis.ranking import SHOWN, note_sentences, rank, summary_sentences
from analysis.verdict.alarms import alarm_sentences, premium, survivor_sentences, too_good
from tests.fixtures.planted import market
from trainable.metrics.baselines import BASELINES
from trainable.metrics.scoring import scoring
from trainable.metrics.suspicious_features import with_suspicious_features

DAYS = pd.bdate_range("2015-01-01", periods=1000)
NAN = float("nan")
SUSPICIOUS = {"feature": "f1", "why": "too_good"}


def row(number: int, sharpe: float, kind: str = "search", **other: Any) -> dict[str, Any]:
    """A trial whose costs are far below what it could bear."""
    return dict.fromkeys(SHOWN, NAN) | {
        "number": number, "kind": kind, "parent": NAN, "state": "COMPLETE",
        "stop_reason": "completed", "epochs": 9.0, "sharpe": sharpe, "sharpe_se": 0.5,
        "break_even_bps": 1000.0 * np.sign(sharpe), "params.model/name": "mlp",
        "params.train/seed": number,
    } | other  # fmt: skip


def baseline(name: str, sharpe: float, number: int = -1, **other: Any) -> dict[str, Any]:
    return row(number, sharpe, "baseline", **{"params.model/name": name}, **other)


def pruned(number: int, sharpe: float, **other: Any) -> dict[str, Any]:
    return row(number, sharpe, state="PRUNED", stop_reason="asha_rung", **other)


def run_of(
    *rows: dict[str, Any],
    days: int = 1000,
    symbols: int = 20,
    year: float = 252.0,
    quality: dict[str, Any] | None = None,
    returns: dict[int, np.ndarray] | None = None,
    **data: Any,
) -> Run:
    facts = {"periods_per_year": year, "cost_bps": 1.0, "horizon": 1}
    facts |= {"symbols": [f"S{n}" for n in range(symbols)]} | data
    run = Run(Path("runs/x"), {"data": facts, "data_quality": quality or {}}, pd.DataFrame(rows))
    frames = [
        pd.DataFrame({"number": n, "epoch": 1, "timestamp": DAYS, "net_return": values})
        for n, values in (returns or {}).items()
    ]
    nobody = {"number": -9, "epoch": 1, "timestamp": DAYS[:days], "net_return": 0.0}
    run.__dict__["returns"] = pd.concat([pd.DataFrame(nobody), *frames]).sort_values("number")
    return run


def alarms(run: Run) -> list[str]:
    return alarm_sentences(run, rank(run).dropna(subset=["sharpe_mean"]).to_dict("records"))


def test_a_sharpe_ratio_beyond_belief_comes_with_the_suspicious_features() -> None:
    run = run_of(row(0, 7.31), row(1, 0.4), quality={"suspicious_features": [SUSPICIOUS]})
    (said,) = alarms(run)
    assert said.startswith("Too good, so look for a leak first: trial 0 (Sharpe 7.31). ")
    assert said.endswith("Suspicious since before the training: f1.")
    assert summary_sentences(run)[0] == said, "before anything is praised"


@pytest.mark.parametrize(
    ("left", "said"),
    [
        ({"f0": 0.4, "f1": 0.02}, "What permuting a feature costs trial 0's IC of 0.40: f1 95%."),
        (
            {"f0": 0.16, "f1": 0.2, "f2": 0.41, "f3": -0.1},
            "What permuting a feature costs trial 0's IC of 0.40: f3 100%, f0 60% and f1 50%.",
        ),
        (
            {"f0": 0.35, "f1": None},
            "No single feature carries trial 0's IC of 0.40: look at how they and the label were "
            "made.",
        ),
    ],
)
def test_features_that_the_best_rests_on_are_named(left: dict[str, Any], said: str) -> None:
    run = run_of(row(0, 7.31))
    run.run["permutation"] = {"trial": 0, "ic": 0.4, "without": left}
    (alarm,) = alarms(run)
    assert alarm.endswith(f"hardly ever honest. {said}")
    run.run["data_quality"] = {"suspicious_features": [SUSPICIOUS]}
    assert alarms(run)[0].endswith(f"Suspicious since before the training: f1. {said}")


def test_of_many_that_are_too_good_the_first_are_named() -> None:
    run = run_of(*(row(n, 9.0 - n) for n in range(5)))
    assert "first: trial 0 (Sharpe 9.00), trial 1 (Sharpe 8.00) and 3 more. A" in alarms(run)[0]
    assert too_good(run, rank(run).to_dict("records"))
    assert not too_good(run_of(row(0, 3.9)), [])


def test_ridge_raises_it_where_no_trial_does() -> None:
    (said,) = alarms(run_of(row(0, 1.0), baseline("ridge", 4.6)))
    assert "leak first: ridge (Sharpe 4.60). " in said
    assert said.endswith(
        "No single feature is suspicious: look at how they and the label were made."
    )
    assert alarms(run_of(row(0, 3.9), baseline("ridge", 3.9))) == []


def test_what_luck_reaches_on_few_days_is_no_leak() -> None:
    rows = [row(n, 0.1) for n in range(63)]
    best = row(63, 4.5)
    assert alarms(run_of(*rows, best, days=126)) == []
    assert len(alarms(run_of(*rows, best, days=504))) == 1


def test_an_ic_beyond_belief_depends_on_the_bars_a_year() -> None:
    high = row(0, 1.0, ic=0.15)
    assert "IC above 0.1 is hardly" in alarms(run_of(high))[0]
    assert alarms(run_of(high, year=12.0)) == [], "world-class, of monthly bets"
    assert "IC above 0.2 is hardly" in alarms(run_of(row(0, 1.0, ic=0.25), year=12.0))[0]
    assert alarms(run_of(row(0, 1.0, ic=0.15), days=150)) == [], "within luck"
    assert "IC −0.15)" in alarms(run_of(row(0, 1.0, ic=-0.15)))[0]


def test_a_planted_signal_is_no_leak() -> None:
    assert alarms(run_of(row(0, 7.0), quality={"planted_signal": 0.15, "symbols_ended": []})) == []


def test_a_significantly_negative_trial_is_named_where_none_survived() -> None:
    """1,000 days: the standard error is √(252 ÷ 1,000) = 0.50."""
    turned = {"suspicious_features": [{"feature": "f0", "why": "turned"}]}
    rows = [pruned(n, -0.1) for n in range(60)] + [pruned(60, -1.8), pruned(61, -2.1)]
    run = run_of(*rows, quality=turned)
    (said,) = alarms(run)
    assert "before costs trial 61 has a Sharpe ratio of −2.1" in said
    assert ", 4.2 standard errors below 0 (1 more likewise); luck stays within 3.2. The" in said
    assert said.endswith("a sign is wrong. Features whose relation changed: f0.")
    assert summary_sentences(run)[0] == said
    assert summary_sentences(run)[1].startswith("No trial survived")


def ridge_on(days: int = 750, **planted: Any) -> Run:
    """A run of one trial that does what ridge does on a planted market of 16 symbols."""
    dataset = market(0, symbols=16, **planted)
    rows = dataset.valid_rows
    ridge, _ = BASELINES["ridge"](dataset, rows, scoring(dataset, rows))
    values = {name: ridge[name] for name in SHOWN}
    quality = with_suspicious_features(dataset, generated=False)
    return run_of(row(0, 0.0) | values, days=days, symbols=16, quality=quality)


def test_planted_markets_lead_to_the_words_that_they_deserve() -> None:
    (said,) = alarms(ridge_on(leak=0.15))
    assert said.startswith("Too good, so look for a leak first: trial 0 ")
    assert said.endswith("Suspicious since before the training: f1.")
    (said,) = alarms(ridge_on(ic=0.06, later_ic=-0.06))
    assert said.startswith("Significantly negative: before costs trial 0 has a Sharpe ratio of −")
    assert said.endswith("Features whose relation changed: f0.")
    assert alarms(ridge_on(ic=0.05)) == []


def test_a_break_at_the_start_of_validation_is_not_called_skill() -> None:
    run = ridge_on(ic=0.06, later_ic=0.0)
    (found,) = run.run["data_quality"]["suspicious_features"]
    assert (found["feature"], found["why"]) == ("f0", "changed")
    assert rank(run)["sharpe_mean"].iloc[0] < 2 * sqrt(252 / 750), "within two errors of 0"


def test_the_limit_counts_all_tries() -> None:
    few = [pruned(0, -1.55), *(pruned(n, 0.0) for n in range(1, 8))]
    assert len(alarms(run_of(*few))) == 1, "3.1 errors, and 3 are asked of few tries"
    many = [*few, *(pruned(n, 0.1) for n in range(8, 200))]
    assert alarms(run_of(*many)) == []


def test_costs_alone_are_no_sign_of_a_turned_relation() -> None:
    """Net −3 at a cost of 10 bps that would break even at 1 bps: gross it is above 0."""
    assert alarms(run_of(pruned(0, -3.0, break_even_bps=1.0), cost_bps=10.0)) == []
    # −0.5 bps break even, 1 bps cost: a third of the loss is the trial's own.
    (said,) = alarms(run_of(pruned(0, -6.0, break_even_bps=-0.5)))
    assert "before costs trial 0 has a Sharpe ratio of −2.00" in said


def test_a_rule_whose_sign_nobody_learnt_may_be_negative() -> None:
    fixed = [baseline("momentum", -3.0), baseline("equal_weight", -3.0, -2)]
    assert alarms(run_of(row(0, 0.5), *fixed)) == []
    (said,) = alarms(run_of(row(0, 0.5), baseline("ridge", -3.0)))
    assert "before costs ridge has" in said


def test_noise_raises_an_alarm_at_most_as_often_as_is_said() -> None:
    """Of 100 searches with 32 useless trials: 3 errors are asked, so 0.0013 · 32 = 4 % of them.

    None, or more than 11 of them, would be chances of 1.6 % and 0.1 %.
    """
    rng = np.random.default_rng(0)
    error = sqrt(252 / 1000)
    false = sum(
        bool(alarm_sentences(run_of(*(pruned(n, s * error) for n, s in enumerate(draws))), []))
        for draws in rng.standard_normal((100, 32))
    )
    assert 1 <= false <= 11


def test_survivors_only_is_said_beside_the_ranking_and_not_before() -> None:
    run = run_of(row(0, 0.5), quality={"symbols_ended": []})
    (said,) = survivor_sentences(run)
    assert said.startswith("Survivors only: every symbol lasts to the end of the data")
    assert note_sentences(run)[-1] == said
    assert said not in summary_sentences(run)
    for quality in (
        {},
        {"symbols_ended": ["S1"]},
        {"symbols_ended": [], "carried_on": ["S1"]},
        {"symbols_ended": [], "planted_signal": 0.1},
    ):
        assert survivor_sentences(run_of(row(0, 0.5), quality=quality)) == []
    one = run_of(row(0, 0.5), symbols=1, quality={"symbols_ended": []})
    assert survivor_sentences(one) == []


def series(own: float, market: float, correlation: float) -> dict[int, np.ndarray]:
    """Daily returns of trial 0 and of equal weight with these annual ratios."""
    rng = np.random.default_rng(1)
    z = rng.standard_normal((2, len(DAYS)))
    z -= z.mean(axis=1, keepdims=True)
    z[1] -= z[0] * (z[0] @ z[1]) / (z[0] @ z[0])
    z /= z.std(axis=1, ddof=1, keepdims=True)
    mixed = correlation * z[1] + sqrt(1 - correlation**2) * z[0]
    return {0: 0.01 * (mixed + own / sqrt(252)), -1: 0.01 * (z[1] + market / sqrt(252))}


def test_equal_weight_is_a_premium_and_no_bar_for_a_neutral_book() -> None:
    rows = (row(0, 0.6), baseline("equal_weight", 0.8), baseline("ridge", 0.7, -2))
    run = run_of(*rows, returns=series(0.6, 0.8, 0.0))
    best = rank(run).to_dict("records")[0]
    assert premium(run, best) == (
        "trial 0 earns 0.60 ± 0.50 of its own beside its 0.80 (correlation 0.00); the best mix has "
        "1.00, 0.20 more"
    )
    assert "These baselines are at least as good: ridge (0.70)." in summary_sentences(run)
    assert not any("long only" in sentence for sentence in note_sentences(run))


def test_seeds_are_mixed_each_for_itself() -> None:
    first, second = series(0.6, 0.8, 0.0), series(0.2, 0.8, 0.0)
    seed = row(1, 0.2, "seed", parent=0.0)
    run = run_of(row(0, 0.6), seed, baseline("equal_weight", 0.8), returns=first | {1: second[0]})
    said = premium(run, rank(run).to_dict("records")[0])
    assert said is not None
    assert "trial 0 earns 0.40 ± 0.50 of its own" in said
    both = (1.0 + sqrt(0.2**2 + 0.8**2)) / 2
    assert said.endswith(f"the best mix has {both:.2f}, {both - 0.8:.2f} more")


def test_a_book_that_is_the_market_adds_nothing() -> None:
    run = run_of(row(0, 0.6), baseline("equal_weight", 0.8), returns=series(0.6, 0.8, 0.9))
    said = premium(run, rank(run).to_dict("records")[0])
    assert said is not None
    assert "earns −0.28 ± 0.50 of its own" in said
    assert said.endswith("so it adds nothing")


@pytest.mark.parametrize("symbols", [1, 4])
def test_with_fewer_than_five_symbols_equal_weight_stays_a_bar(symbols: int) -> None:
    run = run_of(row(0, 0.6), baseline("equal_weight", 0.8), symbols=symbols)
    assert premium(run, rank(run).to_dict("records")[0]) is None
    assert "These baselines are at least as good: equal_weight (0.80)." in summary_sentences(run)


def test_without_returns_no_mix_is_shown() -> None:
    run = run_of(row(0, 0.6), baseline("equal_weight", 0.8))
    assert premium(run, rank(run).to_dict("records")[0]) is None
    lost = run_of(row(0, 0.6), baseline("equal_weight", -0.8), returns=series(0.6, -0.8, 0.0))
    assert premium(lost, rank(lost).to_dict("records")[0]) is None
