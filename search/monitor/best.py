"""The best of a search so far: what its ranking would say now, and what of that luck leaves."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import expm1, log1p
from statistics import NormalDist
from typing import Any, NamedTuple

from analysis.order import Entrant, winner
from search.scheduling.lifecycle import TrialLifecycle
from search.study.trials import TrialRecord
from trainable.cli.text import counted, signed
from trainable.run_format import SEARCHED
from trainable.stop_reasons import KEEPS_MODEL, NUMERIC_FAILURES

LEVEL = 0.05  # of the p by which the best is coloured


@dataclass(frozen=True)
class Best:
    """Who the ranking would put first now.

    Attributes:
        trial: number of its first trial.
        sharpe: mean annual Sharpe ratio of its seeds that have ended.
        seeds: how many these are.
        expected: what is expected of it on other days: the mean of all trials, and the share of its
            lead that is signal; None before that share is known.
        p: how often the best of as many tries without skill would reach `sharpe`; None: unknown.
    """

    trial: int
    sharpe: float
    seeds: int
    expected: float | None = None
    p: float | None = None

    def record(self, provisional: bool = True) -> dict[str, Any]:
        """Returns the attribute of the study, for people who open it."""
        return asdict(self) | {"provisional": provisional}

    def sentence(self, provisional: bool = True) -> str:
        """Returns who is best, in one clause."""
        of = "one seed" if self.seeds == 1 else f"mean of {counted(self.seeds, 'seed')}"
        of += ", provisional" if provisional else ""
        said = f"{signed(self.sharpe)} on these days ({of})"
        if self.expected is None:
            return f"trial {self.trial}: Sharpe {said}"
        return f"trial {self.trial}: Sharpe {signed(self.expected)} to be expected, {said}"


def best_of(
    entrants: Sequence[Entrant],
    error: float,
    tries: int,
    signal: tuple[float, float] | None = None,
) -> Best | None:
    """Returns the best of a search; None before a configuration has finished with a Sharpe ratio.

    Args:
        entrants: its configurations.
        error: standard error of one annual Sharpe ratio, √(1 ÷ years).
        tries: configurations that are tried on these data.
        signal: of all trials that ended the share of signal in their Sharpe ratios, and their mean;
            None: unknown.
    """
    first = winner(entrants, error)
    if first is None or (mean := first.entrant.mean) is None:
        return None
    expected = None if signal is None else signal[1] + signal[0] * (mean - signal[1])
    p = luck_p(mean, error, tries)
    return Best(first.entrant.number, mean, len(first.entrant.seeds), expected, p)


def luck_p(sharpe: float, error: float, tries: int) -> float:
    """Returns how often the best of independent tries without skill reaches a Sharpe ratio.

    1 − Φ(Sharpe ratio ÷ error)ⁿ: of normal ratios around 0 (Šidák 1967). Tries that resemble each
    other are worth fewer, and a mean of seeds has a smaller error, so this says too much rather
    than too little.

    Args:
        sharpe: annual Sharpe ratio.
        error: its standard error.
        tries: how many.
    """
    alone = NormalDist().cdf(-sharpe / error)  # the chance of one of them
    return 1.0 if alone >= 1 else -expm1(tries * log1p(-alone))


def entrants_of(lifecycle: TrialLifecycle) -> list[Entrant]:
    """Returns the finalists of a running search, as the ranking would see them."""
    progress, ended = lifecycle.progress, lifecycle.ended
    found = []
    for number in sorted(lifecycle.completed):
        seeds = [n for n in progress.children(number, "seed") if n in ended]
        of = {n: (ended[n], progress[n].sharpe) for n in (number, *seeds)}
        found.append(_finalist(number, progress[number].epochs, of))
    return found


class Trained(NamedTuple):
    """How far a trial has come: its epochs, and what it has at that of lowest validation loss.

    `epoch` is that one; None before a defined loss.
    """

    epochs: int
    epoch: int | None = None
    sharpe: float | None = None


def entrants_in(rows: Sequence[TrialRecord], trained: Mapping[int, Trained]) -> list[Entrant]:
    """Returns the finalists of a study, as the ranking would see them.

    Args:
        rows: every trial.
        trained: how far each with a report has come.
    """
    of: dict[int, dict[int, tuple[str, float | None]]] = {}
    for row in rows:
        sharpe = trained.get(row.number, Trained(0)).sharpe
        if row.kind in SEARCHED and row.state == "COMPLETE":
            of.setdefault(row.number, {})[row.number] = (str(row.reason), sharpe)
        elif row.kind == "seed" and row.reason is not None and row.parent in of:
            of[row.parent][row.number] = (row.reason, sharpe)
    return [_finalist(number, trained.get(number, Trained(0)).epochs, of[number]) for number in of]


def _finalist(number: int, epochs: int, of: Mapping[int, tuple[str, float | None]]) -> Entrant:
    """Returns a finalist.

    Args:
        number: of its first trial.
        epochs: that this was trained for.
        of: by number of its seeds that ended, the first first: stop reason and Sharpe ratio.
    """
    kept = [sharpe for reason, sharpe in of.values() if reason in KEEPS_MODEL]
    failed = kept.count(None) + sum(reason in NUMERIC_FAILURES for reason, _ in of.values())
    seeds = tuple(sharpe for sharpe in kept if sharpe is not None)
    return Entrant(number, "COMPLETE", of[number][1], epochs, seeds, failed)
