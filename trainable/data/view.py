"""What the networks of one cohort see of a dataset: scaled features on their device, by row."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.config import DataConfig
from trainable.data.dataset import Dataset
from trainable.data.scaler import Scaler, fit_scaler


@dataclass(frozen=True)
class View:
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
    if len(dataset.symbols) >= 5:
        first = dataset.split.train[1] - (dataset.split.valid[1] - dataset.split.valid[0])
        rows = rows[dataset.time[rows] >= first]
    return rows[np.lexsort((dataset.symbol[rows], dataset.time[rows]))]


def make_view(
    dataset: Dataset,
    config: DataConfig,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> View:
    """Scales and selects the features of `config`; the scaler is fitted on the training rows."""
    if config.window > dataset.max_window:
        raise ValueError(
            f"data/window={config.window} on a dataset made for at most {dataset.max_window}: "
            "its first rows would reach into the symbol before"
        )
    columns = dataset.columns(config.features)
    raw = dataset.features[:, columns]
    scaler = fit_scaler(raw[dataset.train_rows], kind=config.scaler, winsorise=config.winsorise)
    x = scaler.transform(raw)
    np.nan_to_num(x, copy=False, nan=0.0)
    target = dataset.target.astype(np.float64)
    known = np.isfinite(target)
    scale = float(target[dataset.train_rows].std())

    def tensor(array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(device)

    return View(
        x=tensor(x).to(dtype),
        y=tensor(np.where(known, target / scale, 0.0)).to(dtype),
        known=tensor(known),
        train_rows=tensor(dataset.train_rows.copy()),
        valid_rows=tensor(dataset.valid_rows.copy()),
        seen_rows=tensor(seen_rows(dataset)),
        window=config.window,
        target_scale=scale,
        scaler=scaler,
        names=tuple(dataset.feature_names[i] for i in columns),
    )
