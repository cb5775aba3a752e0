"""The executor of one model: an nn.Module, autograd and a torch optimizer, as one usually trains.

It is the reference for `cohort.py` and serves models and settings that have no batched form.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from trainable.cli.errors import look_up
from trainable.config import TrialConfig
from trainable.executors.base import StepResult, component
from trainable.executors.rng import drawing, draws, go_on
from trainable.losses import LOSSES, mean_loss, training_delta
from trainable.models import build_model
from trainable.optimizers import OPTIMIZERS


class SoloEngine:
    """One member; K = 1 in all shapes."""

    def __init__(
        self, configs: Sequence[TrialConfig], inputs: int, device: torch.device, dtype: torch.dtype
    ) -> None:
        (self.config,) = configs
        config = self.config
        self.model = build_model(config.model, inputs, config.train.seed).to(device, dtype)
        self.optimizer = look_up(OPTIMIZERS, config.optimizer.name, "optimizer").build(
            self.model.parameters(), config.optimizer
        )
        self.loss = look_up(LOSSES, config.loss.name, "loss")
        self.delta = torch.tensor([config.loss.delta], device=device, dtype=dtype)
        self.device = device
        self.draw = draws(config.train.seed, device)
        self._lr = np.zeros((0, 1))
        self._kept = self._state()

    def plan(self, lr: np.ndarray, done: int = 0) -> None:
        """Takes the learning rates [S, 1] of a plan's steps, of which `done` are taken already."""
        self._lr = lr

    def prepare(self, x: Tensor) -> Tensor:
        """Returns inputs [..., 1, B, W, F] as they are: the model takes them so."""
        return x

    def step(self, i: int, x: Tensor, y: Tensor, keep: Tensor | None) -> StepResult:
        """One optimizer step on x [1, B, W, F], y [1, B], keep [1, B]."""
        self.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = float(self._lr[i, 0])
        self.optimizer.zero_grad(set_to_none=True)
        with drawing(self.draw):
            prediction = self.model(x[0])
        kept = None if keep is None else keep[0]
        delta = training_delta(self.loss, prediction - y[0], kept, self.delta)
        loss = mean_loss(self.loss, prediction, y[0], kept, delta)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optimizer.clip)
        ok = bool(torch.isfinite(loss) & torch.isfinite(norm))
        if ok:
            self.optimizer.step()
        return StepResult(loss.detach().reshape(1), norm.detach().reshape(1), [] if ok else [0])

    def finite(self) -> list[str | None]:
        """Returns for each member the first parameter that is not finite, or None."""
        for name, parameter in self.model.named_parameters():
            if not bool(torch.isfinite(parameter).all()):
                return [name]
        return [None]

    def keep(self) -> None:
        """Remembers the present weights and optimizer state as good."""
        self._kept = self._state()

    def roll_back(self, members: Sequence[int]) -> None:
        """Returns to the state of the latest `keep`."""
        self._restore(self._kept)

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
    def predict(self, x: Tensor) -> Tensor:
        """Maps x [m, W, F] to predictions [1, m]."""
        self.model.eval()
        return self.model(x).unsqueeze(0)

    def weights(self, member: int) -> dict[str, Tensor]:
        """Returns a copy of the member's parameters by name."""
        return {name: p.detach().clone() for name, p in self.model.state_dict().items()}

    def state(self, member: int) -> dict[str, Tensor]:
        """Returns all that `load` needs to go on as if nothing had happened."""
        return {**self._state(), "rng": self.draw.get_state()}

    def load(self, member: int, state: dict[str, Tensor]) -> None:
        """Takes back what `state` returned."""
        self._restore({name: tensor for name, tensor in state.items() if name != "rng"})
        go_on(self.draw, state["rng"])
        self.keep()

    def admit(self, configs: Sequence[TrialConfig]) -> None:
        """Raises ValueError: nobody joins a lone member."""
        raise ValueError("nobody joins a lone member")

    def compact(self, keep: Sequence[int]) -> None:
        """Nothing to do: a lone member either trains or the training has ended."""

    def _state(self) -> dict[str, Tensor]:
        state = {f"weights.{n}": t.detach().clone() for n, t in self.model.state_dict().items()}
        for i, entry in self.optimizer.state_dict()["state"].items():
            for key, value in entry.items():
                state[f"optimizer.{i}.{key}"] = torch.as_tensor(value).detach().clone()
        return state

    def _restore(self, state: dict[str, Tensor]) -> None:
        self.model.load_state_dict(
            {n.removeprefix("weights."): t for n, t in state.items() if n.startswith("weights.")}
        )
        entries: dict[int, dict[str, Tensor]] = {}
        for name, tensor in state.items():
            if name.startswith("optimizer."):
                _, i, key = name.split(".", 2)
                entries.setdefault(int(i), {})[key] = tensor.clone()
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": entries, "param_groups": groups})
