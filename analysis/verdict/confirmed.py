"""What trainings on folds say of the finalists: whether they earn where nothing was chosen.

The rule stands in `docs/confirm.md`: one test, of all finalists together, on walk-forward days
before the validation part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import hypot, sqrt
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr

from analysis.statistics.probabilistic_sharpe import moments, robust_sharpe_error
from analysis.statistics.rank_agreement import RankAgreement, rank_agreement
from analysis.statistics.snooping.bootstrap import FEWEST
from analysis.verdict.skill import LEVEL, p_text
from trainable.cli.text import counted, listed, signed

FEWEST_TESTED = 60  # days, below which a p is too small
Frame = Any  # of pandas: type checkers understand too little of it
TIMED = ("walk", "groups")  # kinds of folds that divide the dates


@dataclass(frozen=True)
class Book:
    """What a series of daily net returns earns.

    Attributes:
        sharpe: annual Sharpe ratio.
        error: its standard error, robust to autocorrelation.
        p: how often a worthless one would earn as much, one-sided; normal for many days.
        days: of the series.
    """

    sharpe: float
    error: float
    p: float
    days: int


@dataclass(frozen=True)
class Confirmed:
    """One finalist, trained again.

    Attributes:
        number: of its first trial.
        rank: in the ranking.
        searched: Sharpe ratio of the ranking, the mean over its seeds.
        before: walk-forward before the validation part, its seeds in equal shares; None where
            nothing was trained there, or it earns nothing that varies.
        p: of `before`, times what testing all finalists costs (Holm 1979).
        valid: the same on the validation part, which chose it.
        median: Sharpe ratio over seeds and folds of dates.
        spread: standard deviation of these, ddof 1.
        above: share of the folds of dates on which the mean of its seeds is above 0.
        ranks: by walk-forward fold, 1 the best; None where it has no ratio.
        symbols: mean Sharpe ratio on held-out symbols.
        failed: trainings that failed numerically or did not fit a fold: they are left out.
        idle: trainings without a position on their fold: they earn 0 there.
    """

    number: int
    rank: int
    searched: float
    before: Book | None
    p: float | None
    valid: Book | None
    median: float | None
    spread: float | None
    above: float | None
    ranks: Mapping[str, int | None]
    symbols: float | None
    failed: int
    idle: int

    @property
    def found(self) -> bool:
        """Whether it alone is more than chance."""
        return self.p is not None and self.p <= LEVEL and self.before is not None


@dataclass(frozen=True)
class Confirmation:
    """What trainings on folds say.

    Attributes:
        finalists: in the order of the ranking.
        together: all of them in equal shares, walk-forward before the validation part.
        valid: the same on the validation part.
        symbols: mean Sharpe ratio of all on held-out symbols.
        agreement: of the orders on the walk-forward folds before the validation part.
        baselines: Sharpe ratio walk-forward before the validation part, by name.
        folds: fold → (kind, before, first date, last date).
        seeds: trained of each.
    """

    finalists: Sequence[Confirmed]
    together: Book | None
    valid: Book | None
    symbols: float | None
    agreement: RankAgreement | None
    baselines: Mapping[str, Book | None]
    folds: Mapping[str, tuple[str, bool, str, str]]
    seeds: int

    @property
    def found(self) -> bool:
        """Whether there is more than chance."""
        return self.together is not None and self.together.p <= LEVEL

    @property
    def before(self) -> list[str]:
        """The walk-forward folds before the validation part."""
        return [name for name, (kind, early, *_) in self.folds.items() if kind == "walk" and early]


def confirmation(
    ranked: Sequence[tuple[int, int, float]],
    trainings: Frame,
    returns: Frame,
    days_per_year: float,
) -> Confirmation:
    """Returns what trainings say.

    Args:
        ranked: number, rank and Sharpe ratio of each finalist.
        trainings: their rows of `confirm/trainings.parquet` and the baselines', in the order of
            folds; those asked for alone.
        returns: of `confirm/returns.parquet`, at least of these.
        days_per_year: to make ratios annual.
    """
    keys = ["number", "name", "seed", "sha256", "epochs"]
    about = [*keys, "fold", "kind", "before"]
    idle = _idle(trainings, returns, keys)
    daily = pd.concat([returns.merge(trainings[about], on=keys), _zeros(idle[about], returns)])
    numbers = [number for number, *_ in ranked]
    mine, walk = trainings[trainings["number"] >= 0], daily[daily["kind"] == "walk"]
    early, late = walk[walk["before"].astype(bool)], walk[~walk["before"].astype(bool)]

    def book(rows: Frame, fewest: int = FEWEST) -> Book | None:
        return book_of(_equal_shares(rows), days_per_year, fewest)

    befores = {n: book(early[early["number"] == n], FEWEST_TESTED) for n in numbers}
    adjusted = _holm({n: one.p for n, one in befores.items() if one is not None})
    walked = mine[mine["kind"] == "walk"]
    ratios = _by_fold(walked, numbers)
    judges = _by_fold(walked[walked["before"].astype(bool)], numbers).to_numpy(np.float64)
    found = []
    for number, place, searched in ranked:
        own = mine[mine["number"] == number]
        dated = own[own["kind"].isin(TIMED)]
        several = dated["sharpe"].dropna().to_numpy(np.float64)
        means = dated.dropna(subset=["sharpe"]).groupby("fold")["sharpe"].mean().to_numpy()
        found.append(
            Confirmed(
                number=number,
                rank=place,
                searched=searched,
                before=befores[number],
                p=adjusted.get(number),
                valid=book(late[late["number"] == number]),
                median=float(np.median(several)) if len(several) else None,
                spread=float(several.std(ddof=1)) if len(several) > 1 else None,
                above=float((means > 0).mean()) if len(means) else None,
                ranks=_ranks(ratios, number),
                symbols=_mean(own[own["kind"] == "symbols"]),
                failed=int((own["state"] != "COMPLETE").sum()),
                idle=int((idle["number"] == number).sum()),
            )
        )
    of_trials = early["number"] >= 0
    facts = trainings.drop_duplicates("fold").to_dict("records")
    names = dict.fromkeys(trainings.loc[trainings["number"] < 0, "name"])
    return Confirmation(
        finalists=found,
        together=book(early[of_trials], FEWEST_TESTED),
        valid=book(late[late["number"] >= 0]),
        symbols=_mean(mine[mine["kind"] == "symbols"]),
        agreement=rank_agreement(judges) if len(judges) else None,
        baselines={name: book(early[early["name"] == name]) for name in names},
        folds={row["fold"]: _facts(row) for row in facts},
        seeds=int(mine["seed"].nunique()),
    )


def _facts(row: Mapping[str, Any]) -> tuple[str, bool, str, str]:
    first, last = (f"{row[name]:%Y-%m-%d}" for name in ("first", "last"))
    return row["kind"], bool(row["before"]), first, last


def book_of(returns: np.ndarray, days_per_year: float, fewest: int = FEWEST) -> Book | None:
    """Returns what daily net returns [T] earn; None for fewer days, or ones that never vary.

    p is 1 − Φ(S ÷ error), one-sided. Of worthless returns (normal, t with five degrees of freedom,
    skewed, or with an autocorrelation of 0.2) 5 to 7 % have a p below 0.05 from 60 days on, and up
    to 9 % of 20 days.
    """
    if len(returns) < fewest:
        return None
    found, error = moments(returns), robust_sharpe_error(returns)
    if found is None or not error:
        return None
    year = sqrt(days_per_year)
    p = float(ndtr(-found.sharpe / error))
    return Book(found.sharpe * year, error * year, p, len(returns))


def confirmation_sentences(found: Confirmation, too_good: bool = False) -> list[str]:
    """Returns in plain words whether the finalists earn where nothing was chosen.

    Args:
        found: of the trainings.
        too_good: something of the search is too good to be true, see `analysis.verdict.alarms`.
    """
    count, seeds = len(found.finalists), counted(found.seeds, "seed")
    who = f"{_all(count)}, {seeds}{' each' if count > 1 else ''} in equal shares"
    sentences = [_verdict(found, who, too_good)]
    if found.together is not None:
        sentences += _about_single(found)
    if found.valid is not None:
        sentences.append(
            f"On the validation dates, which chose {'it' if count == 1 else 'them'}, the same book "
            f"earns {ratio_text(found.valid)}: flattered, and no proof."
        )
        sentences += _about_fading(found.together, found.valid)
    medians = [one.median for one in found.finalists if one.median is not None]
    kinds = [kind for kind, *_ in found.folds.values()]
    grouped = kinds.count("groups")
    if medians and grouped:
        low, high = signed(min(medians)), signed(max(medians))
        sentences.append(
            f"Over all {sum(kind in TIMED for kind in kinds)} folds of dates the median is "
            f"{low if low == high else f'{low} to {high}'}; {grouped} of these "
            f"{'is' if grouped == 1 else 'are'} combinatorial, with later dates to learn from."
        )
    if found.symbols is not None:
        sentences.append(
            "On symbols that were held out, at the validation dates, the mean is "
            f"{signed(found.symbols)}."
        )
    sentences += _about_order(found)
    failed = [one for one in found.finalists if one.failed]
    if failed:
        each = ", ".join(f"{one.failed} of trial {one.number}" for one in failed)
        sentences.append(f"Trainings that failed, or did not fit their fold, are left out: {each}.")
    idle = [one for one in found.finalists if one.idle]
    if idle:
        each = ", ".join(f"{one.idle} of trial {one.number}" for one in idle)
        sentences.append(f"Trainings that held nothing on their fold earn 0 there: {each}.")
    return sentences


def _verdict(found: Confirmation, who: str, too_good: bool) -> str:
    if found.together is None:
        return (
            f"Nothing was tested: no finalist has {FEWEST_TESTED} days of returns, walk-forward, "
            "before the validation dates."
        )
    first, last = found.folds[found.before[0]][2], found.folds[found.before[-1]][3]
    where = (
        f"{found.together.days:,} days before the validation dates ({first} to {last}, "
        f"{counted(len(found.before), 'walk-forward fold')})"
    )
    verb = "earns" if len(found.finalists) == 1 else "earn"
    earn = f"{verb} a Sharpe ratio of {ratio_text(found.together)} on {where}"
    beside = [
        f"{name.replace('_', ' ')} {signed(book.sharpe)}"
        for name, book in found.baselines.items()
        if book is not None
    ]
    compared = f"; {listed(beside)}" if beside else ""
    verdict = "Nothing beats chance"
    if found.found:
        verdict = "More than chance, as a leak is too" if too_good else "More than chance"
    elif any(one.found for one in found.finalists):
        verdict = "Not told from chance together"
    return f"{verdict} (p {p_text(found.together.p)}): {who}, {earn}{compared}."


def _about_single(found: Confirmation) -> list[str]:
    if len(found.finalists) == 1:
        return []
    alone = [one for one in found.finalists if one.found]
    if not alone:
        return ["No trial shows it alone, as all of them were looked at (Holm)."]
    each = listed([f"{one.number} (p {p_text(one.p or 0.0)})" for one in alone])
    who = f"Trial {each} is" if len(alone) == 1 else f"Trials {each} are"
    sentence = f"{who} more than chance alone, though all of them were looked at (Holm)"
    if not found.found:
        sentence += ": a second test, and of worthless finalists one in ten pass one of the two"
    return [f"{sentence}."]


def _about_fading(before: Book | None, valid: Book) -> list[str]:
    """Says that less is earned on the later dates, though they chose: p below 0.05, one-sided.

    The two are of different days, so the variance of their difference is the sum of theirs.
    """
    if before is None or before.p > LEVEL:
        return []
    less, error = before.sharpe - valid.sharpe, hypot(before.error, valid.error)
    if ndtr(-less / error) > LEVEL:
        return []
    return [
        f"That is {signed(less)} ± {error:.2f} less than on the days before, which is more than "
        "chance: what earned there has faded, and the older days promise nothing."
    ]


def _about_order(found: Confirmation) -> list[str]:
    agreement = found.agreement
    if agreement is None:
        return []
    return [
        f"How far their order stays the same: Kendall's W is {agreement.w:.2f} over the "
        f"{agreement.judges} walk-forward folds before the validation dates (mean rank correlation "
        f"{signed(agreement.spearman)}); of finalists that have nothing in common random orders "
        f"reach {agreement.chance:.2f} in one of twenty."
    ]


def _all(count: int) -> str:
    if count == 1:
        return "the only finalist"
    return "both finalists together" if count == 2 else f"all {count} finalists together"


def ratio_text(book: Book) -> str:
    """Returns a Sharpe ratio with its standard error."""
    return f"{signed(book.sharpe)} ± {book.error:.2f}"


def _idle(trainings: Frame, returns: Frame, keys: list[str]) -> Frame:
    """Returns the trainings that are complete and held nothing: they have no daily returns."""
    held = pd.MultiIndex.from_frame(returns[keys].drop_duplicates())
    is_idle = ~pd.MultiIndex.from_frame(trainings[keys]).isin(held)
    return trainings[is_idle & (trainings["state"] == "COMPLETE").to_numpy()]


def _zeros(idle: Frame, returns: Frame) -> Frame:
    """Returns daily net returns of 0, on the days that other trainings have on the same fold."""
    days = returns[["sha256", "day"]].drop_duplicates()
    return idle.merge(days, on="sha256").assign(net_return=0.0)


def _equal_shares(rows: Frame) -> np.ndarray:
    """Returns the mean daily net return of all trainings of each day, in the order of days.

    First summed over the folds that a day is divided between, as those of a market that never
    closes may be; then the mean over the seeds of each configuration, then over configurations:
    each has the same share.
    """
    if rows.empty:
        return np.empty(0)
    days = rows.groupby(["day", "number", "name", "seed"], sort=True)["net_return"].sum()
    seeds = days.groupby(level=["day", "number", "name"], sort=True).mean()
    return seeds.groupby(level="day", sort=True).mean().to_numpy(np.float64)


def _holm(ps: Mapping[int, float]) -> dict[int, float]:
    """Returns p-values that hold for all of them together (Holm 1979)."""
    adjusted: dict[int, float] = {}
    highest, count = 0.0, len(ps)
    for place, (number, p) in enumerate(sorted(ps.items(), key=lambda item: item[1])):
        highest = max(highest, min(1.0, (count - place) * p))
        adjusted[number] = highest
    return adjusted


def _by_fold(walk: Frame, numbers: Sequence[int]) -> Frame:
    """Returns the mean Sharpe ratio over seeds, [fold, number]; NaN where there is none."""
    if walk.empty:
        return pd.DataFrame(columns=list(numbers))
    table = walk.pivot_table("sharpe", "fold", "number", "mean", dropna=False)
    folds = list(dict.fromkeys(walk.sort_values("first")["fold"]))
    return table.reindex(index=folds, columns=list(numbers))


def _ranks(ratios: Frame, number: int) -> dict[str, int | None]:
    places = ratios.rank(axis=1, ascending=False, method="min")
    return {
        str(fold): None if np.isnan(place) else int(place)
        for fold, place in zip(places.index, places[number].to_numpy(np.float64), strict=True)
    }


def _mean(rows: Frame) -> float | None:
    known = rows["sharpe"].dropna()
    return float(known.mean()) if len(known) else None
