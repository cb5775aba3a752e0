"""What one epoch of one member's training says: the only thing that leaves an executor."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Stop:
    """Why training ended: a `stop_reason` of the run folder's contract, with its evidence."""

    reason: str
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """One epoch of one member, at its end; arrays are not printed, which Ray Tune often does.

    Attributes:
        number: the trial this member is.
        epoch: 1 for the first.
        steps: optimizer steps since the start of training, skipped ones included.
        values: the metrics of the epoch by column name of `epochs.parquet` (`val_loss`, `sharpe`,
            `lr`, `grad_norm.COMPONENT` …); None where undefined, never NaN or infinite.
        seconds: training and evaluation time of this member's share of the epoch.
        net_returns: [V] float64, net simple return of each validation period, decimal; None when
            there is no position.
        stop: set on the last report of a member whose training ended by itself.
        predictions: [R_valid] float32, raw predictions on the scored validation rows at the ranking
            epoch; sent once, with `stop`, by members that reached the last epoch.
    """

    number: int
    epoch: int
    steps: int
    values: dict[str, float | None]
    seconds: float = 0.0
    net_returns: np.ndarray | None = field(default=None, repr=False)
    stop: Stop | None = None
    predictions: np.ndarray | None = field(default=None, repr=False)
