"""What a fold says of a model or of a baseline: Sharpe ratio, IC and daily net returns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trainable.data.dataset.dataset import Dataset
from trainable.data.folds.folds import Fold
from trainable.metrics.baselines import BASELINES
from trainable.metrics.return_statistics import sharpe_ratio
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring
from trainable.prediction.predictor import Predictor
from trainable.training.fixed_length import watched_rows

COMPARED = ("ridge", "equal_weight")  # baselines


@dataclass(frozen=True)
class FoldScores:
    """What was earned on the rows of a fold.

    Attributes:
        sharpe: annual, over all blocks in sequence; None without a position.
        ic: mean over blocks, weighted by their bars; None where undefined on one of them.
        days: [D] datetime64[D], those with a position first of all: none without one.
        returns: [D] net simple returns; those of bars within a day are summed.
    """

    sharpe: float | None
    ic: float | None
    days: np.ndarray
    returns: np.ndarray


def score_model(fold: Fold, model: Predictor) -> FoldScores:
    """Scores a model that was trained on the fold's rows."""
    test, train = fold.test, fold.train
    blocks = fold.scored(test)
    seen = model.predict(train, watched_rows(train))[None]
    predictions = model.predict(test, np.concatenate(blocks))
    parts = np.split(predictions, np.cumsum([len(rows) for rows in blocks])[:-1])
    found = []
    for rows, part in zip(blocks, parts, strict=True):
        on = scoring(test, rows)
        (scores,) = score(on, part[None], seen)
        found.append(_Block(on.timestamps, scores.net_returns, scores.values["ic"]))
    return _together(found, test)


def score_baseline(fold: Fold, name: str) -> FoldScores:
    """Fits a baseline on the fold's rows and scores it."""
    test = fold.test
    needs_no_training = name == "equal_weight"
    found = []
    for rows, all_rows in zip(fold.scored(test), fold.scored(fold.dataset), strict=True):
        on = scoring(test, rows)
        if needs_no_training:
            values, net = BASELINES[name](test, rows, on)
        else:  # fitted on rows of symbols that the test dataset lacks
            whole = scoring(fold.dataset, all_rows)
            values, net = BASELINES[name](fold.dataset, all_rows, whole)
        found.append(_Block(on.timestamps, net, values["ic"]))
    return _together(found, test)


@dataclass(frozen=True)
class _Block:
    timestamps: np.ndarray
    net: np.ndarray | None
    ic: float | None


def _together(blocks: Sequence[_Block], dataset: Dataset) -> FoldScores:
    ics = [block.ic for block in blocks if block.ic is not None]
    bars = [len(block.timestamps) for block in blocks]
    ic = float(np.average(ics, weights=bars)) if len(ics) == len(blocks) else None
    if all(block.net is None for block in blocks):
        return FoldScores(None, ic, np.empty(0, "datetime64[D]"), np.empty(0))
    net = np.concatenate([np.zeros(len(b.timestamps)) if b.net is None else b.net for b in blocks])
    stamps = np.concatenate([block.timestamps for block in blocks]).astype("datetime64[D]")
    days, day_of = np.unique(stamps, return_inverse=True)
    sharpe = sharpe_ratio(net, dataset.periods_per_year)
    return FoldScores(sharpe, ic, days, np.bincount(day_of, net, len(days)))
