"""What trainings on folds say: every figure recomputed, the words, and how often they err."""

from dataclasses import replace
from io import StringIO
from math import sqrt
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console
from scipy.stats import norm

from analysis.confirmation_table import confirmation_tables
from analysis.statistics.rank_agreement import rank_agreement
from analysis.verdict.confirmed import (
    Confirmation,
    book_of,
    confirmation,
    confirmation_sentences,
)
from tests.fixtures.confirmations import DAYS, FOLDS, YEAR, tables


def found(sharpes: dict[int, float], **more: Any) -> Confirmation:
    ranked = [(number, rank, 1.0) for rank, number in enumerate(sharpes, start=1)]
    return confirmation(ranked, *tables(sharpes, **more), YEAR)


def ratio(returns: np.ndarray) -> float:
    return float(returns.mean() / returns.std(ddof=1) * sqrt(YEAR))


def test_figures_are_those_of_the_tables() -> None:
    trainings, returns = tables({4: 1.0, 9: -0.5, 2: 0.0}, seeds=3)
    said = found({4: 1.0, 9: -0.5, 2: 0.0}, seeds=3)
    daily = {
        (number, fold): rows.pivot(index="day", columns="seed", values="net_return").mean(axis=1)
        for (number, fold), rows in returns.groupby(["number", "sha256"])
    }
    for one in said.finalists:
        early = np.concatenate([daily[one.number, fold] for fold in ("walk-1", "walk-2")])
        assert one.before is not None
        assert one.before.days == 2 * DAYS
        assert one.before.sharpe == pytest.approx(ratio(early))
        assert one.before.p == pytest.approx(norm.sf(one.before.sharpe / one.before.error))
        assert one.valid is not None
        assert one.valid.sharpe == pytest.approx(ratio(daily[one.number, "walk-3"].to_numpy()))
        own = trainings[(trainings["number"] == one.number) & (trainings["kind"] != "symbols")]
        ratios = np.array(own["sharpe"], float)
        assert (one.median, one.spread) == pytest.approx((np.median(ratios), ratios.std(ddof=1)))
        means = ratios.reshape(4, 3).mean(axis=1)
        assert one.above == (means > 0).mean()
        held_out = trainings[(trainings["number"] == one.number) & (trainings["kind"] == "symbols")]
        assert one.symbols == pytest.approx(np.array(held_out["sharpe"], float).mean())
    together = np.concatenate(
        [np.mean([daily[n, fold] for n in (4, 9, 2)], axis=0) for fold in ("walk-1", "walk-2")]
    )
    assert said.together is not None
    assert said.together.sharpe == pytest.approx(ratio(together))
    ridge = said.baselines["ridge"]
    assert ridge is not None
    early = np.concatenate([daily[-1, fold] for fold in ("walk-1", "walk-2")])
    assert ridge.sharpe == pytest.approx(ratio(early))
    walk = trainings[(trainings["kind"] == "walk") & (trainings["number"] >= 0)]
    table = walk.groupby(["fold", "number"])["sharpe"].mean().unstack()
    for one in said.finalists:
        for fold, place in one.ranks.items():
            line = table.loc[fold]
            assert place == 1 + int((line > line[one.number]).sum())
    agreement = rank_agreement(table.loc[["walk-1", "walk-2"], [4, 9, 2]].to_numpy())
    assert agreement is not None
    assert said.agreement == agreement, "the validation part chose them and is no judge"
    (order,) = [line for line in confirmation_sentences(said) if "Kendall" in line]
    assert f"W is {agreement.w:.2f} over the 2 walk-forward folds before the valid" in order
    assert said.seeds == 3
    assert said.before == ["walk-1", "walk-2"]


def test_single_trials_are_held_to_all_that_were_looked_at() -> None:
    """Holm's p: the smallest times their number, the next times one fewer, never decreasing."""
    said = found({4: 2.0, 9: 1.0, 2: 0.5, 7: 0.0})
    raw = sorted((one.before.p, one.number) for one in said.finalists if one.before is not None)
    expected, highest = {}, 0.0
    for place, (p, number) in enumerate(raw):
        highest = max(highest, min(1.0, p * (4 - place)))
        expected[number] = highest
    assert {one.number: one.p for one in said.finalists} == pytest.approx(expected)


def test_skill_and_its_absence_are_said_in_words() -> None:
    first, *others = confirmation_sentences(found({4: 3.5, 9: 3.0}))
    assert first.startswith(
        "More than chance (p < 0.001): both finalists together, 2 seeds each in"
    )
    assert "on 240 days before the validation dates (2015-01-01 to " in first
    assert "2 walk-forward folds); ridge " in first
    (leak, *_) = confirmation_sentences(found({4: 3.5, 9: 3.0}), too_good=True)
    assert leak.startswith("More than chance, as a leak is too (p < 0.001): ")
    both = "Trials 4 (p < 0.001) and 9 (p = 0.027) are more than chance alone, though all of them "
    assert f"{both}were looked at (Holm)." in others
    assert any("flattered, and no proof" in line for line in others)
    first, *others = confirmation_sentences(found({4: -0.5, 9: -1.0, 2: -0.2}))
    assert first.startswith("Nothing beats chance (p = 0.")
    assert "No trial shows it alone, as all of them were looked at (Holm)." in others
    first, second, *_ = confirmation_sentences(found({4: 5.0, 9: -3.0, 2: -3.0}))
    assert first.startswith("Not told from chance together (p = ")
    assert second.startswith("Trial 4 (p < 0.001) is more than chance alone")
    assert second.endswith("one in ten pass one of the two.")
    (alone, *_) = confirmation_sentences(found({4: -0.5}))
    assert "the only finalist, 2 seeds in equal shares, earns a Sharpe ratio of −" in alone


def test_what_earned_once_and_no_more_is_said_to_have_faded() -> None:
    now = found({4: 3.5, 9: 3.0})
    assert now.together is not None
    assert now.valid is not None
    assert not any("faded" in line for line in confirmation_sentences(now))
    later = replace(now.valid, sharpe=now.together.sharpe - 5.0)
    error = sqrt(now.together.error**2 + now.valid.error**2)
    (said,) = [
        line
        for line in confirmation_sentences(replace(now, valid=later))
        if line.startswith(f"That is 5.00 ± {error:.2f} less than on the days before")
    ]
    assert said.endswith("has faded, and the older days promise nothing.")
    for times, fades in ((1.6, False), (1.7, True)):  # 1.645 errors are 5 %, one-sided
        valid = replace(now.valid, sharpe=now.together.sharpe - times * error)
        lines = confirmation_sentences(replace(now, valid=valid))
        assert any("faded" in line for line in lines) == fades
    nothing = replace(now, together=replace(now.together, p=0.06), valid=later)
    assert not any("faded" in line for line in confirmation_sentences(nothing))


def test_failed_trainings_are_counted_and_left_out() -> None:
    failing = ((4, "walk-1", 0), (4, "walk-2", 0), (4, "walk-2", 1))
    said = found({4: 1.0, 9: 0.0}, failing=failing)
    one = said.finalists[0]
    assert one.failed == 3
    assert one.before is not None
    assert one.before.days == DAYS
    assert one.ranks["walk-2"] is None
    _, daily = tables({4: 1.0, 9: 0.0}, failing=failing)
    early = daily[daily["sha256"].isin(["walk-1", "walk-2"]) & (daily["number"] >= 0)]
    each = early.groupby(["day", "number"])["net_return"].mean()
    assert said.together is not None
    assert said.together.sharpe == pytest.approx(ratio(each.groupby("day").mean().to_numpy()))
    assert confirmation_sentences(said)[-1].endswith("left out: 3 of trial 4.")
    everything = tuple((4, fold, turn) for fold, *_ in FOLDS for turn in range(2))
    nothing = found({4: 1.0}, failing=everything)
    assert (nothing.together, nothing.finalists[0].median) == (None, None)
    assert confirmation_sentences(nothing)[0].startswith("Nothing was tested")
    assert confirmation_tables(nothing)


def test_a_training_that_held_nothing_earned_nothing() -> None:
    """As at the gate: a seed that holds nothing takes its share of what the others earn."""
    sharpes = {4: 3.0, 9: 1.0}
    trainings, returns = tables(sharpes, seeds=3)
    stays = (trainings["fold"] == "walk-2") & (trainings["number"] == 4) & (trainings["seed"] > 100)
    idle = trainings.loc[stays, ["number", "seed", "sha256"]]
    trainings.loc[stays, "sharpe"] = np.nan
    gone = pd.MultiIndex.from_frame(returns[["number", "seed", "sha256"]])
    without = returns[~gone.isin(pd.MultiIndex.from_frame(idle))]
    assert len(returns) - len(without) == 2 * DAYS
    said = confirmation([(4, 1, 1.0), (9, 2, 1.0)], trainings, without, YEAR)
    zeros = returns.assign(
        net_return=returns["net_return"].where(~gone.isin(pd.MultiIndex.from_frame(idle)), 0.0)
    )
    same = confirmation([(4, 1, 1.0), (9, 2, 1.0)], trainings, zeros, YEAR)
    assert said.together == same.together
    one, other = said.finalists
    assert (one.idle, one.failed, other.idle) == (2, 0, 0)
    assert one.before == same.finalists[0].before
    early = returns[(returns["number"] == 4) & returns["sha256"].isin(["walk-1", "walk-2"])]
    held = early.assign(
        net_return=early["net_return"].where(
            (early["sha256"] == "walk-1") | (early["seed"] == 100), 0.0
        )
    )
    assert one.before is not None
    assert one.before.sharpe == pytest.approx(
        ratio(held.groupby("day")["net_return"].mean().to_numpy())
    )
    assert confirmation_sentences(said)[-1] == (
        "Trainings that held nothing on their fold earn 0 there: 2 of trial 4."
    )


def test_a_day_that_two_folds_divide_earned_the_sum_of_both() -> None:
    """As of bars within a day of a market that never closes."""
    trainings, returns = tables({4: 1.0, 9: 0.0}, seeds=2)
    last = returns.loc[returns["sha256"] == "walk-1", "day"].max()
    first = returns.loc[returns["sha256"] == "walk-2", "day"].min()
    divided = returns.assign(day=returns["day"].where(returns["day"] != first, last))
    said = confirmation([(4, 1, 1.0), (9, 2, 1.0)], trainings, divided, YEAR)
    early = divided[divided["sha256"].isin(["walk-1", "walk-2"]) & (divided["number"] >= 0)]
    net = early.groupby("day")["net_return"].sum().to_numpy() / 4
    assert said.together is not None
    assert said.together.days == len(net) == 2 * DAYS - 1
    assert said.together.sharpe == pytest.approx(ratio(net))


def test_what_never_varies_or_is_too_short_is_no_book() -> None:
    assert book_of(np.full(100, 0.01), YEAR) is None
    assert book_of(np.random.default_rng(0).normal(size=19), YEAR) is None


def test_useless_finalists_pass_in_one_of_twenty() -> None:
    trials = 1000
    passed = sum(
        (book := book_of(np.random.default_rng(seed).standard_t(5, 500), YEAR)) is not None
        and book.p <= 0.05
        for seed in range(trials)
    )
    assert abs(passed / trials - 0.05) <= 3 * sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize("width", [80, 160])
def test_tables_fit_the_console(width: int) -> None:
    console = Console(width=width, record=True, file=StringIO())
    said = found({4: 6.0, 9: -1.0, 123: 0.0})
    for table in confirmation_tables(said, width):
        console.print(table)
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    assert ("spread" in text) == (width == 160)
    for one in said.finalists:
        assert one.before is not None
        assert f"{one.before.sharpe:.2f}".replace("-", "−") in text
        assert one.p is not None
        assert ("< 0.001" if one.p < 0.001 else f"{one.p:.3f}") in text
    assert min(one.p or 0.0 for one in said.finalists) < 0.001
    assert "0.000" not in text
    assert "Rank by walk-forward fold" in text
