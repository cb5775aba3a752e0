"""What every trial trains on: rows, labels, returns and the split, built once per search."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from trainable.data.splits import Split


@dataclass(frozen=True)
class Dataset:
    """Rows sorted by symbol, then time; one row per bar present.

    Attributes:
        features: [R, F] float32, not yet scaled; NaN where undefined.
        feature_names: F names.
        feature_groups: F group names (price, volume, volatility, calendar, extra, ready).
        target: [R] float32, simple return from t+lag to t+lag+horizon; NaN where undefined.
        time: [R] int32, index into `timestamps`.
        symbol: [R] int32, index into `symbols`.
        age: [R] int32, rows of this symbol up to and with this one: a window of W needs age >= W.
        timestamps: [T] datetime64[ns].
        symbols: N names.
        forward_returns: [T, N] float64, simple return from t+lag to t+lag+1, earned by a position
            decided at t; 0 where the symbol is gone by then (sold at its last price) or a session
            ends; NaN where there is no bar at t.
        tradable: [T, N] bool, a bar is present at t.
        bad_ticks: [T, N] bool.
        split: the four parts, as ranges of bar indices.
        train_rows: [n] int64, rows to learn from: inside the part with their whole label, every
            feature and the largest window defined.
        valid_rows: [m] int64, rows that are scored, identical for every trial; sorted by (time,
            symbol); their target may be NaN (then they count for the Sharpe ratio only).
        horizon, lag, cost_bps, periods_per_year, intraday: of the settings, resolved.
        max_window: the largest window any trial may use.
        quality: for `run.json`.
        name, sha256: of the source.
    """

    features: np.ndarray
    feature_names: tuple[str, ...]
    feature_groups: tuple[str, ...]
    target: np.ndarray
    time: np.ndarray
    symbol: np.ndarray
    age: np.ndarray
    timestamps: np.ndarray
    symbols: tuple[str, ...]
    forward_returns: np.ndarray
    tradable: np.ndarray
    bad_ticks: np.ndarray
    split: Split
    train_rows: np.ndarray
    valid_rows: np.ndarray
    horizon: int
    lag: int
    cost_bps: float
    periods_per_year: float
    intraday: bool
    max_window: int
    name: str
    sha256: str
    quality: dict[str, Any] = field(default_factory=dict)
