"""What predictions earn if every position is entered one bar later than it was meant to be.

A result that does not survive it trades on prices that nobody got in time, or on a bounce between
bid and ask.
"""

from dataclasses import replace

import numpy as np

from trainable.data.dataset.dataset import Dataset
from trainable.metrics.portfolio import PositionScale
from trainable.metrics.scores import score_positions
from trainable.metrics.scoring import Scoring, scoring


def one_bar_later(dataset: Dataset) -> Dataset:
    """Returns a dataset whose decisions are executed one of the symbol's own bars later.

    A decision earns what the next one of its symbol earned; that of the last bar earns nothing.
    Costs, nights, halts and the sale of symbols that end follow from the lag as ever.
    """
    last = np.append(dataset.symbol[1:] != dataset.symbol[:-1], True)
    following = np.minimum(np.arange(len(last)) + 1, len(last) - 1)
    earned = dataset.forward_returns[dataset.time, dataset.symbol]
    forward = np.full_like(dataset.forward_returns, np.nan)
    forward[dataset.time, dataset.symbol] = np.where(last, 0.0, earned[following])
    alone = np.maximum(dataset.label_end, dataset.time + dataset.reach + 1)
    return replace(
        dataset,
        lag=dataset.lag + 1,
        forward_returns=forward,
        label_end=np.where(last, alone, dataset.label_end[following]).astype(np.int32),
    )


class LateScoring:
    """Scores predictions on the validation rows, in time and one bar later.

    The last bar is left out one bar later: what it would earn lies beyond the validation part.

    Args:
        dataset: of the search.
    """

    def __init__(self, dataset: Dataset) -> None:
        later, rows = one_bar_later(dataset), dataset.valid_rows
        self._inside = later.label_end[rows] < later.split.valid[1]
        self._in_time = scoring(dataset, rows)
        self._later = scoring(later, rows[self._inside]) if self._inside.any() else None

    def in_time(self, predictions: np.ndarray, scale: PositionScale) -> float | None:
        """Returns the annual Sharpe ratio as the search scores it; None where undefined.

        Args:
            predictions: [m] of the validation rows, in their order.
            scale: of one member.
        """
        return _sharpe(self._in_time, predictions, scale)

    def later(self, predictions: np.ndarray, scale: PositionScale) -> float | None:
        """Returns the annual Sharpe ratio one bar later; arguments as of `in_time`."""
        if self._later is None:
            return None
        return _sharpe(self._later, predictions[self._inside], scale)


def _sharpe(on: Scoring, predictions: np.ndarray, scale: PositionScale) -> float | None:
    return score_positions(on, predictions, scale).values["sharpe"]
