"""The model that is kept of a trial: of a member that ended well, or made again if it is gone."""

import math
import sys
import time
from collections.abc import Callable, Mapping

from torch import Tensor

from trainable import predict
from trainable.cli.errors import UserError
from trainable.config import TrialConfig, from_params
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.windows import Windows, make_windows
from trainable.executors import state_form
from trainable.io.file_store import FileStore
from trainable.training.loop import Training
from trainable.training.member import Member, MemberStart
from trainable.worker import checkpoint

LOOK_S = 1.0  # between two looks whether the person waits
ROUNDING = 1e-3  # relative, of the validation loss of a model that is made again


class LostError(UserError):
    """A model that is gone and cannot be made again."""


def keep(
    place: FileStore,
    number: int,
    epoch: int,
    config: TrialConfig,
    weights: dict[str, Tensor],
    view: Windows,
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


def model_of(
    place: FileStore,
    number: int,
    params: Mapping[str, object],
    epoch: int,
    val_loss: float,
    last: int,
    dataset: Dataset,
    hasty: Callable[[], bool],
) -> predict.Predictor:
    """Returns a trial's model; where it is damaged or gone, it is made again, and that is said.

    The newest checkpoint has it, or the trial trains on from there, or anew: the same seed and the
    same rows make the same model, but for rounding. It trains on a CPU, in this process.

    Args:
        place: of the trial.
        number: of the trial.
        params: of the trial.
        epoch: the ranking epoch, whose weights these are.
        val_loss: that it reported of this epoch.
        last: the last epoch that it reported.
        dataset: of the search.
        hasty: whether the person waits for the end: then nothing is trained.

    Raises:
        LostError: it was not trained again, or is another then; nothing is written.
    """
    there = place.has(predict.CONFIG)
    if there:
        try:
            return predict.load(place)
        except UserError as error:
            if not hasty():
                print(f"{error}; meanwhile it is made again", file=sys.stderr)
    config = from_params(params)
    saved = checkpoint.read(place, known=last)
    if saved is not None and saved.best_weights and saved.record["best_epoch"] == epoch:
        view = make_windows(dataset, config.data, "cpu")
        keep(place, number, epoch, config, saved.best_weights, view, dataset)
        return predict.load(place)
    if hasty():
        raise _unmade(place)
    if not there:
        print(f"{place}/{predict.MODEL} is gone; it is made again", file=sys.stderr)
    training = Training([MemberStart(number, config)], dataset)
    if saved is not None and saved.executor == state_form(training.executor_name):
        training = Training([MemberStart(number, config, saved)], dataset, windows=training.windows)
    member = _trained(training, last, hasty)
    if hasty() and member.epoch < last:
        raise _unmade(place)
    found = math.nan if member.best_val_loss is None else member.best_val_loss
    if member.best_epoch != epoch or not math.isclose(found, val_loss, rel_tol=ROUNDING):
        raise LostError(
            f"{place}/{predict.MODEL} is damaged or gone; trained again it is another: its best is "
            f"epoch {member.best_epoch} with a validation loss of {found:.6g}, which was epoch "
            f"{epoch} with {val_loss:.6g}; restore the file from a copy and go on with "
            "resume=true; everything else has been written"
        )
    keep(place, number, epoch, config, member.best_weights, training.windows, dataset)
    return predict.load(place)


def _trained(training: Training, last: int, hasty: Callable[[], bool]) -> Member:
    """Trains the only member of a training to an epoch, or to its end before."""
    (member,) = training.members
    while training.live and member.epoch < last and not hasty():
        training.advance(time.monotonic() + LOOK_S)
    return member


def _unmade(place: FileStore) -> LostError:
    return LostError(
        f"{place}/{predict.MODEL} is damaged or gone, and was not made again, since the search was "
        "interrupted: go on with resume=true; everything else has been written"
    )
