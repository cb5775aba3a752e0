"""How much of what a model knows comes from one feature: its values are permuted."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trainable.data.dataset.dataset import Dataset
from trainable.metrics.scores import sharpe_and_ic
from trainable.metrics.scoring import scoring

TIMES = 3  # each feature is permuted
MOST_ROWS = 1 << 16  # validation rows that are looked at

Predict = Callable[[Dataset, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Permutation:
    """What is left of a model's IC on validation rows where one feature is permuted.

    Attributes:
        ic: with all features as they are.
        without: by feature, the mean IC with its values permuted; None where it is undefined.
    """

    ic: float
    without: dict[str, float | None]


def permute_features(
    dataset: Dataset,
    features: Sequence[str],
    predict: Predict,
    window: int = 1,
    most_rows: int = MOST_ROWS,
    seed: int = 0,
) -> Permutation | None:
    """Returns what permuting each feature in turn leaves of a model's IC (Breiman 2001).

    Values change places among the symbols of a bar, so what the feature says of the bar as a whole
    stays; those of a single symbol change places among the bars. Where two features tell the same,
    each can stand in for the other and costs little.

    Args:
        dataset: of the search.
        features: that the model sees.
        predict: returns the predictions [m] of rows [m] of a dataset.
        window: rows that the model sees.
        most_rows: validation rows that are looked at: whole bars, the first ones.
        seed: of the permutations.

    Returns:
        None where the IC is undefined.
    """
    rows = dataset.valid_rows
    if len(rows) > most_rows:
        rows = rows[: np.searchsorted(dataset.time[rows], dataset.time[rows[most_rows]])]
    if not len(rows):
        return None
    on = scoring(dataset, rows)

    def ic(data: Dataset) -> float | None:
        predictions = predict(data, rows)[None]
        return sharpe_and_ic(on, predictions, predictions)[0][1]

    known = ic(dataset)
    if known is None:
        return None
    seen, orders = _orders(dataset, rows, window, seed)
    changed = replace(dataset, features=dataset.features.copy())
    without: dict[str, float | None] = {}
    for name in features:
        column = dataset.feature_names.index(name)
        found: list[float | None] = []
        for order in orders:
            changed.features[seen, column] = dataset.features[order, column]
            found.append(ic(changed))
        changed.features[:, column] = dataset.features[:, column]
        defined = [each for each in found if each is not None]
        without[name] = float(np.mean(defined)) if len(defined) == TIMES else None
    return Permutation(known, without)


def _orders(
    dataset: Dataset, rows: np.ndarray, window: int, seed: int
) -> tuple[np.ndarray, list[np.ndarray]]:
    """Returns the rows [s] that windows of `rows` see, and, several times, whose values they get.

    Every symbol's rows of the bars in question are among them, also those that are not scored.
    """
    first, last = dataset.time[rows - (window - 1)].min(), dataset.time[rows].max()
    seen = np.flatnonzero((dataset.time >= first) & (dataset.time <= last))
    bar = dataset.time[seen] if len(dataset.symbols) > 1 else np.zeros(len(seen))
    rng = np.random.default_rng(seed)
    orders = [seen[np.lexsort((rng.random(len(seen)), bar))] for _ in range(TIMES)]
    return seen[np.argsort(bar, kind="stable")], orders
