"""A dataset as the networks of one cohort train on it: scaled features on a device, by row."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable.config import DataConfig
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.labels import z_by_day
from trainable.data.dataset.scaler import Scaler, fit_scaler
from trainable.models import InputShape

BLOCK_ROWS = 1 << 16  # rows scaled at a time
MAX_SHARED = 3  # scaled copies of the features that are kept besides those in use


@dataclass(frozen=True)
class Windows:
    """The rows of a dataset, ready for a model.

    Attributes:
        x: [R, F] scaled features; 0, the centre, where a value is missing.
        y: [R] target ÷ `target_scale`, or z-scored over its bar; 0 where undefined.
        known: [R] bool, where the target is defined.
        train_rows: [n] int64, rows to learn from.
        valid_rows: [m] int64, rows that are scored.
        train_eval_rows: [s] int64, training rows on which the training metrics are computed. With
            five or more symbols these are the last bars of the training part, as many as there are
            validation bars. With fewer symbols they are all training rows, because positions need
            the training statistics.
        window: rows of one input.
        target_scale: training standard deviation of the target, decimal return.
        scaler: fitted on the training rows.
        names: the F features.
        groups: the group of each.
        symbols: of the dataset, N.
        cache: what is made of the dataset when first needed, for all windows that share `x`.
        graphs: of the dataset's bars, by their settings, made when first needed; for all windows of
            one `SharedWindows`.
    """

    x: Tensor
    y: Tensor
    known: Tensor
    train_rows: Tensor
    valid_rows: Tensor
    train_eval_rows: Tensor
    window: int
    target_scale: float
    scaler: Scaler
    names: tuple[str, ...]
    groups: tuple[str, ...]
    symbols: int
    cache: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)
    graphs: dict[Any, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def shape(self) -> InputShape:
        """The shape of one input, for a model of one output."""
        return InputShape(self.window, self.features)

    @property
    def features(self) -> int:
        """F, values of a row."""
        return self.x.shape[1]

    def at(self, rows: Tensor) -> Tensor:
        """Returns the inputs [..., W, F] that end at `rows` [...].

        A symbol's rows are contiguous. The caller asks only for rows with at least W rows of their
        symbol up to and including themselves, so that no window crosses into another symbol.
        """
        rows = rows.unsqueeze(-1)
        if self.window > 1:
            rows = rows + torch.arange(1 - self.window, 1, device=rows.device)
        return self.x.index_select(0, rows.flatten()).view(*rows.shape, -1)

    def targets(self, rows: Tensor) -> Tensor:
        """Returns the targets of `rows`, in their shape."""
        return self.y.index_select(0, rows.flatten()).view(rows.shape)


class SharedWindows:
    """Makes the windows of one worker's cohorts, and keeps the most recently used ones.

    Windows that differ in their length only share one copy of the features. A copy that is in use
    lives as long as its user, also after it was dropped here.

    Args:
        dataset: of the search.
        device: where the tensors are.
    """

    def __init__(self, dataset: Dataset, device: torch.device | str = "cpu") -> None:
        self.dataset, self.device = dataset, device
        self._recent: dict[DataConfig, Windows] = {}  # the most recently used is last
        self._graphs: dict[Any, Any] = {}

    def of(self, config: DataConfig) -> Windows:
        """Returns the windows of these settings."""
        check_window(config, self.dataset)
        key = replace(config, window=1)
        windows = self._recent.pop(key, None)
        if windows is None:
            while len(self._recent) >= MAX_SHARED:
                del self._recent[next(iter(self._recent))]
            windows = replace(make_windows(self.dataset, key, self.device), graphs=self._graphs)
        self._recent[key] = windows
        return replace(windows, window=config.window)


def make_windows(
    dataset: Dataset,
    config: DataConfig,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Windows:
    """Scales and selects the features of `config`; the scaler is fitted on the training rows.

    The dataset's arrays are shared by all workers and are not changed. The scaled features are
    written block by block, so that no second copy of them is ever made.
    """
    check_window(config, dataset)
    columns = dataset.columns(config.features)
    scaler = fit_scaler(
        dataset.features,
        kind=config.scaler,
        winsorise=config.winsorise,
        rows=dataset.train_rows,
        columns=columns,
    )
    scale = dataset.target_scale
    by_day = config.target == "z_by_day"
    target = dataset.target.astype(np.float64)
    target = z_by_day(dataset, target) if by_day else target / scale
    known = np.isfinite(target)
    x = torch.empty((len(dataset.features), len(columns)), dtype=dtype, device=device)
    y = torch.empty(len(dataset.target), dtype=dtype, device=device)
    for begin in range(0, len(x), BLOCK_ROWS):
        rows = slice(begin, begin + BLOCK_ROWS)
        values = scaler.transform(dataset.features[rows].take(columns, axis=1))
        x[rows] = torch.from_numpy(np.nan_to_num(values, copy=False, nan=0.0))
        y[rows] = torch.from_numpy(np.where(known[rows], target[rows], 0.0))

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    return Windows(
        x=x,
        y=y,
        known=tensor(known),
        train_rows=tensor(dataset.train_rows.copy()),
        valid_rows=tensor(dataset.valid_rows.copy()),
        train_eval_rows=tensor(train_eval_rows(dataset)),
        window=config.window,
        target_scale=scale,
        scaler=scaler,
        names=tuple(dataset.feature_names[i] for i in columns),
        groups=dataset.groups_of(config.features),
        symbols=len(dataset.symbols),
    )


def train_eval_rows(dataset: Dataset) -> np.ndarray:
    """Returns the training rows [s] on which a model's training metrics are computed."""
    rows = dataset.train_rows
    if dataset.panel:
        first = dataset.split.train[1] - (dataset.split.valid[1] - dataset.split.valid[0])
        rows = rows[dataset.time[rows] >= first]
    return rows[np.lexsort((dataset.symbol[rows], dataset.time[rows]))]


def check_window(config: DataConfig, dataset: Dataset) -> None:
    """Raises ValueError where windows would be longer than the dataset was made for."""
    if config.window > dataset.max_window:
        raise ValueError(
            f"data/window={config.window} on a dataset made for at most {dataset.max_window}: "
            "its first rows would reach into the symbol before"
        )
