"""What several rules say of one search, beside the truth."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from analysis.load import Run, load_run
from analysis.ranking import rank
from analysis.statistics.probabilistic_sharpe import deflated_sharpe, moments, probabilistic_sharpe
from analysis.verdict.skill import skill
from benchmarks.truth.markets import Book
from benchmarks.truth.skill.make import TRUTH

RULES = (
    "this project's verdict",
    "the best trial, White's check",
    "the best finalist, deflated Sharpe",
    "the best finalist, its own t-test",
    "the truly best finalist, its own t-test",  # no rule: nobody knows which it is
)


@dataclass(frozen=True)
class Judged:
    """One search.

    Attributes:
        kind: of its market.
        p: by rule of `RULES`; 1 where nothing can be said.
        sharpes: annual Sharpe ratios: as found on validation, and what is true.
    """

    kind: str
    p: dict[str, float]
    sharpes: dict[str, float]


def judge(folder: Path) -> Judged:
    """Returns what the rules say of the search in a folder of `benchmarks.truth.skill.make`."""
    run = load_run(folder)
    record = json.loads((folder / TRUTH).read_text(encoding="utf-8"))
    book = Book(np.array(record["mean"]), np.array(record["cov"]))
    place = {number: at for at, number in enumerate(record["numbers"])}
    found, kind = skill(run), folder.name.partition("-")[0]
    finalists = rank(run).dropna(subset=["sharpe_mean"])
    if found is None:
        return Judged(kind, dict.fromkeys(RULES, 1.0), {})
    rows = finalists.dropna(subset=["sharpe"]).to_dict("records")
    best = int(max(rows, key=lambda row: row["sharpe"])["number"])
    first = int(rows[0]["number"])
    seeds = found.ensemble.members[first]
    every = [number for each in found.ensemble.members.values() for number in each]
    truly = {number: book.sharpe([place[number]]) for number in every}
    truly_best = max(truly, key=truly.__getitem__)
    p = found.p, found.best.p, *_of_one(run, best), _of_one(run, truly_best)[1]
    return Judged(
        kind,
        dict(zip(RULES, p, strict=True)),
        {
            "cross-fitted choice": found.choice.sharpe or 0.0,  # of nothing held
            "all finalists, validation": found.ensemble.sharpe,
            "all finalists, truth": book.sharpe([place[number] for number in every]),
            "first, validation": float(rows[0]["sharpe_mean"]),
            "first, truth": _mean(book, [place[number] for number in seeds]),
            "best finalist, validation": max(float(row["sharpe"]) for row in rows),
            "best finalist, truth": book.sharpe([place[best]]),
            "truly best finalist": truly[truly_best],
        },
    )


def _of_one(run: Run, number: int) -> tuple[float, float]:
    """Returns the p of a finalist's deflated Sharpe ratio among all trials, and of it alone."""
    returns = run.daily_returns(number)
    found = None if returns is None else moments(returns)
    if found is None:
        return 1.0, 1.0
    trials = len(run.searched.dropna(subset=["sharpe"]))
    deflated = deflated_sharpe(found, trials, 1 / found.periods)
    alone = probabilistic_sharpe(found)
    return 1 - (deflated or 0.0), 1 - (alone or 0.0)


def _mean(book: Book, members: Sequence[int]) -> float:
    return float(np.mean([book.sharpe([member]) for member in members]))
