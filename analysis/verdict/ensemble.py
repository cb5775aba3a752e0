"""All finalists together: equal shares of every one's seeds, each paying its own costs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan, sqrt

import numpy as np

from analysis.load import Run
from analysis.seeds import Row, further_seeds, scored_seeds
from analysis.statistics.probabilistic_sharpe import moments, robust_sharpe_error
from trainable.cli.text import counted, signed

FLATTERED = "What was chosen on these days is flattered by them."


@dataclass(frozen=True)
class Ensemble:
    """The book that holds every seed of every finalist in equal shares.

    Who finishes, and who gets how many seeds, followed from the same days: it is flattered, though
    less than the best of them. What members would save by trading with each other is not counted.

    Attributes:
        members: numbers of the seeds, by the number of their configuration's first trial.
        books: [days, configurations] net returns of each one's seeds in equal shares.
        returns: [days] net returns, the mean of the members'.
        sharpe: annual Sharpe ratio.
        error: its standard error, robust to autocorrelation.
    """

    members: Mapping[int, Sequence[int]]
    books: np.ndarray
    returns: np.ndarray
    sharpe: float
    error: float

    @property
    def seeds(self) -> int:
        """How many seeds it holds."""
        return sum(len(each) for each in self.members.values())


def members_of(run: Run) -> dict[int, list[int]]:
    """Returns the numbers of the seeds with returns, by the number of their configuration."""
    further = further_seeds(run)
    members: dict[int, list[int]] = {}
    for first in run.searched_rows:
        number = int(first["number"])
        for seed in scored_seeds(first, further.get(number, []))[0]:
            if run.daily_returns(int(seed["number"])) is not None:
                members.setdefault(number, []).append(int(seed["number"]))
    return members


def ensemble(run: Run) -> Ensemble | None:
    """Returns the ensemble of a run; None where no finalist has returns that vary."""
    members = members_of(run)
    if not members:
        return None
    series = {
        number: [returns for seed in seeds if (returns := run.daily_returns(seed)) is not None]
        for number, seeds in members.items()
    }
    together = np.mean([returns for each in series.values() for returns in each], axis=0)
    found, error = moments(together), robust_sharpe_error(together)
    if found is None or error is None:
        return None
    year = sqrt(run.days_per_year)
    books = np.column_stack([np.mean(each, axis=0) for each in series.values()])
    return Ensemble(members, books, together, found.sharpe * year, error * year)


def ensemble_sentences(run: Run, best: Row, together: Ensemble | None) -> list[str]:
    """Returns what all finalists earn together, and beside it the one that ranks first.

    Its first seed has been chosen by its own luck, too; the fresh ones only by that of the days.

    Args:
        run: the run.
        best: the first row of `analysis.ranking.rank`, a finalist with a Sharpe ratio.
        together: `ensemble(run)`.
    """
    several = together is not None and together.seeds > 1
    sentences = []
    if together is not None and several:
        sentences.append(
            f"{_who(together)} in equal shares: Sharpe ratio {signed(together.sharpe)} ± "
            f"{together.error:.2f} ({together.seeds} trainings)."
        )
    unit = "" if several else "Sharpe ratio "
    earned = ", ".join(_about_seeds(run, int(best["number"])))
    return [*sentences, f"Trial {best['number']} ranks first: {unit}{earned}. {FLATTERED}"]


def winner_sentences(run: Run) -> list[str]:
    """Returns what to say where `best/` does not give the ranking's Sharpe ratio again."""
    found = run.run.get("winner")
    if not isinstance(found, Mapping) or found.get("equal", True):
        return []
    again = found.get("again")
    made = "is undefined" if again is None else f"is {again:.8g}"
    return [
        f"WRONG: the Sharpe ratio of the models in best/ {made}, and that of the ranking "
        f"{found['sharpe']:.8g}; their predictions differ by {found['apart']:.1g} at most from "
        "those of the search. Do not trade what predicts otherwise than it was ranked."
    ]


def _about_seeds(run: Run, number: int) -> Iterator[str]:
    """Yields what the first seed of a finalist has earned, and the mean of its fresh ones."""
    scored, _ = scored_seeds(run.row_of[number], further_seeds(run).get(number, []))
    fresh = [float(seed["sharpe"]) for seed in scored if seed["number"] != number]
    for seed in scored:
        if seed["number"] == number:
            error = "" if isnan(seed["sharpe_se"]) else f" ± {seed['sharpe_se']:.2f}"
            yield f"{signed(seed['sharpe'])}{error} with its {'first' if fresh else 'one'} seed"
    if fresh:
        yield f"{signed(float(np.mean(fresh)))} with {counted(len(fresh), 'fresh one')}"


def _who(together: Ensemble) -> str:
    count = len(together.members)
    if count == 1:
        return "The only finalist's seeds"
    return "Both finalists" if count == 2 else f"All {count} finalists"
