"""What steps and epochs reveal about a training that cannot succeed; pure functions.

Losses and predictions are in units of the target's training standard deviation.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trainable.report import Stop

FAILED_SHARE = 0.1  # of an epoch's batches
FAILED_IN_A_ROW = 25
DIVERGED = 1000.0  # times the loss of predicting zero
SMALLEST_SPREAD = 1e-4  # of the target's standard deviation
BOUND_SHARE = 0.99
SMALLEST_RATE = 1e-9  # of the peak learning rate


@dataclass(frozen=True)
class Failure:
    """One batch whose loss, gradient or weights were not finite.

    Attributes:
        step: optimizer step, 1 for the first.
        tensor: `loss`, `gradient` or `weights`, with the component's name where one is known.
        value: what was found, as text (`nan`, `inf`).
        lr: learning rate of the step.
        dates: first and last date of the batch.
        symbols: of the batch, up to five.
    """

    step: int
    tensor: str
    value: str
    lr: float
    dates: tuple[str, str]
    symbols: tuple[str, ...]


@dataclass(frozen=True)
class Epoch:
    """What the health rules look at; one epoch of one member.

    Attributes:
        epoch: 1 for the first.
        step: optimizer steps so far.
        warm: the warm-up has ended.
        last: it is the last epoch.
        spread: standard deviation of the validation predictions over rows.
        constant: all validation predictions are the same number.
        bound: share of rows whose position is at one bound (fewer than five symbols; else 0).
        train_loss: mean over the epoch's good batches; None when there was none.
        zero_loss: the loss of predicting zero on the validation rows.
        val_loss: of the epoch; None when not finite.
        sharpe: None when undefined.
        lr: the highest learning rate of the epoch's steps.
        peak: the highest learning rate of the schedule.
    """

    epoch: int
    step: int
    warm: bool
    last: bool
    spread: float
    constant: bool
    bound: float
    train_loss: float | None
    zero_loss: float
    val_loss: float | None
    sharpe: float | None
    lr: float
    peak: float


def nan_rate(failed: int, batches: int) -> float:
    """Returns failed ÷ all batches of one epoch, 0 … 1."""
    return failed / batches if batches else 0.0


def too_many_failures(failed: int, in_a_row: int, batches: int, latest: Failure) -> Stop | None:
    """Stops on 25 failed batches in a row or more than a tenth of the epoch's batches."""
    if in_a_row < FAILED_IN_A_ROW and failed <= FAILED_SHARE * batches:
        return None
    return Stop(
        "nan_explosion",
        {
            "step": latest.step,
            "tensor": latest.tensor,
            "value": latest.value,
            "lr": latest.lr,
            "dates": list(latest.dates),
            "symbols": list(latest.symbols),
            "failed_batches": failed,
            "in_a_row": in_a_row,
            "batches": batches,
        },
    )


def diverged(now: Epoch) -> Stop | None:
    """Stops when the loss is a thousand times that of predicting nothing, or not finite.

    Rows without a label have no loss: a prediction that is not finite there is found by the spread.
    """
    # A loss that is 0 or less for predicting nothing, such as a Sharpe ratio's, has no such unit.
    limit = DIVERGED * now.zero_loss if now.zero_loss > 0 else math.inf
    for name, loss in (("train_loss", now.train_loss), ("val_loss", now.val_loss)):
        if loss is None or not math.isfinite(loss) or loss > limit:
            value = "not finite" if loss is None or not math.isfinite(loss) else loss
            evidence = {"epoch": now.epoch, "step": now.step, "tensor": name, "value": value}
            known = limit if math.isfinite(limit) else None
            return Stop("nan_explosion", {**evidence, "limit": known, "lr": now.lr})
    if not math.isfinite(now.spread):
        evidence = {"epoch": now.epoch, "step": now.step, "tensor": "prediction"}
        return Stop("nan_explosion", {**evidence, "value": "not finite", "lr": now.lr})
    return None


def stalled(now: Epoch) -> Stop | None:
    """Stops when no step of an epoch before the last one had a rate above zero."""
    if now.last or now.lr > SMALLEST_RATE * now.peak:
        return None
    evidence = {"epoch": now.epoch, "step": now.step, "lr": now.lr, "peak": now.peak}
    return Stop("lr_stalled", evidence)


def frozen(history: Sequence[Epoch]) -> Stop | None:
    """Stops when loss and Sharpe are bit-identical over three epochs: a defect, no plateau."""
    if len(history) < 3:
        return None
    last = history[-3:]
    if last[0].val_loss is None or len({(e.val_loss, e.sharpe) for e in last}) > 1:
        return None
    return Stop(
        "frozen_metric",
        {
            "epochs": [e.epoch for e in last],
            "val_loss": last[0].val_loss,
            "sharpe": last[0].sharpe,
        },
    )


def collapsed(history: Sequence[Epoch]) -> Stop | None:
    """Stops an exactly constant prediction at once; a vanishing spread or a bound after two epochs.

    A small spread alone is no collapse: on noise a constant is nearly the right answer.
    """
    now = history[-1]
    evidence = {
        "epoch": now.epoch,
        "step": now.step,
        "lr": now.lr,
        "prediction_std": now.spread,
        "at_bound": now.bound,
    }
    if now.constant:
        return Stop("collapsed", {**evidence, "rule": "the prediction is a constant"})
    last = [epoch for epoch in history[-2:] if epoch.warm]
    if len(last) < 2:
        return None
    if all(epoch.spread < SMALLEST_SPREAD for epoch in last):
        rule = f"spread below {SMALLEST_SPREAD} of the target's for two epochs"
        return Stop("collapsed", {**evidence, "rule": rule})
    if all(epoch.bound >= BOUND_SHARE for epoch in last):
        rule = "positions at one bound on 99 % of rows for two epochs"
        return Stop("collapsed", {**evidence, "rule": rule})
    return None


def judge(history: Sequence[Epoch]) -> Stop | None:
    """Returns the first rule that stops a member after its latest epoch, or None."""
    now = history[-1]
    return diverged(now) or stalled(now) or frozen(history) or collapsed(history)
