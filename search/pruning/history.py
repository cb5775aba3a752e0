"""What the pruning rules see of one trial: its newest epochs, their metrics and daily returns."""

import math
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from trainable.report import Report

SMOOTHING = 3  # the objective is the mean of so many newest reports
METRICS = ("val_loss", "sharpe", "ic", "rank_ic")


@dataclass(frozen=True)
class Epoch:
    """What is kept of one report; `returns` is [days] float32, None without a position."""

    epoch: int
    values: dict[str, float | None]
    returns: np.ndarray | None


class History:
    """The newest epochs of one trial. Older ones are dropped, since their returns are large.

    Args:
        length: number of epochs to keep; at least as many as the objective averages are kept.
    """

    def __init__(self, length: int) -> None:
        self._epochs: deque[Epoch] = deque(maxlen=max(length, SMOOTHING))

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """The epochs kept, the newest last."""
        return tuple(self._epochs)

    def add(self, report: Report, returns: np.ndarray | None) -> None:
        """Adds the next epoch.

        Args:
            report: of the epoch.
            returns: [days] its net returns summed to days; None without a position.
        """
        values = {name: finite(report.values.get(name)) for name in METRICS}
        self._epochs.append(Epoch(report.epoch, values, returns))

    def keep(self, length: int) -> None:
        """Keeps so many epochs from now on, or as many as the objective averages."""
        self._epochs = deque(self._epochs, maxlen=max(length, SMOOTHING))

    def clear(self) -> None:
        """Drops all epochs."""
        self._epochs.clear()

    def newest(self, since: int = 0) -> tuple[Epoch, ...]:
        """Returns the last three epochs, those before `since` left out; if all are, all three."""
        last = self.epochs[-SMOOTHING:]
        return tuple(e for e in last if e.epoch >= since) or last

    def mean(self, metric: str, since: int = 0) -> float | None:
        """Returns the mean of a metric over the `newest` epochs; None if none defines it."""
        return mean_of_finite(e.values[metric] for e in self.newest(since))

    def returns(self, since: int = 0) -> np.ndarray | None:
        """Returns [days], the mean returns of the `newest` epochs; None if one has no position."""
        return mean_returns(self.newest(since))


def mean_returns(epochs: Sequence[Epoch]) -> np.ndarray | None:
    """Returns [days] float64, the mean over epochs; None if one of them has no position."""
    returns = [e.returns for e in epochs if e.returns is not None]
    whole = epochs and len(returns) == len(epochs)
    return np.stack(returns).mean(axis=0, dtype=np.float64) if whole else None


class DailyReturns:
    """Sums the net returns of validation periods to days.

    Minute bars say little about a Sharpe ratio that their days do not say, and an error bar over
    100,000 bars costs a thousand times as much as one over the days.

    Args:
        timestamps: [V] datetime64 of the validation periods.
        periods_per_year: number of such periods in a year.

    Attributes:
        per_year: number of days in a year.
        sharpe_error: standard error of an annual Sharpe ratio near 0, √(days a year ÷ days).
    """

    def __init__(self, timestamps: np.ndarray, periods_per_year: float) -> None:
        days, self._day_of = np.unique(timestamps.astype("datetime64[D]"), return_inverse=True)
        self._count = len(days)
        self.per_year = periods_per_year * len(days) / max(len(timestamps), 1)
        self.sharpe_error = math.sqrt(self.per_year / max(len(days), 1))

    def of(self, report: Report) -> np.ndarray | None:
        """Returns [days] float32, enough for an error bar.

        None if the trial has no position or a return is not finite.

        Raises:
            ValueError: the report has another number of returns than there are periods.
        """
        returns = report.net_returns
        if returns is None:
            return None
        if returns.shape != self._day_of.shape:
            have, need = len(returns), len(self._day_of)
            raise ValueError(f"trial {report.number}: {have} returns for {need} validation periods")
        if not np.isfinite(returns).all():
            return None
        return np.bincount(self._day_of, returns, self._count).astype(np.float32)


def finite(value: float | None) -> float | None:
    """Returns the value as a float; None if it is undefined, NaN or infinite."""
    return float(value) if value is not None and math.isfinite(value) else None


def mean_of_finite(values: Iterable[float | None]) -> float | None:
    """Returns the mean of the finite values; None if there is none."""
    known = [v for v in map(finite, values) if v is not None]
    return finite(sum(known) / len(known)) if known else None
