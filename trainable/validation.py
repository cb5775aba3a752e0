"""Checks a configuration before anything starts: its values, and whether it fits the data."""

import math
from collections.abc import Iterable

import numpy as np

from trainable.cli.errors import UserError
from trainable.config import FIELDS, TrialConfig, to_params
from trainable.data.dataset.dataset import Dataset


def check_value(key: str, value: object) -> None:
    """Raises `UserError` where this one value is not allowed for parameter `key`."""
    FIELDS[key].check_value(key, value)


def validate(config: TrialConfig) -> None:
    """Raises `UserError` for a value that is not allowed."""
    for key, value in to_params(config).items():
        check_value(key, value)


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
    warmup, steps = config.schedule.warmup_steps, config.train.epochs * steps_per_epoch
    if 2 * warmup > steps:
        epochs = math.ceil(2 * warmup / steps_per_epoch)
        raise UserError(
            f"schedule/warmup_steps={warmup} is more than half of all {steps} steps "
            f"({config.train.epochs} epochs of {steps_per_epoch}); "
            f"fix.schedule/warmup_steps={steps // 2} or epochs={epochs} works"
        )
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
    validate(config)
    rows = len(dataset.train_rows)
    steps = config.train.batches(rows)
    validate_against(config, rows=rows, window_limit=dataset.max_window, steps_per_epoch=steps)
    dataset.columns(config.data.features)
    if zone := config.loss.dead_zone:
        moves = np.abs(dataset.target[dataset.train_rows])
        left = int((moves > zone).sum())
        if left < config.train.batch_size:
            raise UserError(
                f"loss/dead_zone={zone:g} leaves {left} of the {rows} training rows to learn "
                f"from; fix.loss/dead_zone={np.median(moves) / 2:.2g} works"
            )
