"""Two runs side by side, as one value: how each stands, in what they differ, who earns more."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analysis.comparison.differences import (
    Change,
    data_changes,
    settings_changes,
    space_diff,
    tried_changes,
    version_changes,
    winner_changes,
)
from analysis.comparison.winners import OnSameDays, Winner, on_same_days, winner_of
from analysis.load import Run
from analysis.statistics.snooping.luck_line import luck_line
from analysis.tries import Scored, Tries
from analysis.verdict.ensemble import ensemble
from analysis.verdict.skill import p_text, skill
from trainable.cli.errors import UserError
from trainable.cli.text import counted, signed


@dataclass(frozen=True)
class Standing:
    """How one of the runs stands by itself.

    Attributes:
        name: of the run.
        folder: where it lies.
        configurations: that were searched.
        epochs: trained, of all trials.
        winner: None where no finalist has a Sharpe ratio.
        together: annual Sharpe ratio of all finalists in equal shares; None likewise.
        together_error: its standard error.
        p: of the verdict, over all tries on its data; None where there is no test.
    """

    name: str
    folder: str
    configurations: int
    epochs: int
    winner: Winner | None
    together: float | None
    together_error: float | None
    p: float | None


@dataclass(frozen=True)
class LuckOverBoth:
    """What luck alone is expected to reach over both runs, where they are on the same data.

    Attributes:
        tries: configurations that were tried on these data, each counted once.
        expected: annual Sharpe ratio of the best of as many useless ones.
    """

    tries: int
    expected: float


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        runs: how each stands.
        same_days: what the two winners earn on the days that both were scored on; None where
            these are too few, or one has no winner.
        luck: None where it is not certain that both are on the same data.
        settings, data, versions, tried, winners: in what they differ.
        space: lines in which the texts of the spaces differ.
    """

    runs: tuple[Standing, Standing]
    same_days: OnSameDays | None
    luck: LuckOverBoth | None
    settings: Sequence[Change]
    data: Sequence[Change]
    versions: Sequence[Change]
    tried: Sequence[Change]
    winners: Sequence[Change]
    space: Sequence[str]


def compare(first: Run, second: Run) -> Comparison:
    """Returns two runs side by side.

    Raises:
        UserError: they are one run.
    """
    if first.folder.resolve() == second.folder.resolve():
        raise UserError(f"{first.folder} and {second.folder} are one run; name two")
    standings = _standing(first), _standing(second)
    winners = standings[0].winner, standings[1].winner
    same, changed = None, []
    if winners[0] is not None and winners[1] is not None:
        same = on_same_days((first, second), (winners[0], winners[1]))
        changed = winner_changes(winners[0], winners[1])
    space = space_diff(first, second)
    return Comparison(
        runs=standings,
        same_days=same,
        luck=_luck_over_both(first, second),
        settings=settings_changes(first, second),
        data=data_changes(first, second),
        versions=version_changes(first, second),
        tried=tried_changes(first, second) if space else [],
        winners=changed,
        space=space,
    )


def comparison_sentences(found: Comparison) -> list[str]:
    """Returns what a person should read first."""
    return [_about_winners(found), *_about_p(found), _about_luck(found)]


def tries_over_both(first: Run, second: Run) -> Tries | None:
    """Returns the tries on the data of two runs, each counted once; None where the data differ."""
    mine, other = Scored.of(first.run), Scored.of(second.run)
    if mine is None or other is None or not mine.shares_rows(other):
        return None
    one, two = first.tries, second.tries
    if first.folder.resolve().parent == second.folder.resolve().parent:
        runs = {**two.runs, **one.runs, second.name: two.here}
        runs.pop(first.name, None)
    else:  # of another folder of runs, where the same name is another run
        runs = dict(one.runs)
        of = {second.name: two.here, **two.runs}
        runs |= {f"{second.folder.resolve().parent}/{name}": tried for name, tried in of.items()}
    return Tries(one.here, runs, max(one.prior, two.prior))


def _standing(run: Run) -> Standing:
    tested, together = skill(run), ensemble(run)
    return Standing(
        name=run.name,
        folder=str(run.folder),
        configurations=len(run.searched),
        epochs=int(np.nansum(run.trials["epochs"].to_numpy(dtype=float))),
        winner=winner_of(run),
        together=None if together is None else together.sharpe,
        together_error=None if together is None else together.error,
        p=None if tested is None else tested.p,
    )


def _luck_over_both(first: Run, second: Run) -> LuckOverBoth | None:
    tries = tries_over_both(first, second)
    if tries is None or tries.total < 1 or not first.periods:
        return None
    line = luck_line(tries.total, first.periods, first.periods_per_year)
    return LuckOverBoth(tries.total, line)


def _about_winners(found: Comparison) -> str:
    for run in found.runs:
        if run.winner is None:
            return f"Nothing to compare: no trial of {run.name} has a Sharpe ratio."
    same, (a, b) = found.same_days, found.runs
    assert a.winner is not None
    assert b.winner is not None
    who = f"Trial {a.winner.number} of {a.name}", f"trial {b.winner.number} of {b.name}"
    if same is None:
        return (
            f"{who[0]} and {who[1]} were not scored on the same days, or on fewer than 20 of them: "
            "which one earns more cannot be told."
        )
    by = same.sharpes[0] - same.sharpes[1]
    on = f"on the {same.days:,} days that both were scored on ({same.first} to {same.last})"
    if same.difference is None:
        return f"{who[0]} earns {_more(by)} than {who[1]} {on}; how surely is not known."
    interval = same.difference.low, same.difference.high
    between = f"{signed(interval[0])} to {signed(interval[1])}"
    told = "days and seeds alone may explain that"
    if interval[0] > 0 or interval[1] < 0:
        told = "days and seeds do not explain that"
    return f"{who[0]} earns {_more(by)} than {who[1]} {on}: 95 % interval {between}, {told}."


def _about_p(found: Comparison) -> list[str]:
    if any(run.p is None for run in found.runs):
        return []
    each = [f"{run.name} p {p_text(run.p)}" for run in found.runs if run.p is not None]
    return [f"Whether each is more than chance, over all tries on its data: {', '.join(each)}."]


def _about_luck(found: Comparison) -> str:
    if found.luck is None:
        return "The runs are on different data: luck counts for each by itself."
    return (
        f"Both chose on the same data: luck alone is expected to bring the best of "
        f"{counted(found.luck.tries, 'try', 'tries')} to {found.luck.expected:.2f}, and to choose "
        "the better run is one more choice on these days."
    )


def _more(by: float) -> str:
    return f"{abs(by):.2f} {'more' if by >= 0 else 'less'}"
