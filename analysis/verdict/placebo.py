"""Whether the winner is more than what the same search finds where there is nothing to find.

A placebo is the same search on labels and returns that were moved in time and over symbols. The
winner of the real search is held against those of B placebos: p = (1 + k) ÷ (B + 1), where k of
them are as good (Davison and Hinkley 1997, section 4.2). So everything that chooses has a part in
it: who is stopped, which epoch ranks, how many seeds are raced, which is first. The choice that the
verdict tests is held against theirs, too; `skill` has another p for it, from the days alone.
"""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import ceil, isfinite
from typing import Any, Self

import pandas as pd

from analysis.load import Run
from analysis.statistics.snooping.cross_fit import cross_fit
from analysis.tries import is_placebo
from analysis.verdict.skill import trial_returns
from trainable.cli.errors import UserError
from trainable.cli.started import as_started
from trainable.cli.text import counted, signed
from trainable.io.checksums import checked
from trainable.io.json_file import read_json
from trainable.run_format import SEARCHED
from trainable.stop_reasons import INFRASTRUCTURE, NUMERIC_FAILURES

FILE = "placebos.json"
USUAL = 19  # so many can show 0.05
LEVEL = 0.05
FEWEST_TRAINED = 0.95  # of what the search trained, from which on a placebo counts


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
class Effort:
    """What a search was asked for, and how much of it was trained.

    A search of which less was trained finds less luck, so a placebo counts by this alone, and never
    by what it found.

    Attributes:
        trials: that its placebos are asked for: as many as it was or, where its time was limited,
            as it has trained.
        epochs, finalist_seeds, patience_trials: as its settings are, those of the latest session.
        trained: searched configurations that trained for an epoch, or failed numerically before.
        rows: trials and further seeds that there are.
        lost: those of them that failed with a machine or a process.
    """

    trials: int
    epochs: int
    finalist_seeds: int | None
    patience_trials: int | None
    trained: int
    rows: int
    lost: int

    @classmethod
    def of(cls, run: Run) -> Self:
        """Returns the effort of a run that has ended."""
        settings = run.run["settings"]
        trained = sum(
            row["epochs"] >= 1 or row["stop_reason"] in NUMERIC_FAILURES
            for row in run.searched_rows
        )
        reasons = [row["stop_reason"] for row in run.rows if row["kind"] in (*SEARCHED, "seed")]
        limited = settings.get("time_budget_s") is not None or "time_budget" in reasons
        asked = max(settings["trials"], len(run.searched_rows))
        return cls(
            trials=max(1, trained) if limited else asked,
            epochs=run.run["epochs"],
            finalist_seeds=settings.get("finalist_seeds"),
            patience_trials=settings.get("patience_trials"),
            trained=trained,
            rows=len(reasons),
            lost=sum(reason in INFRASTRUCTURE for reason in reasons),
        )

    @classmethod
    def read(cls, entry: Mapping[str, Any]) -> Self:
        """Returns what an entry of the file says; raises KeyError where it lacks a field."""
        return cls(**{each.name: entry[each.name] for each in fields(cls)})

    def asks_like(self, search: Self) -> bool:
        """Says whether a placebo was asked for the same as its search."""
        own, others = (
            (one.trials, one.epochs, one.finalist_seeds, one.patience_trials)
            for one in (self, search)
        )
        return own == others

    def is_whole(self, search: Self) -> bool:
        """Says whether machines failed no larger share of a placebo than of its search.

        And whether it trained as many configurations, but where patience may end it earlier: that
        is a part of the search.
        """
        if self.lost > ceil(search.lost * self.rows / max(1, search.rows)):
            return False
        patient = self.patience_trials is not None
        return patient or self.trained >= FEWEST_TRAINED * search.trained


@dataclass(frozen=True)
class Placebos:
    """A search beside its finished placebos.

    Attributes:
        real: what the search has found.
        found: what each of B placebos has.
        others: placebos that do not count, since they were asked for something else than the
            search, such as other `trials` or `epochs`.
        broken: placebos that do not count, since too little of them was trained.
        last: the highest number of a placebo.
        symbols: of the data.
    """

    real: Found
    found: tuple[Found, ...]
    others: int
    broken: int
    last: int
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
    entries, search = read_placebos(run).values(), Effort.of(run)
    if not entries:
        return None
    alike = [one for one in entries if Effort.read(one).asks_like(search)]
    whole = [one for one in alike if Effort.read(one).is_whole(search)]
    return Placebos(
        real=Found.of(run, ranking),
        found=tuple(Found(one["best"], one["choice"]) for one in whole),
        others=len(entries) - len(alike),
        broken=len(alike) - len(whole),
        last=max(one["number"] for one in entries),
        symbols=len(run.run["data"]["symbols"]),
    )


def uncounted(run: Run) -> int:
    """Returns how many placebos of a run have ended and do not count; `Effort` says why.

    Raises:
        UserError: the file of the placebos is damaged.
    """
    search = Effort.of(run)
    efforts = [Effort.read(entry) for entry in read_placebos(run).values()]
    return sum(not (one.asks_like(search) and one.is_whole(search)) for one in efforts)


def read_placebos(run: Run) -> dict[int, dict[str, Any]]:
    """Returns what the file of a run's placebos says of each, by number; nothing without a file.

    An entry holds the fields of `Found` and `Effort`, and `wall_s` of its search.

    Raises:
        UserError: the file is damaged.
    """
    file = run.folder / FILE
    if not file.is_file():
        return {}
    try:
        entries = checked(read_json(file, str(file), " does not exist"))["placebos"]
        for one in entries:
            Effort.read(one)
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
    goes_on = placebo_command(run, found.last)
    if found.others:
        said.append(
            f"{_not_counted(found.others)} having searched with other trials, epochs, seeds or "
            f"patience; {goes_on} goes on with {_them(found.others)}."
        )
    if found.broken:
        said.append(
            f"{_not_counted(found.broken)} since machines failed and less of {_them(found.broken)} "
            f"was trained than of the search; {goes_on} trains {_them(found.broken)} anew."
        )
    return said


def as_record(run: Run, ranking: pd.DataFrame) -> dict[str, Any] | None:
    """Returns what the placebos of a run say, by name, for JSON; None without any.

    Args:
        run: the run.
        ranking: `rank(run)`.
    """
    found = placebos(run, ranking)
    if found is None:
        return None
    chosen = found.real.choice is not None and found.real.choice > 0  # else no figure is right
    counts = len(found.found)
    return {
        "run": run.name,
        "folder": run.folder,
        "sentences": placebo_sentences(run, ranking),
        "real": found.real,
        "placebos": found.found,
        "p_of_winner": found.p_best if counts else None,
        "p_of_choice": found.p_choice if counts and chosen else None,
        "smallest_p": 1 / (counts + 1) if counts else None,
        "not_counted": {"searched_otherwise": found.others, "trained_too_little": found.broken},
    }


def _not_counted(count: int) -> str:
    return f"{counted(count, 'placebo')} {'is' if count == 1 else 'are'} not counted,"


def _them(count: int) -> str:
    return "it" if count == 1 else "them"


def placebo_command(run: Run, count: int) -> str:
    """Returns what searches this many placebos of a run."""
    if run.run.get("arguments") is None:  # from Python
        return f"launch(…, name={run.name!r}, resume=True, placebo={count})"
    words = ["python", "-m", "search.placebo", str(run.folder), f"placebos={count}"]
    return as_started(shlex.join(words))


def _about(found: Placebos) -> str:
    real, count = found.real, len(found.found)
    if real.best is None:
        return (
            "Placebo: no trial survived, so no search of moved labels could find less (p = 1.00)."
        )
    searches = f"{count} search{'es' if count > 1 else ''} of the same data"
    moved = "labels moved in time" + (" and over symbols" if found.symbols > 1 else "")
    winners = reaching(real.best, [one.best for one in found.found])
    said = (
        f"Placebo: {winners} of {searches} with {moved} had a winner as good ({signed(real.best)}, "
        f"shrunk; p = {found.p_best:.2f})"
    )
    if real.choice is None or real.choice <= 0:  # of which no figure is right
        return f"{said}."
    choices = reaching(real.choice, [one.choice for one in found.found])
    return (
        f"{said}; {choices} had a cross-validated ratio of {signed(real.choice)} or more "
        f"(p = {found.p_choice:.2f})."
    )
