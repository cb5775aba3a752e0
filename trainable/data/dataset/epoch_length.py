"""How many optimizer steps an epoch has, and how many days a batch of whole days."""

import numpy as np

from trainable.config import TrialConfig, batch_order
from trainable.data.dataset.dataset import Dataset


def epoch_steps(config: TrialConfig, dataset: Dataset) -> int:
    """Returns the optimizer steps of an epoch: those that are set, or one pass.

    A pass over whole days has as many steps as batches of consecutive days fit into the training
    part, wherever they begin. It may be few rows a step where many symbols are absent.
    """
    if config.train.steps_per_epoch or batch_order(config) == "rows":
        return config.train.batches(len(dataset.train_rows))
    days = int(np.count_nonzero(np.bincount(dataset.time[dataset.train_rows])))
    return steps_of_pass(days, days_of_batch(config.train.batch_size, len(dataset.symbols)))


def steps_of_pass(days: int, of_batch: int) -> int:
    """Returns how many batches of so many consecutive days fit into all days from any first one."""
    return max(1, (days - of_batch + 1) // of_batch)


def days_of_batch(batch: int, symbols: int) -> int:
    """Returns how many days of all symbols make up a batch of so many rows, two at least."""
    return max(2, round(batch / symbols))
