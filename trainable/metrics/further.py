"""The table of further metrics: shown beside the others, in columns `metric.NAME`.

They decide nothing: trials are judged and ranked by `scores.py` alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from trainable.run_format import FURTHER


@dataclass(frozen=True)
class Metric:
    """An entry of the table of further metrics.

    Attributes:
        function: (predictions [m] float64, labels [m] float64, bars [m] int64) → a number, or None
            where it is undefined. Labels are returns, decimal; rows of one bar, such as a day, have
            the same number in `bars`, which rises with time.
        meaning: for the person, in a few words.
    """

    function: Callable[[np.ndarray, np.ndarray, np.ndarray], float | None]
    meaning: str = ""


METRICS: dict[str, Metric] = {}


def further(
    predictions: np.ndarray, labels: np.ndarray, bars: np.ndarray
) -> dict[str, float | None]:
    """Returns the further metrics of one member by column; None where undefined or not finite.

    Args:
        predictions: [m] of the scored rows.
        labels: [m] their returns; rows without one (NaN) are left out.
        bars: [m] index of each row's bar.
    """
    if not METRICS:
        return {}
    if not np.isfinite(predictions).all():
        return {f"{FURTHER}{name}": None for name in METRICS}
    known = np.isfinite(labels)
    p, y = predictions[known].astype(np.float64), labels[known].astype(np.float64)
    index = bars[known].astype(np.int64)
    found: dict[str, float | None] = {}
    for name, metric in METRICS.items():
        value = metric.function(p.copy(), y.copy(), index.copy())  # it may change what it is given
        number = None if value is None else float(value)
        found[f"{FURTHER}{name}"] = number if number is not None and math.isfinite(number) else None
    return found
