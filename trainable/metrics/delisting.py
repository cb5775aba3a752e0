"""What equal weight would earn if symbols that end were sold at another return."""

from dataclasses import dataclass, replace

import numpy as np

from trainable.data.dataset.dataset import Dataset
from trainable.metrics.scores import score_weights
from trainable.metrics.scoring import scoring

SHOCK = -0.6  # a delisting for bad reasons, decimal return


@dataclass(frozen=True)
class Delisting:
    """The Sharpe ratio of equal weight on the validation part, None where undefined.

    Attributes:
        as_set: with the delisting return of the settings.
        otherwise: with `other_return`.
        other_return: `SHOCK`; 0 where the settings say `SHOCK` or worse.
    """

    as_set: float | None
    otherwise: float | None
    other_return: float


def delisting(dataset: Dataset) -> Delisting:
    """Returns how much equal weight depends on what symbols that end are sold at."""
    other = 0.0 if dataset.delisting_return <= SHOCK else SHOCK
    return Delisting(
        equal_weight_sharpe(dataset), equal_weight_sharpe(sold_otherwise(dataset, other)), other
    )


def equal_weight_sharpe(dataset: Dataset) -> float | None:
    """Returns the Sharpe ratio of equal weight on the validation rows, net of costs."""
    on = scoring(dataset, dataset.valid_rows)
    return score_weights(on, on.equal_weights()).values["sharpe"]


def sold_otherwise(dataset: Dataset, delisting_return: float) -> Dataset:
    """Returns the dataset with another return after the last bar of symbols that end.

    A last return that is the file's own stays.
    """
    forward = dataset.forward_returns.copy()
    ended = dataset.sold < len(dataset.timestamps)
    for symbol in np.flatnonzero(ended & ~dataset.own_last):
        bars = np.flatnonzero(dataset.tradable[:, symbol])
        flat = dataset.overnight == "flat" and dataset.session_ends[bars[-1]]
        if len(bars) > dataset.lag and not flat:
            forward[bars[-1 - dataset.lag], symbol] = delisting_return
    return replace(dataset, forward_returns=forward, delisting_return=delisting_return)
