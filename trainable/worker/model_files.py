"""The model of a trial, as the worker that trained it keeps it."""

from torch import Tensor

from trainable.config import TrialConfig
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows
from trainable.io.file_store import FileStore
from trainable.prediction.predictor import save


def save_model(
    files: FileStore,
    number: int,
    epoch: int,
    config: TrialConfig,
    weights: dict[str, Tensor],
    windows: Windows,
    dataset: Dataset,
) -> None:
    """Writes a trial's model with the facts that a prediction may want.

    Args:
        files: of the trial.
        number: of the trial.
        epoch: that the weights are of.
        config: of the trial.
        weights: by parameter name.
        windows: that it was trained on.
        dataset: that the windows are of.
    """
    facts = {
        "number": number,
        "epoch": epoch,
        "n_parameters": sum(tensor.numel() for tensor in weights.values()),
        "source": dataset.name,
        "horizon": dataset.horizon,
        "lag": dataset.lag,
    }
    save(files, config, weights, windows, facts)
