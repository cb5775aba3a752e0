"""The model that is kept of a trial: of a member that ended well, or out of its checkpoint."""

import sys
from collections.abc import Mapping

from torch import Tensor

from trainable import checkpoint, predict
from trainable.config import TrialConfig, from_params
from trainable.data.dataset import Dataset
from trainable.data.view import View, make_view
from trainable.place import Place


def keep(
    place: Place,
    number: int,
    epoch: int,
    config: TrialConfig,
    weights: dict[str, Tensor],
    view: View,
    dataset: Dataset,
) -> None:
    """Writes a trial's model with the facts that a prediction may want.

    Args:
        place: of the trial.
        number: of the trial.
        epoch: that the weights are of.
        config: of the trial.
        weights: by parameter name.
        view: that it was trained on.
        dataset: that the view is of.
    """
    facts = {
        "number": number,
        "epoch": epoch,
        "n_parameters": sum(tensor.numel() for tensor in weights.values()),
        "source": dataset.name,
        "horizon": dataset.horizon,
        "lag": dataset.lag,
    }
    predict.save(place, config, weights, view, facts)


def recover(place: Place, number: int, params: Mapping[str, object], dataset: Dataset) -> bool:
    """Writes the model out of the newest checkpoint where a killed worker wrote none.

    Args:
        place: of the trial.
        number: of the trial.
        params: of the trial.
        dataset: of the search.

    Returns:
        Whether there is a model now.
    """
    if place.has(predict.CONFIG):
        return True
    saved = checkpoint.read(place, known=sys.maxsize)
    if saved is None:
        return False
    weights = saved.best_weights
    if not weights:
        return False
    config = from_params(params)
    view = make_view(dataset, config.data, "cpu")
    keep(place, number, saved.record["best_epoch"], config, weights, view, dataset)
    return True
