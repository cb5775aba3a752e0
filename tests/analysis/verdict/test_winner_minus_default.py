"""What a run says of its winner beside its default, from run folders made by hand."""

from io import StringIO
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from rich.console import Console

from analysis.load import Run, load_run
from analysis.rank import show
from analysis.ranking import SHOWN, rank, summary_sentences
from analysis.result import result_of
from analysis.seeds import further_seeds, scored_seeds
from analysis.verdict.winner_minus_default import default_sentences, winner_minus_default
from tests.fixtures.runs import make_run

DAYS = pd.bdate_range("2020-01-01", periods=500)
EPOCH = 7
NAN = float("nan")


class Hand:
    """A run made by hand: trials with returns of one market, and noise of their own."""

    def __init__(self, bars_a_day: int = 1) -> None:
        self.rng = np.random.default_rng(0)
        self.bars = bars_a_day
        hours = pd.to_timedelta(np.tile(np.arange(bars_a_day), len(DAYS)), unit="h")
        self.stamps = DAYS.repeat(bars_a_day) + hours
        self.market = self.rng.standard_normal(len(self.stamps))
        self.rows: list[dict[str, Any]] = []
        self.returns: list[pd.DataFrame] = []

    @property
    def year(self) -> float:
        return 252.0 * self.bars

    def trial(
        self,
        sharpe: float | None,
        parent: int | None = None,
        with_returns: bool = True,
        **other: Any,
    ) -> int:
        """Adds a finished trial, whose returns have exactly this annual Sharpe ratio."""
        number = len(self.rows)
        self.rows.append(dict.fromkeys(SHOWN, NAN) | {
            "number": number, "kind": "search" if parent is None else "seed",
            "parent": NAN if parent is None else float(parent), "state": "COMPLETE",
            "stop_reason": "completed", "epochs": 9.0, "sharpe": NAN if sharpe is None else sharpe,
            "params.optimizer/lr": number * 1e-3, "params.train/seed": number,
        } | other)  # fmt: skip
        if sharpe is not None and with_returns:
            noise = self.market + 0.2 * self.rng.standard_normal(len(self.stamps))
            noise = (noise - noise.mean()) / noise.std(ddof=1)
            self.returns.append(pd.DataFrame({
                "number": number, "epoch": EPOCH, "timestamp": self.stamps,
                "net_return": 0.01 * (noise + sharpe / sqrt(self.year)),
            }))  # fmt: skip
        return number

    def run(self, default: object = 0) -> Run:
        facts = {"data": {"periods_per_year": self.year}, "default": default}
        run = Run(Path("runs/hand"), facts, pd.DataFrame(self.rows))
        columns = ["number", "epoch", "timestamp", "net_return"]
        run.__dict__["returns"] = pd.concat([pd.DataFrame(columns=columns), *self.returns])
        return run


def first_figure(hand: Hand, default: object = 0) -> str:
    """The sentence that names the default: after the verdict and what all have earned."""
    (said,) = [one for one in summary_sentences(hand.run(default)) if "default" in one]
    return said


def three(hand: Hand, *means: float, spread: float = 0.1) -> None:
    """Adds configurations of three seeds each."""
    for mean in means:
        first = hand.trial(mean - spread)
        hand.trial(mean, first)
        hand.trial(mean + spread, first)


def test_a_winner_that_is_told_from_the_default() -> None:
    hand = Hand()
    three(hand, 0.2, 1.4)
    said = first_figure(hand)
    begin = "Trial 3 earns 1.20 more than the default, trial 0 (95 % "
    assert said.startswith(begin + "interval ")
    assert said.endswith(", 3 seeds each): days and seeds do not explain that.")


def test_a_winner_that_is_not_told_from_the_default() -> None:
    hand = Hand()
    three(hand, 0.8, 0.9)
    said = first_figure(hand)
    assert "earns 0.10 more than the default, trial 0 (95 % interval −" in said
    assert ": days and seeds alone may explain that." in said


def test_the_interval_is_that_of_paired_days_and_of_seeds() -> None:
    """What both earn of the market cancels: unpaired, the interval were four times as wide."""
    hand = Hand()
    three(hand, 0.5, 1.0)
    run = hand.run()
    found = difference(run, 3, 0)
    assert found is not None
    assert found.value == pytest.approx(0.5)
    # Days: of own noise 0.04 ÷ 1.04 of the variance, in three seeds of each side.
    days = 2 * 0.04 / 1.04 / 3 / 500 * 252
    seeds = 2 * 0.1**2 / 3
    reach = (found.high - found.low) / 2
    assert 1.96 * sqrt(0.8 * days + seeds) < reach < 2.6 * sqrt(1.2 * days + seeds)
    assert reach < 1.96 * sqrt(2 * 252 / 500) / 4


def difference(run: Run, winner: int, default: int) -> Any:
    seeds = further_seeds(run)
    scored = {
        int(row["number"]): scored_seeds(row, seeds.get(int(row["number"]), []))[0]
        for row in run.searched.to_dict("records")
    }
    return winner_minus_default(run, winner, default, scored)


def test_bars_within_a_day_are_summed() -> None:
    daily, hourly = Hand(), Hand(bars_a_day=6)
    for hand in (daily, hourly):
        three(hand, 0.5, 1.0)
    found = [difference(hand.run(), 3, 0) for hand in (daily, hourly)]
    assert found[1].value == pytest.approx(0.5)
    widths = [one.high - one.low for one in found]
    assert widths[1] == pytest.approx(widths[0], rel=0.25)


def test_one_seed_each_and_seeds_of_different_number() -> None:
    hand = Hand()
    hand.trial(0.5)
    hand.trial(1.0)
    assert ", 1 seed each): days" in first_figure(hand)
    hand.trial(1.1, 1)
    assert ", 2 seeds against 1): days" in first_figure(hand)
    lone = Hand()
    three(lone, 1.0)
    lone.trial(0.9)
    assert ", 3 seeds against 1): days" in first_figure(lone, default=3)


def test_the_default_itself_ranks_first() -> None:
    hand = Hand()
    three(hand, 1.4, 0.2)
    assert first_figure(hand) == "Nothing beats the default, trial 0."


def test_one_that_ranks_first_with_a_lower_mean_earns_less() -> None:
    """The mean of one seed is shrunk more than that of three."""
    hand = Hand()
    hand.trial(1.05)
    three(hand, 1.0, 0.3, -0.4, -1.0, spread=0.6)
    assert rank(hand.run())["number"].iloc[0] == 1
    said = first_figure(hand)
    assert said.startswith("Trial 1 earns 0.05 less than the default")


def test_a_default_that_is_better_although_it_ranks_behind() -> None:
    hand = Hand()
    three(hand, 3.0, 0.5)
    best = {"number": 3}  # as if it did: the default is the one that earns more
    (said,) = default_sentences(hand.run(), best)
    assert "earns 2.50 less than the default, trial 0 (95 % interval −" in said
    assert said.endswith("3 seeds each): the default is the better one.")


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"state": "PRUNED", "stop_reason": "nan_explosion"}, "trial 0 ended by nan_explosion"),
        ({"state": "FAIL", "stop_reason": "out_of_memory"}, "trial 0 ended by out_of_memory"),
        ({"state": "RUNNING", "stop_reason": "interrupted"}, "trial 0 has not ended"),
        ({}, "trial 0 took no position"),
    ],
)
def test_a_default_that_failed_is_said_with_its_reason(other: dict[str, Any], why: str) -> None:
    hand = Hand()
    hand.trial(None, **other)
    three(hand, 1.0)
    said = f"Trial 1 has no default to be compared with: {why}."
    assert first_figure(hand) == said


def test_a_default_of_which_a_seed_failed() -> None:
    hand = Hand()
    three(hand, 1.0, 0.9)
    hand.trial(None, 3, state="PRUNED", stop_reason="collapsed")
    assert first_figure(hand, default=3).endswith(": of trial 3 a seed failed or took no position.")


def test_without_returns_there_is_a_difference_and_no_interval() -> None:
    hand = Hand()
    hand.trial(0.5, with_returns=False)
    hand.trial(1.0)
    said = first_figure(hand)
    assert said.startswith("Trial 1 earns 0.50 more than the default, ")
    assert "trial 0 (1 seed each): how far that can be trusted is not known" in said
    none = Hand()
    none.trial(0.5, with_returns=False)
    none.trial(1.0, with_returns=False)
    assert "how far that can be trusted is not known" in first_figure(none)


@pytest.mark.parametrize("default", [None, 99, "0", 1.5])
def test_without_a_default_nothing_is_said_of_one(default: object) -> None:
    hand = Hand()
    three(hand, 0.5, 1.0)
    assert "default" not in " ".join(summary_sentences(hand.run(default)))


def test_a_run_folder_of_an_earlier_version_ranks_as_before(tmp_path: Path) -> None:
    run = load_run(make_run(tmp_path / "old"))
    assert run.default is None
    text = shown(run)
    assert "the default" not in text
    assert "ranks first: " in text


def test_the_default_is_marked_in_the_ranking(tmp_path: Path) -> None:
    hand = Hand()
    three(hand, 0.5, 1.0)
    text = shown(hand.run())
    assert " 2     0* " in text
    assert "* the default, the centre of the space" in text
    assert max(map(len, text.splitlines())) <= 100
    assert "*" not in shown(hand.run(None))


def shown(run: Run) -> str:
    out = StringIO()
    show(result_of(run), 10, Console(file=out, width=100))
    return out.getvalue()
