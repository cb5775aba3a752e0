"""What a rung ranks trials by: one figure, or the mean of their ranks by several."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np


class Means(NamedTuple):
    """What a trial shows at a rung: means of its last three reports, None where undefined.

    Attributes:
        objective: higher is better, also for `val_loss`.
        loss: the validation loss, negated.
        sharpe: annual Sharpe ratio.
        ic: information coefficient.
        rank_ic: the same of ranks.
        ranked: the objective, no mean, at the epoch of the lowest validation loss so far, by which
            the trial would be ranked.
    """

    objective: float | None
    loss: float | None = None
    sharpe: float | None = None
    ic: float | None = None
    rank_ic: float | None = None
    ranked: float | None = None


@dataclass(frozen=True)
class RungRule:
    """How a rung scores the trials that reach it.

    The score by one figure is the figure, by several the mean of the shares of the other trials
    that are worse by each. A trial whose objective is undefined has no score.

    Attributes:
        first: names of `Means`, for the first rung.
        later: for the rungs after it.
        cuts: whether a rung stops anybody.
        paired: whether a trial below the cutoff is spared while the returns of the same days do not
            tell it from the trial at the cutoff, within the better half by the loss.
        signal: from this share of signal in the Sharpe ratios on, their ranks count, too.
    """

    first: tuple[str, ...]
    later: tuple[str, ...]
    cuts: bool = True
    paired: bool = False
    signal: float | None = None

    def without_loss(self) -> "RungRule":
        """Returns the rule for trials whose losses are of different kinds: ranks of IC instead."""
        first, later = (
            tuple(name for name in names if name != "loss") or ("ic", "rank_ic")
            for names in (self.first, self.later)
        )
        return replace(self, first=first, later=later)

    def figures(self, first: bool, signal: float | None = None) -> tuple[str, ...]:
        """Returns the names of what the first rung, or a later one, scores by.

        Args:
            first: whether it is the first rung.
            signal: share of signal in the Sharpe ratios there; None: unknown.
        """
        names = self.first if first else self.later
        if self.signal is not None and signal is not None and signal >= self.signal:
            names = (*names, "sharpe")
        return names

    def scores(
        self, trials: Sequence[Means], first: bool, signal: float | None = None
    ) -> np.ndarray:
        """Returns the scores [K] of the trials at one rung; higher is better, NaN: none."""
        known_means = np.array(trials, dtype=float).reshape(-1, len(Means._fields)).T  # None: NaN
        means = dict(zip(Means._fields, known_means, strict=True))
        columns = np.array([means[name] for name in self.figures(first, signal)])
        columns[~(np.isfinite(columns) & np.isfinite(means["objective"]))] = np.nan
        if len(columns) > 1:
            columns = np.array([shares_below(column) for column in columns])
        known = np.isfinite(columns)
        total, count = np.where(known, columns, 0.0).sum(axis=0), known.sum(axis=0)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def shares_below(values: np.ndarray) -> np.ndarray:
    """Returns which share of the other values each is above, [K]; an equal one counts half.

    NaN values have no share and count for nobody; a single value is above half of nobody: 0.5.
    """
    known = np.sort(values[np.isfinite(values)])
    if len(known) < 2:
        return np.where(np.isfinite(values), 0.5, np.nan)
    below = np.searchsorted(known, values, "left") + np.searchsorted(known, values, "right") - 1
    return np.where(np.isfinite(values), below / 2 / (len(known) - 1), np.nan)


RULES = {
    "ranks": RungRule(("loss",), ("ic", "rank_ic", "loss")),
    "objective": RungRule(("objective",), ("objective",)),
    "loss": RungRule(("loss",), ("loss",)),
    "ic": RungRule(("ic",), ("ic",)),
    "rank_ic": RungRule(("rank_ic",), ("rank_ic",)),
    "racing": RungRule(("objective",), ("objective",), paired=True),
    "signal": RungRule(("loss",), ("ic", "rank_ic", "loss"), signal=0.5),
    "none": RungRule(("objective",), ("objective",), cuts=False),
}
