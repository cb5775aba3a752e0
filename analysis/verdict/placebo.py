"""Whether the winner is more than what the same search finds where there is nothing to find.

A placebo is the same search on labels and returns that were moved in time and over symbols. The
winner of the real search is held against those of B placebos: p = (1 + k) ÷ (B + 1), where k of
them are as good (Davison and Hinkley 1997, section 4.2). So everything that chooses has a part in
it: who is stopped, which epoch ranks, how many seeds are raced, which is first. The choice that the
verdict tests is held against theirs, too; `skill` has another p for it, from the days alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Self

import pandas as pd

from analysis.load import Run
from analysis.statistics.snooping.cross_fit import cross_fit
from analysis.tries import is_placebo
from analysis.verdict.skill import trial_returns
from trainable.cli.errors import UserError
from trainable.cli.text import counted, signed
from trainable.io.checksums import checked
from trainable.io.json_file import read_json

FILE = "placebos.json"
USUAL = 19  # so many can show 0.05
LEVEL = 0.05


@dataclass(frozen=True)
class Found:
    """What a search has found, real or placebo.

    Attributes:
        best: annual Sharpe ratio of the first of the ranking, its mean over seeds, shrunk; None
            where no trial survived or took a position.
        choice: annual Sharpe ratio of what is chosen on most of the days, on the others
            (`cross_fit`); None where nothing was chosen.
    """

    best: float | None
    choice: float | None

    @classmethod
    def of(cls, run: Run, ranking: pd.DataFrame) -> Self:
        """Returns what a run has found; `ranking` is `rank(run)`."""
        first = ranking.dropna(subset=["sharpe_mean"])["sharpe_shrunk"].head(1).to_list()
        returns = trial_returns(run)
        choice = None if returns is None else cross_fit(returns, run.days_per_year, resamples=1)
        return cls(
            best=float(first[0]) if first and isfinite(first[0]) else None,
            choice=None if choice is None else choice.sharpe,
        )


@dataclass(frozen=True)
class Placebos:
    """A search beside its finished placebos.

    Attributes:
        real: what the search has found.
        found: what each of B placebos has.
        others: placebos that do not count, since they searched with other `trials` or `epochs`.
        symbols: of the data.
    """

    real: Found
    found: tuple[Found, ...]
    others: int
    symbols: int

    @property
    def p_best(self) -> float:
        """How often a search of nothing has a winner as good."""
        return placebo_p(self.real.best, [one.best for one in self.found])

    @property
    def p_choice(self) -> float:
        """How often what is chosen in a search of nothing earns as much on other days."""
        return placebo_p(self.real.choice, [one.choice for one in self.found])


def placebo_p(real: float | None, placebos: Sequence[float | None]) -> float:
    """Returns (1 + k) ÷ (B + 1), where k of B placebos reach the real figure; None reaches none."""
    return (1 + reaching(real, placebos)) / (len(placebos) + 1)


def reaching(real: float | None, placebos: Sequence[float | None]) -> int:
    """Returns how many of the placebos reach the real figure; all reach None, which is nothing."""
    lowest = -float("inf")
    bar = lowest if real is None else real
    return sum((lowest if one is None else one) >= bar for one in placebos)


def lengths(record: Mapping[str, Any]) -> tuple[Any, Any]:
    """Returns by what, of a `run.json`, a placebo must be like its search: trials and epochs."""
    return record["settings"]["trials"], record["epochs"]


def placebos(run: Run, ranking: pd.DataFrame) -> Placebos | None:
    """Returns a search beside its finished placebos; None without any, or before it has ended.

    Args:
        run: the run.
        ranking: `rank(run)`.

    Raises:
        UserError: the file of the placebos is damaged.
    """
    file = run.folder / FILE
    if not file.is_file() or run.run.get("state") != "ended":
        return None
    entries = read_placebos(run).values()
    trials, epochs = lengths(run.run)
    alike = [one for one in entries if (one["trials"], one["epochs"]) == (trials, epochs)]
    if not entries:
        return None
    return Placebos(
        real=Found.of(run, ranking),
        found=tuple(Found(one["best"], one["choice"]) for one in alike),
        others=len(entries) - len(alike),
        symbols=len(run.run["data"]["symbols"]),
    )


def read_placebos(run: Run) -> dict[int, dict[str, Any]]:
    """Returns what the file of a run's placebos says of each, by number; nothing without a file.

    An entry holds the fields of `Found`, and `trials`, `epochs` and `wall_s` of its search.

    Raises:
        UserError: the file is damaged.
    """
    file = run.folder / FILE
    if not file.is_file():
        return {}
    try:
        entries = checked(read_json(file, str(file), " does not exist"))["placebos"]
        return {int(one["number"]): dict(one) for one in entries}
    except (KeyError, TypeError, ValueError) as error:
        remedy = "remove it, and search.placebo reads the placebos anew"
        raise UserError(f"{file} is damaged ({error}); {remedy}") from error


def nature_sentences(run: Run) -> list[str]:
    """Returns what a person must know of a placebo before anything else; nothing of a search."""
    if not is_placebo(run.run):
        return []
    return ["This is a placebo: its labels were moved, and what is found here is luck."]


def placebo_sentences(run: Run, ranking: pd.DataFrame) -> list[str]:
    """Returns what the placebos of a run say; nothing without any.

    Args:
        run: the run.
        ranking: `rank(run)`.
    """
    found = placebos(run, ranking)
    if found is None:
        return []
    said = []
    if found.found:
        said += [_about(found)]
        least = 1 / (len(found.found) + 1)
        if least > LEVEL:
            said.append(
                f"{counted(len(found.found), 'placebo')} cannot show a p below {least:.2f}; "
                f"{USUAL} can show 0.05."
            )
    if found.others:
        begin = "placebo is" if found.others == 1 else "placebos are"
        said.append(
            f"{found.others} {begin} not counted, having searched with other trials or epochs; "
            f"python -m search.placebo {run.folder} goes on with them."
        )
    return said


def _about(found: Placebos) -> str:
    real, count = found.real, len(found.found)
    searches = f"{count} search{'es' if count > 1 else ''} of the same data"
    moved = "labels moved in time" + (" and over symbols" if found.symbols > 1 else "")
    if real.best is None:
        return f"Placebo: no trial survived, so {searches} with {moved} are no better or worse."
    winners = reaching(real.best, [one.best for one in found.found])
    said = (
        f"Placebo: in {winners or 'none'} of {searches} with {moved} the winner reached "
        f"{signed(real.best)} or more (p = {found.p_best:.2f})"
    )
    if real.choice is None or real.choice <= 0:  # of which no figure is right
        return f"{said}."
    choices = reaching(real.choice, [one.choice for one in found.found])
    return (
        f"{said}; the cross-validated ratio reached {signed(real.choice)} in {choices or 'none'} "
        f"(p = {found.p_choice:.2f})."
    )
