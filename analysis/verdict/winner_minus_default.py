"""What a search has earned: its winner minus the default, the configuration without a search."""

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np

from analysis.load import Run
from analysis.seeds import Row, further_seeds, scored_seeds
from analysis.statistics.paired_sharpe import Difference, Side, difference_of_means
from analysis.statistics.shrinkage import seed_variance
from trainable.cli.text import counted, signed

MARK = "*"  # of the default in a table of finalists
MEANING = f"{MARK} the default, the centre of the space"


def default_sentences(run: Run, best: Mapping[str, Any]) -> list[str]:
    """Returns what a run says of its winner and its default; nothing where it has no default.

    Args:
        run: the run.
        best: the first row of `analysis.ranking.rank`, a finalist with a Sharpe ratio.
    """
    default = run.default
    if default is None:
        return []
    if best["number"] == default:
        return [f"Nothing beats the default, trial {default}."]
    seeds = further_seeds(run)
    numbers = [int(row["number"]) for row in run.searched_rows]
    scored = {n: scored_seeds(run.row_of[n], seeds.get(n, [])) for n in numbers}
    why = _why_not(run.row_of[default], *scored[default])
    winner = int(best["number"])
    if why is not None:
        return [f"Trial {winner} has no default to be compared with: {why}."]
    known = {number: found for number, (found, _) in scored.items() if found}
    counts = len(known[winner]), len(known[default])
    each = [f"{counted(counts[0], 'seed')} {_against(*counts)}"]
    means = [float(np.mean(_sharpes(known[number]))) for number in (winner, default)]
    difference = winner_minus_default(run, winner, default, known)
    if difference is not None:
        each.insert(0, f"95 % interval {signed(difference.low)} to {signed(difference.high)}")
    by = means[0] - means[1]
    how_much = f"{abs(by):.2f} {'more' if by >= 0 else 'less'}"
    return [
        f"Trial {winner} earns {how_much} than the default, trial {default} "
        f"({', '.join(each)}): {_verdict(difference)}."
    ]


def winner_minus_default(
    run: Run, winner: int, default: int, scored: Mapping[int, Sequence[Row]]
) -> Difference | None:
    """Returns the annual Sharpe ratio of a winner minus that of the default, paired by the day.

    Each is the mean over its seeds, each at its ranking epoch; returns of bars within a day are
    summed first, for an error bar needs no more.

    Args:
        run: the run.
        winner: number of a finalist.
        default: number of another.
        scored: the seeds that the mean is of, of every finalist, as `scored_seeds` returns them.

    Returns:
        None where one has no daily returns, or not those of the same days.
    """
    if run.periods == 0:
        return None
    daily = [_daily(run, scored[number]) for number in (winner, default)]
    if daily[0] is None or daily[1] is None or not np.array_equal(daily[0][0], daily[1][0]):
        return None
    days = len(daily[0][0])
    between = seed_variance(
        [_sharpes(seeds) for seeds in scored.values()], sqrt(run.periods_per_year / run.periods)
    )
    first, second = (
        Side(_sharpes(scored[number]), found[1])
        for number, found in zip((winner, default), (daily[0], daily[1]), strict=True)
    )
    return difference_of_means(first, second, run.periods_per_year * days / run.periods, between)


def _why_not(default: Row, scored: Sequence[Row], failed: int) -> str | None:
    """Returns why nothing can be compared with the default; None: it can be."""
    whose = f"trial {default['number']}"
    if default["state"] == "RUNNING":
        return f"{whose} has not ended"
    if default["state"] != "COMPLETE":
        return f"{whose} ended by {default['stop_reason']}"
    if failed and not scored:
        return f"{whose} took no position"
    return f"of {whose} a seed failed or took no position" if failed else None


def _verdict(difference: Difference | None) -> str:
    if difference is None:
        return "how far that can be trusted is not known, without the returns of the same days"
    if difference.low > 0:
        return "days and seeds do not explain that"
    if difference.high < 0:
        return "the default is the better one"
    return "days and seeds alone may explain that"


def _against(winner: int, default: int) -> str:
    return "each" if winner == default else f"against {default}"


def _sharpes(seeds: Sequence[Row]) -> list[float]:
    return [float(seed["sharpe"]) for seed in seeds]


def _daily(run: Run, seeds: Sequence[Row]) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the days [T] and the returns [seeds, T] of a configuration; None if one has none."""
    found = [run.daily(int(seed["number"])) for seed in seeds]
    known = [one for one in found if one is not None]
    if not known or len(known) < len(found):
        return None
    days = known[0][0]
    if not all(np.array_equal(one[0], days) for one in known):
        return None
    return days, np.stack([one[1] for one in known])
