"""The last epochs of one trial, as far back as the rules look, and whether they are a plateau."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from search.pruning.asha import finite, mean_of_finite
from search.pruning.flat_sharpe import FlatRule, flatness
from trainable.report import Report

SMOOTHING = 3  # the objective is the mean of so many newest reports
METRICS = ("val_loss", "sharpe", "ic", "rank_ic")


class Days:
    """Sums the net returns of validation periods to days.

    Days, because the returns within a day of minute bars say little that the day does not, and an
    error bar over 100,000 of them costs a thousand times as much.

    Args:
        timestamps: [V] datetime64 of the validation periods.
        periods_per_year: such periods in a year.
    """

    def __init__(self, timestamps: np.ndarray, periods_per_year: float) -> None:
        days, self._day = np.unique(timestamps.astype("datetime64[D]"), return_inverse=True)
        self._count = len(days)
        self.per_year = periods_per_year * len(days) / max(len(timestamps), 1)

    def returns(self, report: Report) -> np.ndarray | None:
        """Returns [days] float32, enough for an error bar; None without position or not finite."""
        returns = report.net_returns
        if returns is None:
            return None
        if returns.shape != self._day.shape:
            have, need = len(returns), len(self._day)
            raise ValueError(f"trial {report.number}: {have} returns for {need} validation periods")
        if not np.isfinite(returns).all():
            return None
        return np.bincount(self._day, returns, self._count).astype(np.float32)


@dataclass(frozen=True)
class Epoch:
    """What is kept of one report; `returns` is [days] float32, None without position."""

    epoch: int
    values: dict[str, float | None]
    returns: np.ndarray | None


class History:
    """The newest epochs of a trial that lives; the rest is forgotten, returns are large."""

    def __init__(self, rule: FlatRule) -> None:
        self._rule = rule
        self._epochs: deque[Epoch] = deque(maxlen=max(rule.epochs, SMOOTHING))

    def add(self, report: Report, returns: np.ndarray | None) -> None:
        """Adds the next epoch."""
        values = {name: finite(report.values.get(name)) for name in METRICS}
        self._epochs.append(Epoch(report.epoch, values, returns))

    def clear(self) -> None:
        """Forgets all epochs."""
        self._epochs.clear()

    def mean(self, metric: str) -> float | None:
        """Returns the mean of a metric's last three reports; None where none of them is defined."""
        return mean_of_finite(e.values[metric] for e in list(self._epochs)[-SMOOTHING:])

    def losses(self) -> list[tuple[int, float | None, float | None]]:
        """Returns (epoch, validation loss, Sharpe), the newest last."""
        return [(e.epoch, e.values["val_loss"], e.values["sharpe"]) for e in self._epochs]

    def flat(self, objective: str, days_per_year: float) -> dict[str, Any] | None:
        """Returns the figures where Sharpe, IC and objective are flat over the newest window.

        None where they are not, or where an end of the window has no position or misses an epoch.
        """
        rule, epochs = self._rule, list(self._epochs)[-self._rule.epochs :]
        if len(epochs) < rule.epochs or epochs[-1].epoch - epochs[0].epoch != rule.epochs - 1:
            return None
        first, last = epochs[: rule.smoothing], epochs[-rule.smoothing :]
        before, now = _mean_returns(first), _mean_returns(last)
        if before is None or now is None or not self._objective_flat(objective, first, last):
            return None
        result = flatness(before, now, _change("ic", first, last), days_per_year, rule)
        return {"window": rule.window, **result.evidence} if result.flat else None

    def _objective_flat(
        self, objective: str, first: Sequence[Epoch], last: Sequence[Epoch]
    ) -> bool:
        """Says whether an objective other than the Sharpe has stopped improving, too."""
        if objective == "sharpe":
            return True
        change = _change(objective, first, last)
        if change is None:
            return False
        if objective == "rank_ic":
            return change <= self._rule.ic_margin
        loss = mean_of_finite(e.values["val_loss"] for e in first)
        return loss is not None and -change <= self._rule.loss_margin * abs(loss)


def _mean_returns(epochs: Sequence[Epoch]) -> np.ndarray | None:
    returns = [e.returns for e in epochs if e.returns is not None]
    return np.stack(returns).mean(axis=0, dtype=np.float64) if len(returns) == len(epochs) else None


def _change(metric: str, first: Sequence[Epoch], last: Sequence[Epoch]) -> float | None:
    """Returns the change of a metric's mean between two ends; None where any report lacks it."""
    before, now = ([e.values[metric] for e in end] for end in (first, last))
    if None in before or None in now:
        return None
    start, end = mean_of_finite(before), mean_of_finite(now)
    return None if start is None or end is None else end - start
