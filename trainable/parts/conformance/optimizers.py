"""What an optimizer must do: lower a quadratic, and go on from a saved state."""

from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from trainable.executors.solo import check_state
from trainable.optimizers import Optimizer, OptimizerConfig
from trainable.parts.conformance.finding import Check

LR, STEPS = 0.02, 60


@dataclass(frozen=True)
class OptimizerSubject:
    """An optimizer with a configuration."""

    optimizer: Optimizer
    config: OptimizerConfig

    def started(self, seed: int = 0, lr: float = LR) -> tuple[nn.Module, torch.optim.Optimizer]:
        """Returns a linear layer and its optimizer, with a learning rate for few steps."""
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            layer = nn.Linear(4, 4)
        config: Any = replace(self.config, lr=lr)  # pyright: ignore[reportArgumentType]
        return layer, self.optimizer.build(layer.named_parameters(), config)


def lowers_a_quadratic(subject: OptimizerSubject) -> str | None:
    """Checks that Σw² falls, and stays finite, and that all parameters take part."""
    layer, optimizer = subject.started()
    first = _value(layer)
    before = {name: parameter.detach().clone() for name, parameter in layer.named_parameters()}
    for _ in range(STEPS):
        _step(layer, optimizer)
    last = _value(layer)
    if not last < first:
        return (
            f"{STEPS} steps at lr={LR} change the sum of squares from {first:.4g} to {last:.4g}; "
            "it must fall"
        )
    for name, parameter in layer.named_parameters():
        if torch.equal(parameter, before[name]):
            return f"the {name} of a linear layer never moves: does it get all parameters?"
    return None


def takes_the_learning_rate(subject: OptimizerSubject) -> str | None:
    """Checks that rates follow the configuration's, and that one of 0 moves nothing."""
    layer, optimizer = subject.started()
    _, other = subject.started(lr=2 * LR)
    for group, twice in zip(optimizer.param_groups, other.param_groups, strict=True):
        if group["lr"] == twice["lr"]:
            return (
                f"its rate is {group['lr']:g} whatever config.lr is, so that optimizer/lr changes "
                "nothing; build it with lr=config.lr"
            )
    _step(layer, optimizer)
    before = [parameter.detach().clone() for parameter in layer.parameters()]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    _step(layer, optimizer)
    if not all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True)):
        return "weights move at a learning rate of 0: does it read group['lr'] at each step?"
    return None


def goes_on_from_its_state(subject: OptimizerSubject) -> str | None:
    """Checks that state saved and loaded takes the same next steps."""
    layer, optimizer = subject.started()
    for _ in range(3):
        _step(layer, optimizer)
    check_state(optimizer)
    other, fresh = subject.started(seed=1)
    other.load_state_dict(layer.state_dict())
    fresh.load_state_dict(deepcopy(optimizer.state_dict()))
    for _ in range(3):
        _step(layer, optimizer)
        _step(other, fresh)
    for name, parameter in layer.named_parameters():
        if not torch.allclose(parameter, other.get_parameter(name), atol=1e-7):
            return "with its state saved and loaded it goes on otherwise: keep all in `state`"
    return None


CHECKS: tuple[tuple[str, Check[OptimizerSubject]], ...] = (
    ("lowers a quadratic", lowers_a_quadratic),
    ("learning rate", takes_the_learning_rate),
    ("save and load", goes_on_from_its_state),
)


def _value(layer: nn.Module) -> float:
    return float(sum(parameter.detach().square().sum() for parameter in layer.parameters()))


def _step(layer: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad(set_to_none=True)
    losses = [parameter.square().sum() for parameter in layer.parameters()]
    torch.stack(losses).sum().backward()
    optimizer.step()
