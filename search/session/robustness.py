"""What a search finds out about its result at its end, while it holds models and data."""

from collections.abc import Mapping
from math import isclose, isnan
from typing import Any

import numpy as np

from analysis.load import Run
from search.session.best_model import FinalistModels, position_scale_of
from trainable.data.dataset.dataset import Dataset
from trainable.metrics.portfolio import PositionScale
from trainable.metrics.robustness.one_bar_later import LateScoring
from trainable.metrics.robustness.permutation import MOST_ROWS, TIMES, permute_features

SAME = 1e-3  # of a Sharpe ratio that is computed again from stored predictions
OPERATIONS = 2e13  # of permuted predictions, about a minute of a CPU
FEWEST_ROWS = 1_000  # that say something of an IC


def one_bar_later(run: Run, dataset: Dataset) -> dict[str, float]:
    """Returns the Sharpe ratio of positions that are entered one bar later, by number of a trial.

    Of finalists and their further seeds, at the epoch that ranks them. One whose stored predictions
    do not give its own Sharpe ratio again is left out, and so is one whose ratio is undefined.

    Args:
        run: the run folder, its tables written.
        dataset: of the search.
    """
    scored = LateScoring(dataset)
    found: dict[str, float] = {}
    for number, stored in run.predictions.groupby("number")["prediction"]:
        trial, predictions = run.row_of[int(str(number))], stored.to_numpy(np.float32)
        if isnan(trial["sharpe"]) or len(predictions) != len(dataset.valid_rows):
            continue
        scale = _scale(run, trial, dataset)
        if scale is None:
            continue
        known = scored.in_time(predictions, scale)
        if known is None or not isclose(known, trial["sharpe"], rel_tol=SAME, abs_tol=SAME):
            continue
        later = scored.later(predictions, scale)
        if later is not None:
            found[str(number)] = later
    return found


def permutation(number: int, models: FinalistModels) -> dict[str, Any] | None:
    """Returns what permuting each feature leaves of a finalist's IC, for `run.json`.

    Of a large model fewer rows are looked at. None where too few are left to say anything.

    Args:
        number: of the finalist.
        models: of the search.

    Raises:
        UserError: its model is damaged or gone.
    """
    model = models.load(number)
    names, window = model.scaler.names, model.config.data.window
    weights = sum(each.numel() for each in model.model.parameters())
    rows = int(OPERATIONS / (2 * weights * window * TIMES * len(names)))
    if rows < FEWEST_ROWS:
        return None
    found = permute_features(models.dataset, names, model.predict, window, min(rows, MOST_ROWS))
    if found is None:
        return None
    return {"trial": number, "ic": found.ic, "without": found.without}


def _scale(run: Run, trial: Mapping[str, Any], dataset: Dataset) -> PositionScale | None:
    """Returns the scale of a trial's positions; None where it is not known.

    From five symbols on it only tells predictions that are constant, as those without a Sharpe
    ratio are.
    """
    std, mean = 0.0, 0.0
    if not dataset.panel:
        std, mean = position_scale_of(run, trial)
        if isnan(std) or isnan(mean):
            return None
    cell = (1, 1, 1)
    return PositionScale(np.full(cell, std), np.zeros(cell, bool), np.full(cell, mean))
