"""The executor of many models of one shape: one program on [K, …] tensors.

The program is written by hand where a model has such a form, and made by `vmap` where it has none.
A member's arithmetic and random numbers are its own, so that its result does not depend on its
neighbours. A lone member is padded to two, because torch takes other kernels for a batch of one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable.cli.errors import look_up
from trainable.config import TrialConfig
from trainable.executors.accumulation import split
from trainable.executors.augmentation import augmented, changes_inputs
from trainable.executors.base import StepResult, component, norms, perturb
from trainable.executors.dropout import Dropout
from trainable.executors.precision import products
from trainable.executors.rng import set_state
from trainable.executors.training_loss import training_loss
from trainable.executors.vmapped.model import VmappedModel
from trainable.losses import LOSSES
from trainable.losses.base import LossResult, Targets
from trainable.models import MODELS, InputShape, build_model
from trainable.models.base import BatchedModel, Days
from trainable.models.batched.layers import padded_size
from trainable.optimizers import OPTIMIZERS
from trainable.optimizers.base import HEAD_LR
from trainable.optimizers.layout import layout_of


def by_hand(config: TrialConfig, shape: InputShape) -> bool:
    """Returns whether a model's form for many members is written by hand, for what is asked."""
    entry = look_up(MODELS, config.model.name, "model")
    plain = shape.outputs == 1 and config.train.precision != "bf16" and entry.batches == "rows"
    return entry.batched is not None and plain


def _batched_form(config: TrialConfig, shape: InputShape) -> BatchedModel:
    batched = look_up(MODELS, config.model.name, "model").batched
    if batched is None:
        raise ValueError(f"{config.model.name} has no batched form")
    return batched(config.model, shape)


class BatchedExecutor:
    """K members of one shape.

    A lone member has a copy of itself beside it. Without `padded` it has none, and its results
    differ from those in a cohort in their last bits.

    Args:
        configs: of the members.
        shape: of an input.
        device: where they train.
        dtype: of the weights.
        padded: as above.
        vmapped: the program is made by `vmap`, also where one is written by hand.
    """

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        shape: InputShape,
        device: torch.device,
        dtype: torch.dtype,
        padded: bool = True,
        vmapped: bool = False,
    ) -> None:
        self.least = 2 if padded else 1
        first = configs[0]
        self.vmapped: VmappedModel | None = None
        if vmapped or not by_hand(first, shape):
            bf16 = first.train.precision == "bf16"
            self.vmapped = VmappedModel(first.model, shape, bf16)
        self.model: BatchedModel = self.vmapped or _batched_form(first, shape)
        self.products = products(first.train.precision, device)
        self.parts_of_a_batch = first.train.accumulate
        self.loss = look_up(LOSSES, first.loss.name, "loss")
        self.separate = MODELS[first.model.name].separate_losses
        self.optimizer = look_up(OPTIMIZERS, first.optimizer.name, "optimizer")
        self.update = self.optimizer.update_for(layout_of(self.model.views, self.model.size))
        self.device, self.dtype = device, dtype
        self.shape = shape
        self.dropout = Dropout(self.model.widths, device, dtype, self.least)
        self.configs: list[TrialConfig] = []
        self.augments = False
        none = torch.zeros(0, padded_size(self.model.size), device=device, dtype=dtype)
        self.p, self.grads = none, none
        self.buffers = [none] * self.optimizer.buffers
        self.snapshots = [none] * (1 + self.optimizer.buffers)
        self.skipped = self.snapshot_applied = np.zeros(0)
        self.taken = 0
        self.add(configs)

    def plan(
        self,
        lr: np.ndarray,
        done: int = 0,
        epochs: Sequence[int] = (),
        ahead: Sequence[int] = (),
    ) -> None:
        """Sets the learning rates [S, K] of an epoch's S steps, the first `done` already taken.

        Members whose epochs begin at other steps are planned from one beginning to the next:
        `ahead` are the steps of its epoch that each has behind it then; none: 0 each.
        """
        self.lr = lr
        self.offset = self.taken - done
        behind = ahead or [0] * len(self.configs)
        self.dropout.ahead = [steps * self.parts_of_a_batch for steps in behind]
        self._factors()
        if self.loss.by_epoch:
            self.epochs = list(epochs) or [0] * len(self.configs)
            self._columns()

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., K, B, W, F] as `step` takes them.

        A form by hand takes [..., K, B, D], normalised; where training changes the inputs, only
        after that.
        """
        return x if self.augments else self._inputs(x)

    def step(self, i: int, x: Tensor, targets: Targets, days: Days | None = None) -> StepResult:
        """Takes step i of the plan on prepared x [K, B, …] and targets [K, B]."""
        with torch.inference_mode(self.vmapped is None), self.products:
            return self._step(i, x, targets)

    def _step(self, i: int, x: Tensor, targets: Targets) -> StepResult:
        members = len(self.configs)
        if self.augments:
            settings = [config.train for config in self.configs]
            x = self._inputs(augmented(x, settings, self.dropout.generators))
        if members < self.least:
            x, targets = x.expand(2, *x.shape[1:]), targets.expand(2)
        if self.parts_of_a_batch == 1:
            loss, slope, parts = self._forward(i, x, targets)
            self.model.backward(self.layers, self.grads, slope)
        else:
            loss, parts = self._accumulate(i, x, targets)
        norm = torch.linalg.vector_norm(self.grads, dim=1)
        share = torch.div(self.clip, norm.unsqueeze(1) + self.tiny).clamp_(max=1.0)
        torch.mul(self.grads, share, out=self.clipped)
        self._update(i)
        self.taken += 1
        loss, norm = loss[:members], norm[:members]
        failed: list[int] = []
        if not math.isfinite(float((loss + norm).sum())):  # or a sum that overflowed
            bad = ~(torch.isfinite(loss) & torch.isfinite(norm))
            failed = bad.nonzero().flatten().tolist()
        return StepResult(loss, norm, failed, {n: part[:members] for n, part in parts.items()})

    def _forward(self, draw: int, x: Tensor, targets: Targets) -> LossResult:
        """Returns the loss of a taped forward, with dropout's factors of this draw."""
        dropped = self.dropout.factors(draw, x.shape[1])
        prediction = self.model.forward(self.layers, x, dropped, tape=True)
        return training_loss(self.loss, prediction, targets, self.columns, self.separate)

    def _accumulate(self, i: int, x: Tensor, targets: Targets) -> tuple[Tensor, dict[str, Tensor]]:
        """Sums up the gradients of the parts of a batch; returns its loss and the loss's parts."""
        count = self.parts_of_a_batch
        self.grads.zero_()
        one = torch.zeros_like(self.grads)
        losses: list[Tensor] = []
        parts: dict[str, Tensor] = {}
        for j, (rows, part, share) in enumerate(split(targets, count)):
            loss, slope, named = self._forward(i * count + j, x[:, rows], part)
            self.model.backward(self.layers, one, slope * share.view(-1, *[1] * (slope.dim() - 1)))
            self.grads.add_(one)
            losses.append(loss * share)
            for name, value in named.items():
                parts[name] = parts.get(name, 0) + value * share
        return torch.stack(losses).sum(0), parts

    def _inputs(self, x: Tensor) -> Tensor:
        """Returns inputs [..., W, F] as the model takes them."""
        if self.vmapped is not None:
            return x
        with torch.inference_mode():
            return self.model.prepare(x.flatten(-2))

    def finite(self) -> list[str | None]:
        """Returns for each member the first parameter that is not finite, or None."""
        members = len(self.configs)
        if math.isfinite(float(self.p.sum())):  # a sum may overflow: then look at each
            return [None] * members
        bad: list[str | None] = []
        for k in range(members):
            names = [n for n, part in self.parts.items() if not bool(torch.isfinite(part[k]).all())]
            bad.append(names[0] if names else None)
        return bad

    def snapshot(self) -> None:
        """Copies all weights and optimizer states, for `restore`."""
        for tensor, good in zip((self.p, *self.buffers), self.snapshots, strict=True):
            good.copy_(tensor)
        self.snapshot_applied = self.taken - self.skipped

    def restore(self, members: Sequence[int]) -> None:
        """Sets these members back to the latest `snapshot`."""
        rows = self._rows(members)
        for tensor, good in zip((self.p, *self.buffers), self.snapshots, strict=True):
            tensor[rows] = good[rows]
        for k in members:
            self.skipped[k] = self.taken - self.snapshot_applied[k]
            for name, table in self._table([k]).items():
                self.factors[name][:, self._rows([k])] = table

    @torch.no_grad()
    def perturb_head(self, member: int, size: float) -> None:
        """Adds noise to the member's head."""
        own = {name: part[member] for name, part in self.parts.items()}
        perturb(own, size, self.dropout.generators[member])
        rows = self._rows([member])
        self.p[rows] = self.p[member].clone()  # a lone one has a copy of itself beside it
        self.snapshots[0][rows] = self.p[rows]

    def bad_gradient(self, member: int) -> str:
        """Names the first component whose latest gradient is not finite."""
        for name, part in self.grad_parts.items():
            if not bool(torch.isfinite(part[member]).all()):
                return component(name)
        return "all"

    def component_norms(self) -> list[dict[str, float]]:
        """Returns the L2 norms of each member's latest gradient by component, before clipping."""
        return norms(self.grad_parts)[: len(self.configs)]

    def predict(self, x: Tensor, days: Days | None = None) -> Tensor:
        """Maps x [m, W, F] to predictions [K, m], without dropout."""
        return self.predict_with(self.layers, len(self.p), x)[: len(self.configs)]

    @torch.no_grad()
    def predict_with(self, layers: Any, members: int, x: Tensor) -> Tensor:
        """Maps x [m, W, F] to predictions [K, m] of the layers of so many members."""
        inputs = self._inputs(x)
        return self.model.forward(layers, inputs.expand(members, *inputs.shape))

    def of(self, members: Sequence[int]) -> "MembersNow":
        """Returns some of the members as they are now, to predict with them alone."""
        rows = list(members) * (self.least if len(members) < self.least else 1)
        layers = self.model.layers(self.model.views(self.p[rows]))
        return MembersNow(self, layers, len(rows), len(members))

    def weights(self, member: int) -> dict[str, Tensor]:
        """Returns a copy of a member's parameters by name."""
        weights = {name: part[member].clone() for name, part in self.parts.items()}
        if self.vmapped is not None:
            weights |= {name: weights[first].clone() for name, first in self.vmapped.tied.items()}
            weights |= {name: buffer.clone() for name, buffer in self.vmapped.fixed.items()}
        return weights

    def state(self, member: int) -> dict[str, Tensor]:
        """Returns all that `load` needs for a member to continue exactly."""
        applied = self.taken - int(self.skipped[member])
        state = {"p": self.p[member].clone(), "applied": torch.tensor(applied)}
        state |= {f"slot.{i}": buffer[member].clone() for i, buffer in enumerate(self.buffers)}
        return {**state, "rng": self.dropout.generators[member].get_state()}

    def load(self, member: int, state: dict[str, Tensor]) -> None:
        """Sets a member to what `state` returned."""
        rows = self._rows([member])
        self.p[rows] = state["p"].to(self.device)
        for i, buffer in enumerate(self.buffers):
            buffer[rows] = state[f"slot.{i}"].to(self.device)
        self.skipped[member] = self.taken - int(state["applied"])
        set_state(self.dropout.generators[member], state["rng"])
        for tensor, good in zip((self.p, *self.buffers), self.snapshots, strict=True):
            good[rows] = tensor[rows]
        self.snapshot_applied[member] = int(state["applied"])

    def compact(self, keep: Sequence[int]) -> None:
        """Keeps only these members, in this order."""
        rows = list(keep)
        snapshots = [good[rows] for good in self.snapshots]
        self.dropout.compact(rows)
        self.configs = [self.configs[k] for k in rows]
        self.epochs = [self.epochs[k] for k in rows]
        self.skipped, self.snapshot_applied = self.skipped[rows], self.snapshot_applied[rows]
        self._members(
            self.p[rows], [buffer[rows] for buffer in self.buffers], self.grads[rows], snapshots
        )
        self.lr = self.lr[:, rows]
        all_rows = rows * self.least if len(rows) < self.least else rows
        self.factors = {name: table[:, all_rows] for name, table in self.factors.items()}
        self.by_step = {}

    def add(self, configs: Sequence[TrialConfig]) -> None:
        """Adds members behind those there; only between two plans."""
        starts = []
        for config in configs:
            model = build_model(config.model, self.shape, config.train.seed)
            starts.append(torch.cat([p.detach().flatten() for p in model.parameters()]))
            shares: Sequence[float] = (config.model.dropout,) * len(self.model.widths)
            if self.vmapped is not None:
                shares = self.vmapped.shares(model)
            self.dropout.add(config.train.seed, shares)
        p = torch.zeros(len(starts), self.p.shape[1], device=self.device, dtype=self.dtype)
        p[:, : self.model.size] = torch.stack(starts)
        none = torch.zeros_like(p)
        before = len(self.configs)
        buffers = [torch.cat([buffer[:before], none]) for buffer in self.buffers]
        snapshots = [
            torch.cat([good[:before], new])
            for good, new in zip(self.snapshots, (p, *[none] * len(buffers)), strict=True)
        ]
        self.configs = [*self.configs, *configs]
        self.epochs = [0] * len(self.configs)  # until `plan` says how many each has ended
        self.skipped = np.append(self.skipped, np.full(len(configs), self.taken))
        self.snapshot_applied = np.append(self.snapshot_applied, np.zeros(len(configs)))
        grads = torch.cat([self.grads[:before], none])
        self._members(torch.cat([self.p[:before], p]), buffers, grads, snapshots)
        self.plan(np.zeros((0, len(self.configs))))

    def _update(self, i: int) -> None:
        """Updates the weights with the clipped gradients of step i."""
        alone = len(self.p) == 1 and self.p.device.type == "cpu"
        if alone and self.optimizer.single is not None and HEAD_LR not in self.factors:
            applied = max(1, self.taken + 1 - int(self.skipped[0]))
            buffers = [buffer[0] for buffer in self.buffers]
            config, lr = self.configs[0].optimizer, float(self.lr[i, 0])
            self.optimizer.single(self.p[0], self.clipped[0], buffers, config, lr, applied)
            return
        if not self.by_step:
            self.by_step = {name: table.unbind() for name, table in self.factors.items()}
        factors = {name: steps[i] for name, steps in self.by_step.items()}
        self.update(self.p, self.clipped, self.buffers, factors)

    def _rows(self, members: Sequence[int]) -> list[int]:
        """Returns the rows of these members in the tensors; a lone member has both."""
        return list(range(self.least)) if len(self.configs) < self.least else list(members)

    def _members(
        self, p: Tensor, buffers: list[Tensor], grads: Tensor, snapshots: list[Tensor]
    ) -> None:
        """Lays out the tensors of all members, each [members, P and a few zeros]."""
        rows = [0] * self.least if len(p) < self.least else list(range(len(p)))
        self.p, self.grads, *rest = (t[rows].contiguous() for t in (p, grads, *buffers, *snapshots))
        self.buffers, self.snapshots = rest[: len(buffers)], rest[len(buffers) :]
        self.clipped = torch.empty_like(self.grads)
        self.parts, self.grad_parts = self.model.views(self.p), self.model.views(self.grads)
        self.layers = self.model.layers(self.parts)

        def column(values: list[float]) -> Tensor:
            spread = [values[k] for k in rows]
            return torch.tensor(spread, device=self.device, dtype=self.dtype).unsqueeze(1)

        self.clip = column([c.optimizer.clip for c in self.configs])
        self.tiny = column([1e-6] * len(self.configs))
        self.augments = any(changes_inputs(config.train) for config in self.configs)
        self._columns()

    def _columns(self) -> None:
        """Makes the columns of the loss, [rows, 1] each."""
        lone = len(self.configs) < self.least
        rows = [0] * self.least if lone else list(range(len(self.configs)))
        configs = [self.configs[k].loss for k in rows]
        epochs = [self.epochs[k] for k in rows]
        self.columns = self.loss.columns_of(configs, self.device, self.dtype, epochs)

    def _factors(self) -> None:
        """Makes the optimizer's factors of the planned steps, each [S, rows, 1]."""
        members = list(range(len(self.configs)))
        rows = self._rows(members)
        self.factors = {
            name: table.expand(-1, len(rows), -1).contiguous()
            for name, table in self._table(members).items()
        }
        self.by_step: dict[
            str, tuple[Tensor, ...]
        ] = {}  # views of them by step, made when first needed

    def _table(self, members: list[int]) -> dict[str, Tensor]:
        """Returns the optimizer's factors of some members, each [S, members, 1]."""
        steps = np.arange(1, len(self.lr) + 1)[:, None] + self.offset
        applied = np.maximum(1, steps - self.skipped[members])
        configs = [self.configs[k].optimizer for k in members]
        plan = self.optimizer.factors(configs, self.lr[:, members], applied)
        return {
            name: torch.tensor(table, device=self.device, dtype=self.dtype).unsqueeze(2)
            for name, table in plan.items()
        }


@dataclass(frozen=True)
class MembersNow:
    """Some members of an executor, until its next step.

    Attributes:
        executor: of them.
        layers: theirs.
        rows: of the tensors in these.
        count: members; a lone one has two rows.
    """

    executor: BatchedExecutor
    layers: Any
    rows: int
    count: int

    def predict(self, x: Tensor, days: Days | None = None) -> Tensor:
        """Maps x [m, W, F] to predictions [count, m], as the executor does."""
        return self.executor.predict_with(self.layers, self.rows, x)[: self.count]
