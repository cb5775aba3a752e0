"""What can be reached on a generated market: the scores of the generator's own expectation."""

import numpy as np

from trainable.data.dataset.dataset import Dataset
from trainable.data.market import Market
from trainable.metrics.scores import score
from trainable.metrics.scoring import scoring


def reachable(market: Market, dataset: Dataset, rows: np.ndarray) -> dict[str, float | None]:
    """The best there is: `ic` and `sharpe` of the market's own expectation on `rows` of `dataset`.

    Measured with our own metrics, costs included; None where nothing is predictable. The scale and
    mean of positions are those of the expectation over the whole market, so a dataset without
    training rows will do.
    """
    if market.expected is None:
        raise ValueError(f"{market.name}: only a generated market knows what is reachable")
    predictions = market.expected[dataset.time[rows], dataset.symbol[rows]]
    everywhere = market.expected[market.present]
    best = score(scoring(dataset, rows), predictions[None], everywhere[None])[0]
    return {name: best.values[name] for name in ("ic", "sharpe")}
