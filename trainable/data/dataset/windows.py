"""What the networks of one cohort see of a dataset: scaled features on their device, by row."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.config import DataConfig
from trainable.data.dataset.dataset import Dataset
from trainable.data.dataset.scaler import Scaler, fit_scaler

BLOCK = 1 << 16  # rows scaled at a time


@dataclass(frozen=True)
class Windows:
    """Rows of a dataset, ready for a model.

    Attributes:
        x: [R, F] scaled features; 0, the centre, where a value is missing.
        y: [R] target ÷ `target_scale`; 0 where undefined.
        known: [R] bool, where the target is defined.
        train_rows: [n] int64, rows to learn from.
        valid_rows: [m] int64, rows that are scored.
        seen_rows: [s] int64, training rows on which training is measured: the last bars of the
            training part, as many as are validated; all of them for fewer than five symbols, whose
            positions need the training statistics.
        window: rows of one input.
        target_scale: training standard deviation of the target, decimal return.
        scaler: fitted on the training rows.
        names: the F features.
    """

    x: Tensor
    y: Tensor
    known: Tensor
    train_rows: Tensor
    valid_rows: Tensor
    seen_rows: Tensor
    window: int
    target_scale: float
    scaler: Scaler
    names: tuple[str, ...]

    @property
    def inputs(self) -> int:
        """Values of one input: window × features."""
        return self.window * self.x.shape[1]

    def windows(self, rows: Tensor) -> Tensor:
        """Returns the inputs [..., W, F] that end at `rows` [...]; windows never cross symbols.

        A symbol's rows are contiguous, and every row asked for has at least W of them.
        """
        rows = rows.unsqueeze(-1)
        if self.window > 1:
            rows = rows + torch.arange(1 - self.window, 1, device=rows.device)
        return self.x.index_select(0, rows.flatten()).view(*rows.shape, -1)

    def targets(self, rows: Tensor) -> Tensor:
        """Returns the targets of `rows`, in their shape."""
        return self.y.index_select(0, rows.flatten()).view(rows.shape)


def seen_rows(dataset: Dataset) -> np.ndarray:
    """Returns the training rows [s] on which a model's training Sharpe and spread are measured."""
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


def make_view(
    dataset: Dataset,
    config: DataConfig,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Windows:
    """Scales and selects the features of `config`; the scaler is fitted on the training rows.

    The dataset's arrays are shared by all views and workers, and left as they are; the scaled
    features are written block by block, so that no further copy of them is ever made.
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
    x = torch.empty((len(dataset.features), len(columns)), dtype=dtype, device=device)
    y = torch.empty(len(dataset.target), dtype=dtype, device=device)
    for begin in range(0, len(x), BLOCK):
        rows = slice(begin, begin + BLOCK)
        scaled = scaler.transform(dataset.features[rows].take(columns, axis=1))
        x[rows] = torch.from_numpy(np.nan_to_num(scaled, copy=False, nan=0.0))
        target = dataset.target[rows].astype(np.float64)
        y[rows] = torch.from_numpy(np.where(np.isfinite(target), target / scale, 0.0))

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    return Windows(
        x=x,
        y=y,
        known=tensor(np.isfinite(dataset.target)),
        train_rows=tensor(dataset.train_rows.copy()),
        valid_rows=tensor(dataset.valid_rows.copy()),
        seen_rows=tensor(seen_rows(dataset)),
        window=config.window,
        target_scale=scale,
        scaler=scaler,
        names=tuple(dataset.feature_names[i] for i in columns),
    )
