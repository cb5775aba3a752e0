"""Which parameters matter for being among the best: PED-ANOVA.

Watanabe, Bansal and Hutter 2023, "PED-ANOVA: efficiently quantifying hyperparameter importance in
arbitrary subspaces"; of parameters that only some trials have, its extension to conditional spaces
(Watanabe 2026). Equal to Optuna's `PedAnovaImportanceEvaluator`, without a study.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
from scipy.special import ndtr

BEST = 0.1  # share of the trials that count as the best
STEPS = 50  # cells of a range
FEWEST = 2  # trials that must have a parameter
TINY = 1e-12  # added to each density, so that none divides by 0


@dataclass(frozen=True)
class Axis:
    """One searched parameter with the value that each trial has of it.

    Attributes:
        values: of the trials, in their order; None where a trial has it not.
        low, high: its range; None for a choice.
        log: whether it is drawn by its logarithm.
        step: between two values of a range; None: continuous.
        choices: how many there are, of a choice.
    """

    values: Sequence[object]
    low: float | None = None
    high: float | None = None
    log: bool = False
    step: float | None = None
    choices: int = 0


def importance(scores: np.ndarray, axes: Mapping[str, Axis]) -> dict[str, float] | None:
    """Returns the importance of each parameter, the most important first; together they are 1.

    It is the Pearson divergence between where the best tenth of the trials lies on a parameter and
    where all lie, each smoothed by kernels.

    Args:
        scores: [N] finite, the higher the better.
        axes: by name.

    Returns:
        None where trials are too few to tell the best from the others, or nothing matters at all.
    """
    count = len(scores)
    if count < 2:
        return None
    least = np.sort(scores)[::-1][ceil(BEST * count) - 1]
    best = scores >= least
    if best.all():
        return None
    found = {name: _importance(axis, best) for name, axis in axes.items()}
    total = sum(found.values())
    if not total > 0:
        return None
    return {name: found[name] / total for name in sorted(found, key=lambda n: -found[n])}


def _importance(axis: Axis, best: np.ndarray) -> float:
    has = np.array([value is not None for value in axis.values])
    inside = has & best
    if has.sum() < FEWEST or not inside.any():
        return 0.0
    cells = _cells([value for value in axis.values if value is not None], axis)
    if cells is None:
        return 0.0
    cell, size = cells
    local = _density(np.bincount(cell, minlength=size), axis)
    top = _density(np.bincount(cell[best[has]], minlength=size), axis)
    divergence = float(local @ (top / local - 1) ** 2)
    return (inside.sum() / best.sum()) ** 2 / (has.sum() / len(has)) * divergence


def _cells(values: Sequence[object], axis: Axis) -> tuple[np.ndarray, int] | None:
    """Returns the cell of each value and how many cells there are; None for a single one."""
    if axis.low is None or axis.high is None:
        names = sorted({str(value) for value in values})
        size = max(axis.choices, len(names))
        place = {name: i for i, name in enumerate(names)}
        return (np.array([place[str(value)] for value in values]), size) if size > 1 else None
    low, high, size = axis.low, axis.high, STEPS
    numbers = np.array(values, dtype=np.float64)
    if not high > low:
        return None
    if axis.log:
        if axis.step is not None:  # whole numbers: a cell each time that they double
            size = min(ceil(log(high - low + 1) / log(2)) + 1, size)
        low, high, numbers = log(low), log(high), np.log(numbers)
    elif axis.step is not None:
        size = min(round((high - low) / axis.step) + 1, size)
    cell = np.ceil((numbers - low) / ((high - low) / (size - 1)) - 0.5).astype(int)
    return np.clip(cell, 0, size - 1), size


def _density(counts: np.ndarray, axis: Axis) -> np.ndarray:
    """Returns the smoothed share of each cell: a kernel a value, and one over the whole range."""
    size, places = len(counts), np.flatnonzero(counts)
    weights = np.append(counts[places], 1.0)
    if axis.low is None:
        kernels = np.full((len(weights), size), 1.0 / len(weights))
        kernels[np.arange(len(places)), places] += 1.0
        kernels /= kernels.sum(axis=1, keepdims=True)
    else:
        centres = np.append(places, (size - 1) / 2)
        widths = np.append(np.full(len(places), _width(places, counts[places])), float(size))
        edges = (np.arange(size + 1) - 0.5 - centres[:, None]) / widths[:, None]
        mass = ndtr(edges)
        kernels = np.diff(mass, axis=1) / (mass[:, -1:] - mass[:, :1])
    return weights @ kernels / weights.sum() + TINY


def _width(places: np.ndarray, counts: np.ndarray) -> float:
    """Returns the width of the kernels by Scott's rule (1992): 90 % of one fill a cell at least."""
    total, summed = int(counts.sum()), np.cumsum(counts)
    mean = places @ counts / total
    spread = np.sqrt((places - mean) ** 2 @ counts / max(1, total - 1))
    lower = np.searchsorted(summed, total // 4, side="left")
    upper = min(len(places) - 1, np.searchsorted(summed, total * 3 // 4, side="right"))
    between = places[upper] - places[lower]
    return max(1.059 * min(between / 1.34, spread) * total**-0.2, 0.5 / 1.64)
