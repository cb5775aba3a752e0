"""Labels as networks learn them: of several horizons, and relative to all symbols of a bar."""

from collections.abc import Sequence

import numpy as np

from trainable.cli.errors import UserError
from trainable.data.dataset.dataset import Dataset

TOLERANCE = 1e-4  # between a compounded and a given label, decimal: labels are float32


def horizon_targets(dataset: Dataset, horizons: Sequence[int]) -> np.ndarray:
    """Returns the labels [R, H] float64 of each row: simple returns from t+lag to t+lag+horizon.

    A label that does not end within its row's own part of the split, within the symbol's bars and
    within the session is NaN: so no part is trained on prices of the next, however long the
    horizon.

    Raises:
        UserError: the labels are not compounded returns of single bars, so that other horizons are
            unknown.
    """
    lag, rows = dataset.lag, len(dataset.time)
    earned = dataset.forward_returns[dataset.time, dataset.symbol]
    ends = _part_ends(dataset)
    session = np.concatenate([[0], np.cumsum(dataset.session_ends[:-1])])
    found = np.full((rows, len(horizons)), np.nan)
    growth = np.ones(rows)
    for bars in range(1, max(horizons) + 1):
        # The return that a row `bars - 1` own bars later earns begins where this label has come to.
        growth *= 1.0 + _later(earned, dataset.symbol, bars - 1)
        if bars not in horizons:
            continue
        end = _later(dataset.time.astype(np.float64), dataset.symbol, lag + bars)
        inside = np.isfinite(end) & (end < ends)
        inside[inside] = session[end[inside].astype(int)] == session[dataset.time[inside]]
        found[inside, horizons.index(bars)] = growth[inside] - 1.0
    _check_main(dataset, horizons, found)
    return found


def z_by_day(dataset: Dataset, labels: np.ndarray) -> np.ndarray:
    """Returns labels [R] float64 as deviations from the mean of all symbols at their bar.

    In units of the bar's standard deviation (ddof 0); NaN where a bar has fewer than two labels or
    no spread. Labels that end in the next part of the split take no part in the mean: with a
    symbol's own bars, some labels of a bar end later than others.
    """
    known = np.isfinite(labels) & (dataset.label_end < _part_ends(dataset))
    time, values = dataset.time[known], labels[known].astype(np.float64)
    bars = len(dataset.timestamps)
    count = np.bincount(time, minlength=bars)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.bincount(time, values, bars) / count
        away = values - mean[time]
        spread = np.sqrt(np.bincount(time, away**2, bars) / count)
        scored = away / spread[time]
    found = np.full(len(labels), np.nan)
    found[known] = np.where((count[time] > 1) & (spread[time] > 0), scored, np.nan)
    return found


def _later(values: np.ndarray, symbol: np.ndarray, steps: int) -> np.ndarray:
    """Returns the values [R] of the same symbol's row so many rows later; NaN for none."""
    found = np.full(len(values), np.nan)
    inside = max(len(values) - steps, 0)
    same = symbol[:inside] == symbol[steps:]
    found[:inside][same] = values[steps:][same]
    return found


def _part_ends(dataset: Dataset) -> np.ndarray:
    """Returns [R], the first bar after the part of the split that each row is in."""
    stops = np.array(dataset.split.stops)
    return stops[np.searchsorted(stops, dataset.time, side="right").clip(max=len(stops) - 1)]


def _check_main(dataset: Dataset, horizons: Sequence[int], found: np.ndarray) -> None:
    """Raises `UserError` where the horizon of the data itself is not what compounding gives."""
    if dataset.horizon not in horizons:
        return
    rows = dataset.train_rows
    known, given = found[rows, horizons.index(dataset.horizon)], dataset.target[rows]
    both = np.isfinite(known) & np.isfinite(given)
    if not both.any() or np.abs(known[both] - given[both]).max() > TOLERANCE:
        raise UserError(
            f"loss/horizons needs labels that are returns of prices: the target of {dataset.name} "
            f"over data.horizon={dataset.horizon} is not its one-bar returns compounded; leave "
            "loss/horizons out"
        )
