"""Checks a configuration before anything starts: its values, and whether it fits the data."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from trainable.cli.errors import UserError
from trainable.cli.text import counted
from trainable.config import FIELDS, TrialConfig, batch_order, input_shape, to_params
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.epoch_length import epoch_steps
from trainable.data.dataset.labels import horizon_targets
from trainable.hyperparameter import check_divisible
from trainable.losses import LOSSES
from trainable.losses.base import Trained
from trainable.models import MODELS, count_parameters, parameter_names
from trainable.optimizers.base import check_heads, head_share
from trainable.optimizers.layout import is_head

LEAST_LABELS = 0.5  # share of the training rows with a label of each horizon


def check_value(key: str, value: object) -> None:
    """Raises `UserError` where this one value is not allowed for parameter `key`."""
    FIELDS[key].check_value(key, value)


def validate(config: TrialConfig) -> None:
    """Raises `UserError` for a value that is not allowed, or values that do not fit each other."""
    for key, value in to_params(config).items():
        check_value(key, value)
    for part in (config.model, config.optimizer, config.schedule, config.loss):
        check_fields: Any = getattr(part, "check", None)  # those of one part that must fit
        if callable(check_fields):
            check_fields()
    LOSSES[config.loss.name].check(config.loss, None)
    _check_accumulation(config)
    _check_ensemble(config)


def _check_ensemble(config: TrialConfig) -> None:
    """Raises `UserError` where inputs change that tell an ensemble's rows apart.

    The digits of its inputs say whether a row trains the networks or their weights.
    """
    for name in ("feature_noise", "time_mask"):
        if config.model.name == "ensemble" and getattr(config.train, name):
            raise UserError(
                f"train/{name}={getattr(config.train, name):g}: the ensemble knows by its inputs "
                f"which rows fit its weights, and they would change; fix.train/{name}=0 works"
            )


def _check_accumulation(config: TrialConfig) -> None:
    """Raises `UserError` where a batch cannot be trained in parts."""
    parts, batch = config.train.accumulate, config.train.batch_size
    if parts == 1:
        return
    check_divisible("train/batch_size", batch, "train/accumulate", parts)
    entries = {
        f"loss/name={config.loss.name}": LOSSES[config.loss.name].batches_of(config.loss),
        f"model/name={config.model.name}": MODELS[config.model.name].batches,
    }
    for which, batches in entries.items():
        if batches != "rows":
            raise UserError(
                f"train/accumulate={parts}: {which} needs whole days, which cannot be trained in "
                "parts; fix.train/accumulate=1 works"
            )
    loss = LOSSES[config.loss.name]
    if LOSSES["variance"] in loss.parts(config.loss):
        raise UserError(
            f"train/accumulate={parts}: the variance is one of a whole batch, not a mean over its "
            "rows; fix.train/accumulate=1 works"
        )
    if len(loss.horizons(config.loss)) > 1:
        raise UserError(
            f"train/accumulate={parts}: each of several horizons has rows of its own that count, "
            "and a part of a batch does not know how many; fix.train/accumulate=1 works"
        )


def validate_against(
    config: TrialConfig,
    rows: int,
    window_limit: int,
    steps_per_epoch: int,
    groups: Iterable[str] | None = None,
) -> None:
    """Raises `UserError` where the configuration does not fit the data.

    Args:
        config: a valid configuration.
        rows: training rows.
        window_limit: the largest window that the data allow, in rows of one symbol.
        steps_per_epoch: optimizer steps of one epoch, resolved (not 0).
        groups: the feature groups that the data have; unset: not checked.
    """
    window, batch = config.data.window, config.train.batch_size
    if window > window_limit:
        raise UserError(
            f"data/window={window} is longer than the data allow; "
            f"fix.data/window={window_limit} or less works"
        )
    if batch > rows:
        raise UserError(
            f"train/batch_size={batch} is more than the {rows} training rows; "
            f"fix.train/batch_size={max(2, min(32, rows // 2))} works, or more data"
        )
    _check_warmups([config], [steps_per_epoch])
    if groups is not None and config.data.features != "all":
        available = set(groups)
        for part in config.data.features.split("+"):
            if part not in available:
                raise UserError(
                    f"data/features={config.data.features}: the data have no {part} features; "
                    f"fix.data/features={'+'.join(sorted(available))} works"
                )


def check(config: TrialConfig, dataset: Dataset) -> None:
    """Raises `UserError` unless this configuration can be trained on this dataset."""
    check_all([config], dataset)


def check_all(configs: Sequence[TrialConfig], dataset: Dataset) -> None:
    """Raises `UserError` unless each of these configurations can be trained on this dataset.

    What the error advises fits all of them, not only the one that it names.
    """
    rows = len(dataset.train_rows)
    for config in configs:
        validate(config)
        if config.train.batch_size > rows:  # before its steps are counted
            validate_against(config, rows, dataset.max_window, 1)
    steps = [epoch_steps(config, dataset) for config in configs]
    _check_warmups(configs, steps)
    for config, count in zip(configs, steps, strict=True):
        validate_against(config, rows, dataset.max_window, count)
        shape = input_shape(config, dataset.groups_of(config.data.features))
        count_parameters(config.model, shape)  # a model that cannot be built says so
        _check_target(config, dataset)
        _check_days(config, dataset)
        if head_share(config.optimizer) != 1:
            check_heads(config.optimizer, parameter_names(config.model, shape))
        if config.train.reset_below:
            _check_reset(config, parameter_names(config.model, shape))
        trained = Trained(dataset.horizon, len(dataset.symbols), config.train.epochs)
        LOSSES[config.loss.name].check(config.loss, trained)
    _check_dead_zones(configs, np.abs(dataset.target[dataset.train_rows]))


def check_horizons(configs: Iterable[TrialConfig], dataset: Dataset) -> None:
    """Raises `UserError` where the data have too few labels of a horizon that a loss names."""
    rows = dataset.train_rows
    for several in {LOSSES[config.loss.name].horizons(config.loss) for config in configs}:
        if set(several) <= {dataset.horizon}:
            continue
        known = np.isfinite(horizon_targets(dataset, several)[rows]).sum(axis=0)
        for horizon, count in zip(several, known, strict=True):
            if count < LEAST_LABELS * len(rows):
                text = "-".join(map(str, several))
                raise UserError(
                    f"loss/horizons={text}: {count} of {len(rows)} training rows have a label "
                    f"{counted(horizon, 'bar')} ahead that ends within the training part"
                    f"{' and the session' if dataset.session_ends.any() else ''}; leave out "
                    f"{horizon}"
                )


def _check_reset(config: TrialConfig, names: Iterable[str]) -> None:
    """Raises `UserError` where a head should be perturbed, and the model has none."""
    if not any(map(is_head, names)):
        raise UserError(
            f"train/reset_below={config.train.reset_below:g}: no component of {config.model.name} "
            "has a name that begins with head; fix.train/reset_below=0 works"
        )


def _check_target(config: TrialConfig, dataset: Dataset) -> None:
    """Raises `UserError` where what is learned does not fit the loss or the data."""
    if config.data.target != "z_by_day":
        return
    scaled = "fix.data/target=scaled works"
    if not dataset.panel:
        raise UserError(
            f"data/target=z_by_day compares the symbols of a bar, and {dataset.name} has "
            f"{counted(len(dataset.symbols), 'symbol')}; {scaled}"
        )
    heads = [name for name, _ in LOSSES[config.loss.name].heads(config.loss)]
    if "action" in heads:
        raise UserError(
            f"loss/name={config.loss.name} takes raw returns, and data/target=z_by_day has none; "
            f"{scaled}"
        )
    if config.loss.dead_zone:
        raise UserError(
            f"loss/dead_zone={config.loss.dead_zone:g} is a size of raw returns, and "
            f"data/target=z_by_day has none; fix.loss/dead_zone=0 or {scaled}"
        )


def _check_days(config: TrialConfig, dataset: Dataset) -> None:
    """Raises `UserError` where batches of whole days are too small, or of one symbol."""
    if batch_order(config) != "days":
        return
    which = "model" if MODELS[config.model.name].batches == "days" else "loss"
    name = getattr(config, which).name
    symbols, batch = len(dataset.symbols), config.train.batch_size
    if symbols < 2:
        raise UserError(
            f"{which}/name={name} relates the symbols of a day, and {dataset.name} has one; "
            f"another {which} works, or data of several symbols"
        )
    if batch < 2 * symbols:
        raise UserError(
            f"train/batch_size={batch} is less than two days of {symbols} symbols, and "
            f"{which}/name={name} trains on whole days; fix.train/batch_size={2 * symbols} works"
        )


def _check_warmups(configs: Sequence[TrialConfig], steps_per_epoch: Sequence[int]) -> None:
    """Raises `UserError` where a warm-up is more than half of a configuration's training.

    Args:
        configs: valid configurations.
        steps_per_epoch: optimizer steps of one epoch of each.
    """
    several = list(zip(configs, steps_per_epoch, strict=True))
    needed = [math.ceil(2 * config.schedule.warmup_steps / steps) for config, steps in several]
    longest = max(range(len(several)), key=needed.__getitem__)
    config, per_epoch = several[longest]
    epochs = config.train.epochs
    if needed[longest] <= epochs:
        return
    fits = min(config.train.epochs * steps for config, steps in several) // 2
    raise UserError(
        f"schedule/warmup_steps={config.schedule.warmup_steps} is more than half of all "
        f"{epochs * per_epoch} steps ({counted(epochs, 'epoch')} of {per_epoch}); "
        f"fix.schedule/warmup_steps={fits} or epochs={needed[longest]} works"
    )


def _check_dead_zones(configs: Sequence[TrialConfig], moves: np.ndarray) -> None:
    """Raises `UserError` where a dead zone leaves fewer training rows than a batch has.

    Args:
        configs: valid configurations.
        moves: [R] absolute labels of the training rows.
    """
    for config in configs:
        zone = config.loss.dead_zone
        left = int((moves > zone).sum())
        if zone and left < config.train.batch_size:
            largest = max(config.train.batch_size for config in configs)
            enough = np.partition(moves, -largest)[-largest]  # so many rows move at least so far
            works = min(np.median(moves), enough) / 2
            raise UserError(
                f"loss/dead_zone={zone:g} leaves {left} of the {len(moves)} training rows to learn "
                f"from; fix.loss/dead_zone={works:.2g} works"
            )
