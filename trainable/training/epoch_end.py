"""The end of one member's epoch: its metrics, its health, and whether it stops."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable.config import TrialConfig
from trainable.data.dataset.dataset import Dataset
from trainable.losses import LOSSES
from trainable.report import Stop
from trainable.training import health
from trainable.training.epoch_plan import MemberSteps
from trainable.training.evaluator import Evaluation
from trainable.training.member import Member

SHOWN = 5  # symbols of a failed batch that its evidence names


def loss_is_lowest(member: Member, result: Evaluation) -> bool:
    """Returns whether this epoch's validation loss is the member's lowest so far."""
    best = member.best_val_loss
    return result.val_loss is not None and (best is None or result.val_loss < best)


def finish_epoch(
    member: Member,
    result: Evaluation,
    steps: MemberSteps,
    components: Mapping[str, float],
    dataset: Dataset,
) -> tuple[dict[str, float | None], Stop | None]:
    """Records an epoch of the member; returns its metrics, and why it stops, if it does.

    Args:
        member: after the epoch's last step.
        result: its evaluation.
        steps: its part of the epoch's plan.
        components: L2 norm of the last gradient by component.
        dataset: that the rows of the batches are of.
    """
    member.epoch += 1
    config = member.config
    last = member.epoch >= config.train.epochs
    facts = health.Epoch(
        epoch=member.epoch,
        step=member.steps,
        warm=member.steps >= config.schedule.warmup_steps,
        last=last,
        spread=result.spread,
        constant=result.constant,
        bound=result.bound,
        train_loss=_mean(steps.losses),
        zero_loss=_unit(config, result.zero_loss),
        val_loss=result.val_loss,
        sharpe=result.values["sharpe"],
        lr=float(steps.lr.max()),
        peak=config.optimizer.lr,
    )
    member.history = [*member.history[-2:], facts]
    if member.first_val_loss is None:
        member.first_val_loss = result.val_loss
    if loss_is_lowest(member, result):
        member.best_val_loss, member.best_epoch = result.val_loss, member.epoch
    if result.val_loss is not None and facts.warm:
        member.plateau.after_epoch(result.val_loss)
    values = {
        **result.values,
        "train_loss": facts.train_loss,
        "val_loss": result.val_loss,
        "lr": float(steps.lr[-1]),
        **{f"train_loss.{name}": _mean(part) for name, part in steps.parts.items()},
        "grad_norm": _mean(steps.norms),
        **{f"grad_norm.{n}": v if np.isfinite(v) else None for n, v in components.items()},
        "nan_rate": health.nan_rate(member.failed, len(steps.losses)),
    }
    stop = health.judge(member.history) or _ended(member, last)
    if stop is not None and stop.reason == "nan_explosion":
        stop = Stop(stop.reason, stop.evidence | _worst_batch(member, steps, dataset))
    return values, stop


def take_failure(
    member: Member,
    tensor: str,
    value: str,
    lr: float,
    batch: tuple[Dataset, np.ndarray],
    batches: int,
) -> Stop | None:
    """Counts a failed batch of the member; returns why it stops, if it does.

    Args:
        member: after the step.
        tensor: what was not finite, as in `health.Failure`.
        value: its value, as text.
        lr: of the step.
        batch: the dataset and the batch's rows in it.
        batches: of an epoch.
    """
    member.failed += 1
    member.in_a_row += 1
    dates, symbols = dates_and_symbols(*batch)
    failure = health.Failure(member.steps, tensor, value, lr, dates, symbols)
    return health.too_many_failures(member.failed, member.in_a_row, batches, failure)


def dates_and_symbols(
    dataset: Dataset, rows: np.ndarray
) -> tuple[tuple[str, str], tuple[str, ...]]:
    """Returns the first and the last date of some rows, and up to five of their symbols.

    Rows of −1 are absent symbols of whole days.
    """
    rows = rows[rows >= 0]
    stamps = dataset.timestamps[dataset.time[rows]]
    first, last = (str(stamp.astype("datetime64[s]")) for stamp in (stamps.min(), stamps.max()))
    symbols = np.unique(dataset.symbol[rows])[:SHOWN]
    return (first, last), tuple(dataset.symbols[i] for i in symbols)


def _worst_batch(member: Member, steps: MemberSteps, dataset: Dataset) -> dict[str, Any]:
    """Returns evidence of a divergence: the batch with the highest finite loss, if there is one."""
    losses = steps.losses.nan_to_num(nan=-torch.inf)
    i = int(losses.argmax())
    if not bool(torch.isfinite(losses[i])):
        return {}
    dates, symbols = dates_and_symbols(dataset, steps.rows[i].cpu().numpy())
    step = member.steps - len(losses) + i + 1
    return {"step": step, "dates": list(dates), "symbols": list(symbols)}


def _unit(config: TrialConfig, zero_loss: float) -> float:
    """Returns the size that a loss is held against to find that it diverges.

    That is the loss of predicting nothing. A weighted sum has other weights in other phases, and
    parts that are 0 for predicting nothing: it has to be large in itself, too.
    """
    return zero_loss if LOSSES[config.loss.name].by_epoch is None else max(zero_loss, 1.0)


def _ended(member: Member, last: bool) -> Stop | None:
    if last:
        return Stop("completed", {"epoch": member.epoch})
    waited = member.epoch - member.best_epoch
    if 0 < member.config.train.patience <= waited:
        evidence = {"epoch": member.epoch, "best_epoch": member.best_epoch, "waited": waited}
        return Stop("early_stopped", evidence)
    return None


def _mean(values: Tensor) -> float | None:
    each = values.cpu().numpy()
    good = each[np.isfinite(each)]
    return float(good.mean(dtype=np.float64)) if len(good) else None
