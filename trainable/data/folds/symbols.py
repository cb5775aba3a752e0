"""A dataset of some of the symbols, as if the others had never been."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from trainable.data.dataset.dataset import Dataset


def halves(names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of two halves of the symbols, each increasing.

    A hash of the name decides, so the halves do not follow the order of the file.
    """
    order = np.argsort([hashlib.sha256(name.encode()).hexdigest() for name in names])
    middle = (len(order) + 1) // 2
    return np.sort(order[:middle]), np.sort(order[middle:])


def of_symbols(dataset: Dataset, kept: np.ndarray) -> Dataset:
    """Returns the dataset of the symbols with these indices, increasing; the grid of bars stays.

    Labels, returns and features of a symbol are made of its own bars, and stay as they are.
    """
    stays = np.isin(dataset.symbol, kept)
    moved = np.cumsum(stays) - 1

    def rows(several: np.ndarray) -> np.ndarray:
        return moved[several[stays[several]]]

    group, known = dataset.symbol_group, dataset.known_returns
    return replace(
        dataset,
        features=dataset.features[stays],
        target=dataset.target[stays],
        time=dataset.time[stays],
        symbol=np.searchsorted(kept, dataset.symbol[stays]).astype(dataset.symbol.dtype),
        age=dataset.age[stays],
        label_end=dataset.label_end[stays],
        symbols=tuple(dataset.symbols[i] for i in kept),
        forward_returns=np.ascontiguousarray(dataset.forward_returns[:, kept]),
        known_returns=None if known is None else np.ascontiguousarray(known[:, kept]),
        tradable=np.ascontiguousarray(dataset.tradable[:, kept]),
        sold=dataset.sold[kept],
        own_last=dataset.own_last[kept],
        bad_ticks=np.ascontiguousarray(dataset.bad_ticks[:, kept]),
        train_rows=rows(dataset.train_rows),
        valid_rows=rows(dataset.valid_rows),
        symbol_group=None if group is None else group[kept],
    )
