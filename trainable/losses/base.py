"""What a training loss is: a function of a whole batch and its mask, with its slope.

Predictions are raw; targets are returns divided by their training standard deviation.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from trainable.hyperparameter import hyperparameter

Columns = Mapping[str, Tensor]  # a number of each member by its field, [..., 1]
Pair = tuple[Tensor, Tensor]  # a loss and its slope
Elementwise = Callable[[Tensor, Tensor, Columns], Pair]
LossValue = tuple[Tensor, Mapping[str, Tensor]]
Heads = tuple[tuple[str, int], ...]  # name and outputs of each head that a loss asks for
ONE_RETURN: Heads = (("return", 1),)
NO_PARTS: Mapping[str, Tensor] = MappingProxyType({})
Adapt = Callable[[Tensor, Tensor, Tensor | None, Columns], Columns]


class Targets(NamedTuple):
    """What a batch's predictions are compared with.

    Attributes:
        y: [..., B] returns of the horizon ÷ their training standard deviation; [..., B, H] where
            the loss has several horizons.
        mask: bool in the shape of `y`, the rows that count; None: all of them.
        rows: what is known of the rows besides; None: the loss needs none of it.
    """

    y: Tensor
    mask: Tensor | None = None
    rows: "RowFacts | None" = None

    def expand(self, members: int) -> "Targets":
        """Returns the targets of a lone member [1, …] for so many copies of it."""
        return self._each(lambda t: t.expand(members, *t.shape[1:]))

    def repeated(self, members: int) -> "Targets":
        """Returns targets without a dimension of members, [members, …]."""
        return self._each(lambda t: t.expand(members, *t.shape))

    def times(self, count: int) -> "Targets":
        """Returns the targets of each member so many times, [K·count, …]."""
        return self._each(lambda t: t.repeat_interleave(count, 0))

    def member(self, k: int) -> "Targets":
        """Returns the targets of member k, without the dimension of members."""
        return self._each(lambda t: t[k])

    def members(self, k: int) -> "Targets":
        """Returns the targets of member k as those of one member, [1, …]."""
        return self._each(lambda t: t[k : k + 1])

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Targets":
        rows, mask = self.rows, self.mask
        return Targets(
            change(self.y),
            None if mask is None else change(mask),
            None if rows is None else rows.each(change),
        )


class RowFacts(NamedTuple):
    """What losses of raw returns and of whole days need besides the targets.

    Attributes:
        scale: [H] float, decimal return of a target of 1, by horizon.
        returns: [..., B] decimal returns of one period, from t+lag to t+lag+1; 0 where undefined.
        symbols: N of a batch of whole days, whose rows are B = D·N, symbol by symbol within each
            of D consecutive days; 0 for batches of single rows.
        cost: of one unit turned over, decimal.
        horizons: [H], in bars, of the last axis of `Targets.y`.
        traded: place of `data.horizon` among them.
        there: [..., B] bool, rows that are decided on, with a label or without; None: those of
            `Targets.mask`.
        session: [..., D] int, the session in which a position of each day is held; −1: over a
            session's end, where nothing is held. None: positions are held over all days.
    """

    scale: Tensor
    returns: Tensor
    symbols: int
    cost: float
    horizons: tuple[int, ...] = (1,)
    traded: int = 0
    there: Tensor | None = None
    session: Tensor | None = None

    def each(self, change: Callable[[Tensor], Tensor]) -> "RowFacts":
        """Returns the facts with all that has rows or days changed."""
        several = self.returns, self.there, self.session
        returns, there, session = (None if one is None else change(one) for one in several)
        assert returns is not None
        return self._replace(returns=returns, there=there, session=session)


class LossResult(NamedTuple):
    """A loss over a batch.

    Attributes:
        loss: [...].
        slope: its derivative by the predictions, in their shape; 0 in
            evaluation without gradients, of losses that have no formula for it.
        parts: [...] by name, the parts of a weighted sum before their weights.
    """

    loss: Tensor
    slope: Tensor
    parts: Mapping[str, Tensor] = NO_PARTS


class LossConfig(Protocol):
    """What the configuration of every loss has."""

    @property
    def name(self) -> str:
        """Its entry in the table."""
        ...

    @property
    def dead_zone(self) -> float:
        """Size of a return, decimal, up to which its row is left out of the training loss."""
        ...


class OfBatch(Protocol):
    """A loss over a batch: a mean over its rows, or anything else that the whole batch decides."""

    def __call__(
        self, prediction: Tensor, targets: Targets, columns: Columns, training: bool
    ) -> LossResult:
        """Returns the loss and its derivative by the predictions.

        Args:
            prediction: [..., B], raw; [..., B, O] of a model with several outputs.
            targets: of the same rows.
            columns: the configurations' numbers by field, each [..., 1].
            training: in training, not in the evaluation that compares epochs.
        """
        ...


class Trained(NamedTuple):
    """On what a loss is trained, which may not fit it.

    Attributes:
        horizon: `data.horizon`, in bars, which is traded.
        symbols: in the data.
        epochs: of a whole training.
    """

    horizon: int
    symbols: int
    epochs: int


def one_return(config: LossConfig) -> Heads:
    """Returns the head of a loss of one return."""
    return ONE_RETURN


def no_parts(config: LossConfig) -> "tuple[Loss, ...]":
    """Returns the parts of a loss that is no sum."""
    return ()


def no_horizons(config: LossConfig) -> tuple[int, ...]:
    """Returns the horizons of a loss that has none of its own but that of the data."""
    return ()


def itself(config: LossConfig, prediction: Tensor, horizon: int) -> Tensor:
    """Returns predictions [..., B] of one return, which are traded as they are."""
    return prediction


def nothing_idle(config: LossConfig) -> frozenset[str]:
    """Returns the fields without effect of a loss that uses all of its own: none."""
    return frozenset()


def nothing_to_check(config: LossConfig, trained: Trained | None) -> None:
    """Allows every configuration whose fields are allowed one by one."""


@dataclass(frozen=True)
class Loss:
    """An entry of the table of losses.

    Attributes:
        config: the class of its configuration.
        of_batch: the loss and its slope.
        columns: the fields of its configuration that `of_batch` needs, which may differ by member.
        by_epoch: (configuration, epochs that ended) → further columns, which change with the
            epoch; a number past every epoch gives those of the evaluation that compares epochs.
            A name that only some members have is 0 for the others.
        heads: configuration → the heads that a model needs for this loss.
        batches: the order of batches that it needs, an entry of
            `training.batch_sampler.BATCH_SAMPLERS`; ask `batches_of`.
        facts: it needs `RowFacts`; ask `needs_facts`.
        parts: configuration → the losses that it is a sum of.
        horizons: configuration → the horizons H of its targets; none: that of the data alone.
        signal: (configuration, predictions [..., B] or [..., B, O], `data.horizon`) → [..., B]: the
            one number of each row that is traded and scored.
        check: (configuration, on what it is trained) → raises `UserError` for values that are
            allowed one by one, but not together or not there; before that is known, None.
        idle: configuration → its fields that change nothing beside its other values.
        orders: it compares the symbols of a bar with each other alone, whatever their mean and
            scale, so that `data/target` changes nothing; ask `only_orders`.
    """

    config: type[LossConfig]
    of_batch: OfBatch
    columns: tuple[str, ...] = ()
    by_epoch: Callable[[Any, int], dict[str, float]] | None = None
    heads: Callable[[Any], Heads] = one_return
    batches: str = "rows"
    facts: bool = False
    parts: Callable[[Any], "tuple[Loss, ...]"] = no_parts
    horizons: Callable[[Any], tuple[int, ...]] = no_horizons
    signal: Callable[[Any, Tensor, int], Tensor] = itself
    check: Callable[[Any, Trained | None], None] = nothing_to_check
    idle: Callable[[Any], frozenset[str]] = nothing_idle
    orders: bool = False

    def batches_of(self, config: LossConfig) -> str:
        """Returns the order of batches that a configuration needs: its own, or of one of its parts.

        A part that needs whole days makes the whole sum need them.
        """
        orders = [self.batches, *(part.batches for part in self.parts(config))]
        return next((order for order in orders if order != "rows"), "rows")

    def only_orders(self, config: LossConfig) -> bool:
        """Returns whether a configuration, or each of its parts, compares symbols alone."""
        parts = self.parts(config)
        return all(part.orders for part in parts) if parts else self.orders

    def needs_facts(self, config: LossConfig) -> bool:
        """Returns whether `of_batch` needs `RowFacts` for this configuration."""
        of_parts = any(part.facts for part in self.parts(config))
        return self.facts or of_parts or bool(self.horizons(config))

    def columns_of(
        self,
        configs: Sequence[LossConfig],
        device: torch.device,
        dtype: torch.dtype,
        epochs: Sequence[int] = (),
    ) -> dict[str, Tensor]:
        """Returns the columns of K members, each [K, 1].

        Args:
            configs: of the members.
            device: where they are needed.
            dtype: of the columns.
            epochs: that each member has ended, for `by_epoch`; none: 0 each.
        """
        values = {name: [getattr(config, name) for config in configs] for name in self.columns}
        if self.by_epoch is not None:
            ages = zip(configs, epochs or [0] * len(configs), strict=True)
            of_each = [self.by_epoch(config, epoch) for config, epoch in ages]
            names = dict.fromkeys(name for each in of_each for name in each)
            values |= {name: [each.get(name, 0.0) for each in of_each] for name in names}
        return {
            name: torch.tensor(column, device=device, dtype=dtype).unsqueeze(1)
            for name, column in values.items()
        }


def dead_zone_field() -> Any:
    """Returns the field that every loss has."""
    return hyperparameter(
        0.0,
        "|return| up to this (decimal) is left out of the training loss",
        low=0,
        high=1,
        works="0.001",
        per_member=True,
    )


def elementwise(both: Elementwise, adapt: Adapt | None = None) -> OfBatch:
    """Returns the mean over the rows that count of a loss of single rows; 0 where none counts.

    The slope is a formula, not a backward pass: the batched models need no autograd.

    Args:
        both: (prediction, target, columns) → value and slope of each row, [..., B].
        adapt: (prediction, target, mask, columns) → the columns that this batch trains with.
    """

    def of_batch(
        prediction: Tensor, targets: Targets, columns: Columns, training: bool
    ) -> LossResult:
        target, mask, _ = targets
        check_shapes(prediction, target)
        if training and adapt is not None:
            columns = adapt(prediction, target, mask, columns)
        value, slope = both(prediction, target, columns)
        if mask is None:
            rows = _number(value.shape[-1], value.device, value.dtype)
            return LossResult(value.sum(-1).div_(rows), slope / rows)
        count = mask.sum(-1, keepdim=True).clamp(min=1)
        value, slope = value.masked_fill(~mask, 0), slope.masked_fill(~mask, 0)
        return LossResult(value.sum(-1) / count.squeeze(-1), slope / count)

    return of_batch


def mean_of_rows(value: Tensor, slope: Tensor, mask: Tensor | None) -> LossResult:
    """Returns the mean over the rows that count of a loss of several outputs; 0 where none counts.

    Args:
        value: [..., B], of each row.
        slope: [..., B, O], its derivative by the outputs of the row.
        mask: [..., B] bool; None: all rows.
    """
    if mask is None:
        return LossResult(value.mean(-1), slope / value.shape[-1])
    count = mask.sum(-1, keepdim=True).clamp(min=1)
    value, slope = value.masked_fill(~mask, 0), slope.masked_fill(~mask.unsqueeze(-1), 0)
    return LossResult(value.sum(-1) / count.squeeze(-1), slope / count.unsqueeze(-1))


def facts_of(targets: Targets) -> RowFacts:
    """Returns what is known of the rows of a batch; raises ValueError where nothing is."""
    if targets.rows is None:
        raise ValueError("this loss needs RowFacts, and the batch has none")
    return targets.rows


def by_autograd(value: Callable[[Tensor, Targets, Columns, bool], LossValue]) -> OfBatch:
    """Returns a loss whose slope is found by autograd.

    Args:
        value: (prediction, targets, columns, training) → the loss [...] and its parts [...] by
            name; each member's loss depends on its own predictions alone.
    """

    def of_batch(
        prediction: Tensor, targets: Targets, columns: Columns, training: bool
    ) -> LossResult:
        if not (training or torch.is_grad_enabled()):  # an evaluation, which asks for no slope
            loss, parts = value(prediction, targets, columns, training)
            return LossResult(loss, torch.zeros_like(prediction), parts)
        with torch.inference_mode(False), torch.enable_grad():
            # Tensors of inference mode cannot be saved for a backward.
            own = prediction.detach().clone().requires_grad_()
            loss, parts = value(own, _outside(targets), _all_outside(columns), training)
            (slope,) = torch.autograd.grad(loss.sum(), own)
        return LossResult(loss.detach(), slope, {n: part.detach() for n, part in parts.items()})

    return of_batch


def _outside(targets: Targets) -> Targets:
    """Returns targets that autograd may save."""
    rows = targets.rows
    if rows is not None:
        rows = rows.each(Tensor.clone)._replace(scale=rows.scale.clone())
    mask = None if targets.mask is None else targets.mask.clone()
    return Targets(targets.y.clone(), mask, rows)


def _all_outside(columns: Columns) -> dict[str, Tensor]:
    return {name: column.clone() for name, column in columns.items()}


def check_shapes(prediction: Tensor, target: Tensor) -> None:
    """Raises ValueError unless both have one shape: (B,) against (B, 1) would broadcast to B×B."""
    if prediction.shape != target.shape:
        raise ValueError(
            f"predictions {tuple(prediction.shape)} and targets {tuple(target.shape)} must have "
            "the same shape: a loss never broadcasts them"
        )


@cache
def _number(value: int, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Returns a number as a tensor; torch would make one of it at each step."""
    with torch.inference_mode(False):  # it is also used where gradients are asked for
        return torch.tensor(value, device=device, dtype=dtype)
