"""The end of one member's epoch: what it measured, what its health says, whether it stops."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from trainable import health
from trainable.data.dataset import Dataset
from trainable.evaluation import Evaluation
from trainable.member import Member
from trainable.report import Stop

SHOWN = 5  # symbols of a failed batch that its evidence names


@dataclass(frozen=True)
class Steps:
    """What the steps of one member's epoch left.

    Attributes:
        losses: [S] training losses; NaN where the batch failed.
        norms: [S] L2 norms of the gradient before clipping; NaN likewise.
        components: norm of the last gradient by component.
        lr: learning rate of the last step.
    """

    losses: Tensor
    norms: Tensor
    components: dict[str, float]
    lr: float


def loss_is_lowest(member: Member, result: Evaluation) -> bool:
    """Whether this epoch has the member's lowest validation loss: the one it is ranked by."""
    best = member.best_val_loss
    return result.val_loss is not None and (best is None or result.val_loss < best)


def finish_epoch(
    member: Member, result: Evaluation, steps: Steps
) -> tuple[dict[str, float | None], Stop | None]:
    """Takes an epoch into the member's record; returns its metrics and why it stops, if it does."""
    member.epoch += 1
    config = member.config
    last = member.epoch >= config.train.epochs
    facts = health.Epoch(
        epoch=member.epoch,
        warm=member.steps >= config.schedule.warmup_steps,
        last=last,
        spread=result.spread,
        constant=result.constant,
        bound=result.bound,
        train_loss=_mean(steps.losses),
        zero_loss=result.zero_loss,
        val_loss=result.val_loss,
        sharpe=result.values["sharpe"],
        lr=steps.lr,
        peak=config.optimizer.lr,
    )
    member.history = [*member.history[-2:], facts]
    if member.first_val_loss is None:
        member.first_val_loss = result.val_loss
    if loss_is_lowest(member, result):
        member.best_val_loss, member.best_epoch = result.val_loss, member.epoch
    if result.val_loss is not None:
        member.plateau.after_epoch(result.val_loss)
    values = {
        **result.values,
        "train_loss": facts.train_loss,
        "val_loss": result.val_loss,
        "lr": facts.lr,
        "grad_norm": _mean(steps.norms),
        **{f"grad_norm.{n}": v if np.isfinite(v) else None for n, v in steps.components.items()},
        "nan_rate": health.nan_rate(member.failed, len(steps.losses)),
    }
    return values, health.judge(member.history) or _ended(member, last)


def seen_in(dataset: Dataset, rows: np.ndarray) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Returns first and last date of some rows, and up to five of their symbols."""
    stamps = dataset.timestamps[dataset.time[rows]]
    first, last = (str(stamp.astype("datetime64[s]")) for stamp in (stamps.min(), stamps.max()))
    symbols = np.unique(dataset.symbol[rows])[:SHOWN]
    return (first, last), tuple(dataset.symbols[i] for i in symbols)


def _ended(member: Member, last: bool) -> Stop | None:
    if last:
        return Stop("completed", {"epoch": member.epoch})
    waited = member.epoch - member.best_epoch
    if 0 < member.config.train.patience <= waited:
        evidence = {"epoch": member.epoch, "best_epoch": member.best_epoch, "waited": waited}
        return Stop("converged", {**evidence, "rule": "early stopping on validation loss"})
    return None


def _mean(values: Tensor) -> float | None:
    good = values[torch.isfinite(values)]
    return float(good.double().mean()) if len(good) else None
