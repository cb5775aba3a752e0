"""The evaluation that ends an epoch: predictions on the scored rows, their loss, their metrics."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.data.dataset.dataset import Dataset
from trainable.executors.base import ROWS, Predicts, rows_at_once
from trainable.losses import LossConfig
from trainable.losses.base import Targets
from trainable.metrics.further import further
from trainable.metrics.portfolio import position_scale
from trainable.metrics.scores import score, sharpe_and_ic
from trainable.metrics.scoring import scoring
from trainable.models.batched.layers import ALIGNED
from trainable.training.batches import BatchSource, day_grid

LAST = 2**31  # an epoch past all others: weights that change do so at the same epoch for all
CELLS = 2**16  # predictions whose loss is computed at once


@dataclass(frozen=True)
class Evaluation:
    """One member's epoch on the validation rows.

    Attributes:
        values: metrics by column of `epochs.parquet`, with `train_sharpe`, `train_ic` and `skill`;
            with fewer than five symbols also the position scale.
        net_returns: [V] float64, or None.
        val_loss: mean loss of the rows with a label; None when not finite.
        zero_loss: that loss for predicting nothing.
        predictions: [m] float32.
        spread: their standard deviation. constant: they are one number.
        bound: share of rows whose position is at the more frequent bound (few symbols), else 0.
    """

    values: dict[str, float | None]
    net_returns: np.ndarray | None
    val_loss: float | None
    zero_loss: float
    predictions: np.ndarray
    spread: float
    constant: bool
    bound: float


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory, up to 64 MB, for the next tensor of this process.

    glibc returns large blocks to the system, and getting them back page by page takes longer than
    predicting with small networks. It keeps blocks up to the largest one freed so far, at most
    32 MB (mallopt(3), M_MMAP_THRESHOLD); so one such block is freed here. Nothing is written to
    it, so it costs no memory.
    """
    torch.empty(2**25 - 2**16, dtype=torch.uint8)


@dataclass(frozen=True)
class DayRows:
    """Rows [m] as a grid of the D days that they are of, symbol by symbol within a day.

    Attributes:
        rows: [D, N], of the dataset; −1: the symbol is absent.
        positions: [D·N], where each stands among the m; 0 for those absent.
        cells: [m], the cell of each row in the flattened grid.
    """

    rows: Tensor
    positions: Tensor
    cells: Tensor

    @classmethod
    def of(cls, dataset: Dataset, rows: Tensor) -> "DayRows":
        """Returns the grid of rows of the dataset, on their device."""
        order = rows.cpu().numpy()
        grid = day_grid(dataset, order)
        where = np.where(grid < 0, -1, order[grid])
        (full,) = np.nonzero(grid.flatten() >= 0)
        cells = full[np.argsort(grid.flatten()[full])]
        found = where, grid.flatten().clip(min=0), cells
        return cls(*(torch.from_numpy(each).to(rows.device) for each in found))


class Evaluator:
    """Evaluates the members of a cohort; what they share is prepared once."""

    def __init__(self, dataset: Dataset, source: BatchSource) -> None:
        keep_freed_memory()
        self.source, self.windows, self.loss = source, source.windows, source.loss
        self.horizon = dataset.horizon
        windows = self.windows
        rows = windows.valid_rows.cpu().numpy()
        self.valid = scoring(dataset, rows)
        self.bars = dataset.time[rows]
        self.seen = scoring(dataset, windows.train_eval_rows.cpu().numpy())
        self.few = not dataset.panel
        self.valid_days = self.seen_days = None
        if source.whole_days:
            self.valid_days = DayRows.of(dataset, windows.valid_rows)
            self.seen_days = DayRows.of(dataset, windows.train_eval_rows)
        self.targets = self._targets()
        self.zero_losses: dict[LossConfig, float] = {}

    def evaluate(self, executor: Predicts, configs: Sequence[TrialConfig]) -> list[Evaluation]:
        """Returns the evaluation of each member of the executor."""
        valid = self._predict(executor, self.windows.valid_rows, self.valid_days)
        seen = valid
        if self.windows.train_eval_rows is not self.windows.valid_rows:
            seen = self._predict(executor, self.windows.train_eval_rows, self.seen_days)
        settings = [config.loss for config in configs]
        losses = self.losses(valid, settings)
        zeros = [self._zero_loss(each, valid.shape[2:]) for each in settings]
        valid_np, seen_np = self._signals(valid, settings), self._signals(seen, settings)
        scored = score(self.valid, valid_np, seen_np)
        trained = sharpe_and_ic(self.seen, seen_np, seen_np)
        results = []
        for k, (p, t) in enumerate(zip(valid_np, seen_np, strict=True)):
            scores, (train_sharpe, train_ic) = scored[k], trained[k]
            finite = bool(np.isfinite(losses[k]))
            with np.errstate(over="ignore", invalid="ignore"):
                spread = float(p.astype(np.float64).std())
            values = {
                **scores.values,
                **further(p, self.valid.label, self.bars),
                **(self._position_scale(t) if self.few else {}),
                "train_sharpe": train_sharpe,
                "train_ic": train_ic,
                "skill": 1.0 - losses[k] / zeros[k] if finite and zeros[k] > 0 else None,
            }
            results.append(
                Evaluation(
                    values=values,
                    net_returns=scores.net_returns,
                    val_loss=losses[k] if finite else None,
                    zero_loss=zeros[k],
                    predictions=p.astype(np.float32),
                    spread=spread,
                    constant=bool((p == p[0]).all()),
                    bound=self._bound(p, t),
                )
            )
        return results

    def _predict(self, executor: Predicts, rows: Tensor, days: "DayRows | None") -> Tensor:
        """Returns the predictions [K, m] or [K, m, O] of rows [m]."""
        if days is not None and self.source.graph is not None:
            return self._predict_days(executor, days)
        # The same for every cohort size: the last bits of a product depend on its number of rows
        # and on its address, so the last part is padded with copies of a row.
        full = torch.cat([rows, rows[-1:].expand(-len(rows) % ALIGNED)])
        parts = [
            executor.predict(self.windows.at(part))
            for part in full.split(rows_at_once(self.windows))
        ]
        return torch.cat(parts, dim=1)[:, : len(rows)]

    def _predict_days(self, executor: Predicts, days: "DayRows") -> Tensor:
        """Returns the predictions of a model over whole days, [K, m] or [K, m, O], by row."""
        parts = []
        for grid in days.rows.split(max(1, ROWS // days.rows.shape[1])):
            x, _, seen = self.source.gather(grid.flatten(), lambda inputs: inputs)
            parts.append(executor.predict(x, seen))
        return torch.cat(parts, dim=1).index_select(1, days.cells)

    def _signals(self, predictions: Tensor, settings: Sequence[LossConfig]) -> np.ndarray:
        """Returns what is traded of each member's predictions, [K, m]."""
        several = [
            self.loss.signal(each, p, self.horizon)
            for each, p in zip(settings, predictions, strict=True)
        ]
        return torch.stack(several).cpu().numpy()

    def _targets(self) -> Targets:
        """Returns the targets of the validation rows, or of their whole days, in float64."""
        rows = self.windows.valid_rows
        if self.valid_days is not None:
            rows = self.valid_days.rows.flatten()
        y, mask, facts = self.source.targets(rows.clamp(min=0), rows >= 0)
        if facts is not None:
            scale, returns = facts.scale.double(), facts.returns.double()
            facts = facts._replace(scale=scale, returns=returns)
        return Targets(y.double(), mask, facts)

    def losses(self, predictions: Tensor, settings: Sequence[LossConfig]) -> list[float]:
        """Returns the loss of each member's predictions [K, m, …] on the validation rows."""
        size = max(1, CELLS // len(self.targets.y))
        found: list[float] = []
        for start in range(0, len(settings), size):
            part = slice(start, start + size)
            found += self._loss(predictions[part], settings[part])
        return found

    def _zero_loss(self, config: LossConfig, outputs: Sequence[int] = ()) -> float:
        """Returns the loss of predicting nothing: zeros [m, …]."""
        if config not in self.zero_losses:
            rows = self.windows.valid_rows
            zeros = torch.zeros(1, len(rows), *outputs, dtype=torch.float64, device=rows.device)
            (loss,) = self._loss(zeros, [config])
            self.zero_losses[config] = loss
        return self.zero_losses[config]

    def _loss(self, predictions: Tensor, settings: Sequence[LossConfig]) -> list[float]:
        # Two rows or more: the threads of torch share the sum of a single one, in another order.
        members = max(2 if self.source.simple else 1, len(predictions))
        p = predictions.double()
        if self.valid_days is not None:
            p = p.index_select(1, self.valid_days.positions)
        p = p.expand(members, *p.shape[1:])
        targets = self.targets.repeated(members)
        columns = self.loss.columns_of(settings, p.device, p.dtype, [LAST] * len(settings))
        with torch.no_grad():
            result = self.loss.of_batch(p, targets, columns, training=False)
        return result.loss[: len(predictions)].tolist()

    def _position_scale(self, seen: np.ndarray) -> dict[str, float | None]:
        """Returns what positions of fewer than five symbols are recomputed with, both or neither.

        Args:
            seen: [s] float32, one member's predictions on the training rows.
        """
        if not np.isfinite(seen).all():
            return {"position_std": None, "position_mean": None}
        scale = position_scale(seen[None])
        return {"position_std": scale.std.item(), "position_mean": scale.mean_position.item()}

    def _bound(self, p: np.ndarray, seen: np.ndarray) -> float:
        if not self.few:
            return 0.0
        std = float(seen.astype(np.float64).std())
        if std == 0.0 or not np.isfinite(std):
            return 0.0
        return float(max((p >= std).mean(), (p <= -std).mean()))
