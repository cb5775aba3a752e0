"""The statistics behind a verdict, a line each: what was tried, what luck reaches, what is proved.

Each is defined in `docs/verdict.md`. What is undefined has no line.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.seeds import Row
from analysis.statistics.probabilistic_sharpe import (
    Moments,
    deflated_sharpe,
    minimum_track_record,
    moments,
    robust_sharpe_error,
)
from analysis.statistics.snooping.backtest_overfitting import (
    BacktestOverfitting,
    backtest_overfitting,
)
from analysis.statistics.snooping.effective_trials import effective_trials
from analysis.statistics.snooping.luck_line import luck_line
from analysis.statistics.snooping.superior_ability import superior_ability
from analysis.verdict.alarms import LONG_ONLY, is_neutral, premium
from analysis.verdict.ensemble import Ensemble, ensemble
from analysis.verdict.luck import Luck, luck
from analysis.verdict.skill import LEVEL, Skill, p_text, skill, trial_returns
from trainable.cli.text import listed

BLOCKS, FEWER_BLOCKS = 16, 12  # of days: 12,870 and 924 splits
MANY_COLUMNS = 1_000  # epochs of finalists, from which on there are fewer blocks
MOST_COLUMNS = 20_000  # of which the splits take a minute
MOST_TESTED = 100  # finalists that are tested against baselines
LONG = 100  # years of a track record that nobody waits for

Figure = tuple[str, str]  # what it is, and its value in words


@dataclass(frozen=True)
class Statistics:
    """The statistics of a run; `in_words` and `record` say the same figures.

    Attributes:
        trial: number of the first of the ranking.
        seeds: that its Sharpe ratio is the mean of.
        luck: the luck line; None where nothing but one try is known.
        worth: how many independent tries there are; None where no trial has returns.
        tested: whether there is skill; None where that cannot be tested.
        deflated: deflated Sharpe ratio of the trial; of a single try the probabilistic one.
        overfitted: probability of backtest overfitting.
        track_record: days that all finalists together would need; None: no number of days.
        superior: whether finalists are better than the baselines.
        premium: how it stands beside the market, in words.
    """

    trial: int
    seeds: int
    luck: Luck | None
    worth: "Effective | None"
    tested: Skill | None
    deflated: float | None
    overfitted: BacktestOverfitting | None
    track_record: float | None
    superior: "Superiority | None"
    premium: str | None


def statistics(run: Run, best: Row, tested: Skill | None = None) -> Statistics:
    """Returns the statistics of a run.

    Args:
        run: the run.
        best: the first row of `analysis.ranking.rank`, a finalist with a Sharpe ratio.
        tested: `analysis.verdict.skill.skill(run)`, where it is known.
    """
    tested = skill(run) if tested is None else tested
    together = ensemble(run) if tested is None else tested.ensemble
    chance, number = luck(run), int(best["number"])
    several = chance is not None and chance.tries.total > 1
    books = together is not None
    return Statistics(
        trial=number,
        seeds=int(best["sharpe_seeds"]),
        luck=chance if several else None,
        worth=effective(run),
        tested=tested,
        deflated=deflated(run, number) if books else None,
        overfitted=overfitting(run) if books else None,
        track_record=_track_record(moments(together.returns)) if together is not None else None,
        superior=superiority(run, together) if together is not None else None,
        premium=premium(run, best),
    )


def figures(run: Run, best: Row, tested: Skill | None = None) -> list[Figure]:
    """Returns the statistics of a run in words, in the order in which a person asks for them.

    Args:
        run: the run.
        best: the first row of `analysis.ranking.rank`, a finalist with a Sharpe ratio.
        tested: `analysis.verdict.skill.skill(run)`, where it is known.
    """
    return in_words(run, statistics(run, best, tested))


def in_words(run: Run, found: Statistics) -> list[Figure]:
    """Returns statistics in words; what is undefined is left out."""
    said = [*_about_luck(run, found), *_about_skill(found.tested), *_about_books(run, found)]
    return said + ([] if found.premium is None else [(f"beside {LONG_ONLY}", found.premium)])


def record(run: Run, found: Statistics) -> dict[str, Any]:
    """Returns statistics as numbers by name; what is undefined is None."""
    overfitted, days = found.overfitted, found.track_record
    return {
        "trial": found.trial,
        "luck_line": _record_of_luck(run, found),
        **_record_of_skill(found.tested),
        "deflated_sharpe": found.deflated,
        "backtest_overfitting": None
        if overfitted is None
        else {"probability": overfitted.probability, "loss": overfitted.loss},
        "minimum_track_record_years": None if days is None else days / run.days_per_year,
        "years": run.days / run.days_per_year,
        "beyond_baselines": found.superior,
    }


@dataclass(frozen=True)
class Effective:
    """How many independent trials are worth as much luck as those of a run.

    Attributes:
        trials: of this run.
        tries: of all runs on its data, as correlated as those of this one.
    """

    trials: float
    tries: float


def effective(run: Run) -> Effective | None:
    """Returns the effective number of a run's trials and tries; None where none has returns."""
    returns = trial_returns(run)
    known = None if returns is None else effective_trials(returns)
    if known is None or returns is None:
        return None
    return Effective(known, max(1.0, run.tries.total * known / returns.shape[1]))


def deflated(run: Run, number: int) -> float | None:
    """Returns the deflated Sharpe ratio of a trial (Bailey and López de Prado 2014).

    How surely its true ratio is above what luck is expected to bring the best of as many
    independent tries to as these are worth. Of useless trials a ratio per day varies by
    1 ÷ (days − 1); its own error is robust to autocorrelation. None where undefined.
    """
    returns, tries = run.daily_returns(number), effective(run)
    found = None if returns is None else moments(returns)
    if returns is None or found is None or tries is None:
        return None
    variance = 1 / (len(returns) - 1)
    return deflated_sharpe(found, tries.tries, variance, robust_sharpe_error(returns))


def overfitting(run: Run) -> BacktestOverfitting | None:
    """Returns the probability of backtest overfitting of the choice among finalists and epochs.

    None for a single column, too few days, or more columns than are tested.
    """
    finalists = [_epochs(run, number) for number in _finished(run)]
    known = [each for each in finalists if each is not None]
    columns = sum(each.shape[1] for each in known)
    if not known or columns > MOST_COLUMNS:
        return None
    return backtest_overfitting(known, BLOCKS if columns <= MANY_COLUMNS else FEWER_BLOCKS)


@dataclass(frozen=True)
class Superiority:
    """Whether finalists are better than every baseline.

    Attributes:
        p: the largest of those against each baseline.
        against: the baseline that it is against.
        better: numbers of the finalists that are better than each of them.
    """

    p: float
    against: str
    better: tuple[int, ...]


def superiority(run: Run, together: Ensemble) -> Superiority | None:
    """Returns whether finalists are better than all baselines but the market.

    To hold no position is one of them. Each finalist is the book of its seeds in equal shares.
    None where no baseline can be compared with.
    """
    numbers = [*together.members]
    if len(numbers) > MOST_TESTED:
        return None
    tests = {
        name: test
        for name, returns in _bars(run)
        if (test := superior_ability(together.books, returns, LEVEL)) is not None
    }
    if not tests:
        return None
    against = max(tests, key=lambda name: tests[name].p)
    better = set.intersection(*(set(test.better) for test in tests.values()))
    return Superiority(tests[against].p, against, tuple(numbers[k] for k in sorted(better)))


def _about_luck(run: Run, found: Statistics) -> Iterator[Figure]:
    chance, worth = found.luck, found.worth
    if chance is None:
        return
    said = f"{chance.one_seed:.2f} ({chance.tries.total:,} tries)"
    line = _independent(run, worth)
    if worth is not None and line is not None:
        said += f"; {line:.2f} (worth {worth.tries:,.0f} independent ones)"
    yield "luck line", said
    if found.seeds > 1:
        yield f"luck line, {found.seeds} seeds", _of_means(chance, found.seeds)


def _independent(run: Run, worth: Effective | None) -> float | None:
    """Returns the luck line of as many independent tries."""
    if worth is None:
        return None
    return luck_line(worth.tries, run.periods, run.periods_per_year)


def _record_of_luck(run: Run, found: Statistics) -> dict[str, Any] | None:
    chance = found.luck
    if chance is None:
        return None
    return {
        "sharpe": chance.one_seed,
        "tries": chance.tries.total,
        "independent_tries": None if found.worth is None else found.worth.tries,
        "sharpe_of_independent_tries": _independent(run, found.worth),
        "seeds": found.seeds,
        "sharpe_of_means_of_seeds": chance.line(found.seeds),
        "seed_correlation": chance.correlation,
    }


def _record_of_skill(found: Skill | None) -> dict[str, Any]:
    """Returns what the words say of skill: of a choice that earns nothing, no figure is right."""
    if found is None:
        return dict.fromkeys(("cross_validated", "highest", "provable_sharpe", "not_told_apart"))
    choice, highest, told = found.choice, found.best, _is_told(found)
    chosen = found.testable and choice.sharpe is not None
    return {
        "cross_validated": {
            "sharpe": choice.sharpe if chosen and (choice.sharpe or 0.0) > 0 else None,
            "error": choice.error if chosen and (choice.sharpe or 0.0) > 0 else None,
            "p": found.p if chosen else None,
            "sharpe_by_luck": choice.point(found.level) if chosen else None,
        },
        "highest": {
            "trials": highest.trials,
            "sharpe": highest.best if told else None,
            "p": found.over_all_tries(highest.p) if told else None,
            "sharpe_by_luck": highest.point(found.level) if told else None,
        },
        "provable_sharpe": found.provable if found.testable else None,
        "not_told_apart": found.alike,
    }


def _of_means(chance: Luck, seeds: int) -> str:
    return f"{chance.line(seeds):.2f}; two seeds correlate by {chance.correlation:.2f}"


def _is_told(found: Skill) -> bool:
    """Says whether there are enough resamples for what the highest trial reaches by luck."""
    return found.best.trials > 1 and found.level >= 1 / (len(found.best.maxima) + 1)


def _about_skill(found: Skill | None) -> Iterator[Figure]:
    if found is None:
        return
    how_often = "one search of twenty" if found.searches == 1 else "one of twenty such series"
    choice, best = found.choice, found.best
    if found.testable and choice.sharpe is not None:
        earned = f"{choice.sharpe:.2f} ± {choice.error:.2f}" if choice.sharpe > 0 else "nothing"
        by_luck = f"by luck {choice.point(found.level):.2f} in {how_often}"
        yield "cross-validated", f"{earned}; {by_luck}"
    if _is_told(found):
        p = p_text(found.over_all_tries(best.p))
        by_luck = f"by luck {best.point(found.level):.2f} in {how_often}"
        yield f"highest of {best.trials} trials", f"{best.best:.2f}; {by_luck} (p {p})"
    if found.testable:
        yield "provable", f"a true ratio from {found.provable:.2f} on, in four of five cases"
    if found.alike is not None:
        count = len(found.ensemble.members)
        yield "not told apart", f"{len(found.alike)} of {count} finalists (model confidence set)"


def _about_books(run: Run, found: Statistics) -> Iterator[Figure]:
    if found.deflated is not None:
        name = "deflated Sharpe ratio" if run.tries.total > 1 else "probabilistic Sharpe"
        yield name, f"{found.deflated:.2f} (trial {found.trial})"
    overfitted = found.overfitted
    if overfitted is not None:
        yield (
            "backtest overfitting",
            f"probability {overfitted.probability:.2f}, of a loss {overfitted.loss:.2f}",
        )
    if found.track_record is not None:
        years, here = found.track_record / run.days_per_year, run.days / run.days_per_year
        long = f"{years:.1f} years" if years <= LONG else f"more than {LONG} years"
        yield "minimum track record", f"{long} of all finalists; there are {here:.1f}"
    tested = found.superior
    if tested is not None:
        better = "none" if not tested.better else listed([str(n) for n in tested.better])
        yield (
            "beyond the baselines",
            f"p {p_text(tested.p)} against {tested.against} (SPA); StepM finds {better}",
        )


def _track_record(found: Moments | None) -> float | None:
    return None if found is None else minimum_track_record(found, level=LEVEL)


def _finished(run: Run) -> list[int]:
    complete = run.searched.loc[run.searched["state"] == "COMPLETE"]
    return [int(number) for number in complete["number"]]


def _epochs(run: Run, number: int) -> np.ndarray | None:
    """Returns the daily net returns [days, epochs] of a trial; None where it has none."""
    first, last = np.searchsorted(run.returns["number"], [number, number + 1])
    mine = run.returns.iloc[first:last]
    by_day = np.asarray(mine["timestamp"]).astype("datetime64[D]")
    days, day = np.unique(by_day, return_inverse=True)
    epochs, epoch = np.unique(np.asarray(mine["epoch"]), return_inverse=True)
    if len(days) != run.days:
        return None
    found = np.zeros((len(days), len(epochs)))
    np.add.at(found, (day, epoch), np.asarray(mine["net_return"], dtype=np.float64))
    return found[:, np.isfinite(found).all(axis=0)]


def _bars(run: Run) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the baselines that a finalist must beat, with their daily returns."""
    yield "no position", np.zeros(run.days)
    for row in run.baseline_rows:
        name, returns = str(row["params.model/name"]), run.daily_returns(int(row["number"]))
        if returns is not None and not (name == LONG_ONLY and is_neutral(run)):
            yield name, returns
