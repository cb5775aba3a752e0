"""The executor of one model: an nn.Module, autograd and a torch optimizer, as one usually trains.

It is the reference for `batched.py`, and trains models that have no batched form.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from trainable.cli.errors import UserError, look_up
from trainable.config import TrialConfig
from trainable.executors.accumulation import split
from trainable.executors.augmentation import augmented, changes_inputs
from trainable.executors.base import StepResult, component, perturb
from trainable.executors.precision import products
from trainable.executors.rng import drawing_from, generator_of, set_state
from trainable.executors.training_loss import training_loss
from trainable.losses import LOSSES
from trainable.losses.base import Targets
from trainable.models import MODELS, InputShape, build_model
from trainable.models.base import Days
from trainable.optimizers import OPTIMIZERS
from trainable.optimizers.base import set_lr


class SoloExecutor:
    """One member; K = 1 in all shapes."""

    def __init__(
        self,
        configs: Sequence[TrialConfig],
        shape: InputShape,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        (self.config,) = configs
        config = self.config
        self.model = build_model(config.model, shape, config.train.seed).to(device, dtype)
        self.optimizer = look_up(OPTIMIZERS, config.optimizer.name, "optimizer").build(
            self.model.named_parameters(), config.optimizer
        )
        self._first = [_numbers(group) for group in self.optimizer.param_groups]
        self.loss = look_up(LOSSES, config.loss.name, "loss")
        self.separate = MODELS[config.model.name].separate_losses
        self.device, self.dtype = device, dtype
        self._columns([0])
        self.generator = generator_of(config.train.seed, device)
        self.products = products(config.train.precision, device)
        self._lr = np.zeros((0, 1))
        self._snapshot = self._state()

    def plan(self, lr: np.ndarray, done: int = 0, epochs: Sequence[int] = ()) -> None:
        """Sets the learning rates [S, 1] of an epoch's S steps, the first `done` already taken."""
        self._lr = lr
        self._columns(list(epochs) or [0])

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., 1, B, W, F] as they are."""
        return x

    def step(self, i: int, x: Tensor, targets: Targets, days: Days | None = None) -> StepResult:
        """Takes step i of the plan on x [1, B, W, F] and targets [1, B]."""
        self.model.train()
        set_lr(self.optimizer, float(self._lr[i, 0]))
        self.optimizer.zero_grad(set_to_none=True)
        if changes_inputs(self.config.train):
            x = augmented(x, [self.config.train], [self.generator])
        losses: list[Tensor] = []
        parts: dict[str, Tensor] = {}
        with self.products:
            for rows, part, share in split(targets, self.config.train.accumulate):
                loss, named = self._backward(x[0, rows], part, days, share)
                losses.append(loss * share)
                for name, value in named.items():
                    parts[name] = parts.get(name, 0) + value * share
        loss = torch.stack(losses).sum()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip)
        ok = bool(torch.isfinite(loss) & torch.isfinite(norm))
        if ok:
            self.optimizer.step()
        return StepResult(loss.reshape(1), norm.detach().reshape(1), [] if ok else [0], parts)

    def _backward(
        self, x: Tensor, targets: Targets, days: Days | None, share: Tensor
    ) -> tuple[Tensor, Mapping[str, Tensor]]:
        """Adds the gradients of a part of the batch; returns its loss and the loss's parts.

        Args:
            x: [b, W, F], rows of the part.
            targets: [1, b], of these rows.
            days: of a batch of whole days.
            share: [1], of the part in the batch.
        """
        bf16 = self.config.train.precision == "bf16"
        autocast = torch.autocast(self.device.type, torch.bfloat16, enabled=bf16)
        with drawing_from(self.generator), autocast:
            prediction = self._model(x, None if days is None else days.member(0))
        prediction = prediction.to(x.dtype)
        one = prediction.detach().unsqueeze(0)
        result = training_loss(self.loss, one, targets, self.columns, self.separate)
        prediction.backward(result.slope[0] * share)
        return result.loss, result.parts

    def finite(self) -> list[str | None]:
        """Returns for each member the first parameter that is not finite, or None."""
        for name, parameter in self.model.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                return [name]
        return [None]

    def snapshot(self) -> None:
        """Copies the weights and the optimizer state, for `restore`."""
        self._snapshot = self._state()

    def restore(self, members: Sequence[int]) -> None:
        """Sets the member back to the latest `snapshot`."""
        self._set(self._snapshot)

    @torch.no_grad()
    def perturb_head(self, member: int, size: float) -> None:
        """Adds noise to the head."""
        perturb(dict(self.model.named_parameters()), size, self.generator)
        self.snapshot()

    def bad_gradient(self, member: int) -> str:
        """Names the first component whose gradient is not finite."""
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None and not bool(torch.isfinite(parameter.grad).all()):
                return component(name)
        return "all"

    def component_norms(self) -> list[dict[str, float]]:
        """Returns the L2 norm of each named component's latest gradient, before clipping."""
        squares: dict[str, float] = {}
        for name, parameter in self.model.named_parameters():
            if parameter.grad is not None:
                part = component(name)
                squares[part] = squares.get(part, 0.0) + float(parameter.grad.square().sum())
        return [{name: square**0.5 for name, square in squares.items()}]

    @torch.no_grad()
    def predict(self, x: Tensor, days: Days | None = None) -> Tensor:
        """Maps x [m, W, F] to predictions [1, m], or [1, m, O]."""
        self.model.eval()
        return self._model(x, days).unsqueeze(0)

    def weights(self, member: int) -> dict[str, Tensor]:
        """Returns a copy of the member's parameters by name."""
        return {name: p.detach().clone() for name, p in self.model.state_dict().items()}

    def state(self, member: int) -> dict[str, Tensor]:
        """Returns all that `load` needs for the member to continue exactly."""
        return {**self._state(), "rng": self.generator.get_state()}

    def load(self, member: int, state: dict[str, Tensor]) -> None:
        """Sets the member to what `state` returned."""
        self._set({name: tensor for name, tensor in state.items() if name != "rng"})
        set_state(self.generator, state["rng"])
        self.snapshot()

    def add(self, configs: Sequence[TrialConfig]) -> None:
        """Raises ValueError: this executor has one member."""
        raise ValueError("no member can join a lone one")

    def compact(self, keep: Sequence[int]) -> None:
        """Does nothing: there is one member while training goes on."""

    def _model(self, x: Tensor, days: Days | None) -> Tensor:
        """Returns the model's answers; only one over whole days is told of them."""
        return self.model(x) if days is None else self.model(x, days)

    def _columns(self, epochs: Sequence[int]) -> None:
        """Makes the columns of the loss, [1, 1] each."""
        self.columns = self.loss.columns_of([self.config.loss], self.device, self.dtype, epochs)

    def _state(self) -> dict[str, Tensor]:
        state = {f"weights.{n}": t.detach().clone() for n, t in self.model.state_dict().items()}
        saved = self.optimizer.state_dict()
        check_state(self.optimizer)
        for i, entry in saved["state"].items():
            for key, value in entry.items():
                if isinstance(value, Tensor):
                    state[f"optimizer.{i}.{key}"] = value.detach().clone()
                else:
                    state[f"number.{i}.{key}"] = _tensor_of(value)
        for i, group in enumerate(saved["param_groups"]):
            for key, value in _numbers(group).items():
                if value != self._first[i].get(key):  # it counts up, so it is no setting
                    state[f"group.{i}.{key}"] = _tensor_of(value)
        return state

    def _set(self, state: dict[str, Tensor]) -> None:
        self.model.load_state_dict(
            {n.removeprefix("weights."): t for n, t in state.items() if n.startswith("weights.")}
        )
        entries: dict[int, dict[str, Any]] = {}
        groups = self.optimizer.state_dict()["param_groups"]
        for group, first in zip(groups, self._first, strict=True):
            for key in _numbers(group).keys() - first.keys():
                del group[key]
            group.update(first)
        for name, tensor in state.items():
            kind, _, rest = name.partition(".")
            if kind in ("optimizer", "number"):
                i, key = rest.split(".", 1)
                value = tensor.clone() if kind == "optimizer" else tensor.item()
                entries.setdefault(int(i), {})[key] = value
            elif kind == "group":
                i, key = rest.split(".", 1)
                groups[int(i)][key] = tensor.item()
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})


def check_state(optimizer: torch.optim.Optimizer) -> None:
    """Raises `UserError` where an optimizer keeps something that cannot be stored."""
    for entry in optimizer.state_dict()["state"].values():
        for key, value in entry.items():
            if not isinstance(value, Tensor | bool | int | float):
                raise UserError(
                    f"the optimizer keeps a {type(value).__name__} as state {key!r}; a search "
                    "stores tensors and numbers: keep those, or leave the key out"
                )


def _numbers(group: Mapping[str, Any]) -> dict[str, float]:
    """Returns the numbers of a group of parameters but its rate, which the schedule sets."""
    return {key: n for key, n in group.items() if isinstance(n, int | float) and key != "lr"}


def _tensor_of(number: float) -> Tensor:
    """Returns a number as a tensor that has all of its digits."""
    return torch.tensor(number, dtype=torch.float64 if isinstance(number, float) else None)
