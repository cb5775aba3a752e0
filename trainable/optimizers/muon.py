"""Muon: Jordan et al. (2024): the momentum of a weight matrix, made orthogonal, is its update.

As its authors say, it is for the matrices of hidden layers; everything else (biases, norms, heads,
embeddings, tensors of other dimensions) is AdamW's. The update of a matrix [n, m] is scaled by
0.2 · √max(n, m), after Liu et al. (2025): then its root mean square is about that of AdamW's, and
both parts share `lr` and `weight_decay`.

`torch.optim.Muon` iterates in bfloat16, in which a cohort and a lone model would differ by a
percent after a step, and processors from each other. Here the iteration is done in the weights' own
precision, with the same coefficients.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim.adamw import adamw

from trainable.hyperparameter import entry_name
from trainable.optimizers.base import (
    Factors,
    NamedParameters,
    Update,
    clip_field,
    column,
    decay_rate_field,
    head_lr_field,
    lr_field,
    param_groups,
    spread_column,
    weight_decay_field,
)
from trainable.optimizers.layout import Layout, is_head

EPS = 1e-8  # of AdamW
LEAST_NORM = 1e-7  # that a momentum is divided by
ITERATIONS = 5
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315  # Newton–Schulz, Jordan et al. (2024)


@dataclass(frozen=True)
class MuonConfig:
    """Muon's momentum, and the rates of AdamW for what is no hidden matrix."""

    name: str = entry_name("muon")
    lr: float = lr_field(3e-4)
    head_lr: float = head_lr_field()
    weight_decay: float = weight_decay_field(1e-2)
    clip: float = clip_field()
    momentum: float = decay_rate_field(0.95, "share of the mean gradient of a matrix kept")
    beta1: float = decay_rate_field(0.9, "share of the mean gradient kept at each step")
    beta2: float = decay_rate_field(0.999, "share of the mean squared gradient kept at each step")


def is_hidden_matrix(name: str, shape: Sequence[int]) -> bool:
    """Says whether a parameter is Muon's; otherwise it is AdamW's.

    Muon's are the weights of linear layers. Scales, tables of positions and the like may have two
    dimensions, too, but are called otherwise.
    """
    linear = name.rpartition(".")[2].startswith("weight")
    return linear and len(shape) == 2 and not is_head(name) and "embed" not in name


def scale_of(shape: Sequence[int]) -> float:
    """Returns what gives the update of a matrix the root mean square of AdamW's."""
    return 0.2 * max(shape) ** 0.5


def orthogonal(x: Tensor) -> Tensor:
    """Returns matrices [K, n, m] with singular values near 1 and the singular vectors of `x`.

    Five steps of a quintic Newton–Schulz iteration, which leaves them between about 0.7 and 1.2.
    """
    tall = x.shape[1] > x.shape[2]
    wide = x.transpose(1, 2) if tall else x
    members, n, m = wide.shape
    if n == 1:  # by hand: a product of one row is summed in an order that depends on its address
        wide = wide / torch.linalg.vector_norm(wide, dim=2, keepdim=True).clamp_(min=LEAST_NORM)
        for _ in range(ITERATIONS):
            square = wide.square().sum(2, keepdim=True)
            wide = wide * (LINEAR + square * (CUBIC + QUINTIC * square))
        return wide.transpose(1, 2) if tall else wide
    now, new = _aligned(x, members, n, m), _aligned(x, members, n, m)
    gram, by_gram = _aligned(x, members, n, n), _aligned(x, members, n, n)
    now.copy_(wide)
    norm = torch.linalg.vector_norm(now, dim=(1, 2), keepdim=True)
    now.div_(norm.clamp_(min=LEAST_NORM))
    for _ in range(ITERATIONS):
        torch.bmm(now, now.transpose(1, 2), out=gram)
        torch.baddbmm(gram, gram, gram, beta=CUBIC, alpha=QUINTIC, out=by_gram)
        torch.baddbmm(now, by_gram, now, beta=LINEAR, out=new)
        now, new = new, now
    return now.transpose(1, 2) if tall else now


def _aligned(like: Tensor, members: int, n: int, m: int) -> Tensor:
    """Returns an empty tensor [K, n, m] whose members begin at multiples of 16 numbers."""
    padded = -(-n * m // 16) * 16
    return like.new_empty(members, padded)[:, : n * m].unflatten(1, (n, m))


class Muon(torch.optim.Optimizer):
    """Muon for one model; groups with `matrices` are its own, the others AdamW's."""

    def __init__(self, groups: list[dict[str, Any]], config: MuonConfig) -> None:
        self.config = config
        super().__init__(groups, {"lr": config.lr})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Takes one step."""
        for group in self.param_groups:
            moving = [p for p in group["params"] if p.grad is not None]
            if group["matrices"]:
                for p in moving:
                    self._orthogonal_step(p, group["lr"])
            elif moving:
                self._adamw_step(moving, group["lr"])

    def _orthogonal_step(self, p: Tensor, lr: float) -> None:
        assert p.grad is not None
        config, state = self.config, self.state[p]
        if not state:
            state["momentum"] = torch.zeros_like(p)
        mean = state["momentum"].lerp_(p.grad, 1 - config.momentum)
        ahead = p.grad.lerp(mean, config.momentum)  # Nesterov's
        p.mul_(1 - lr * config.weight_decay)
        p.sub_(orthogonal(ahead.unsqueeze(0)).squeeze(0), alpha=lr * scale_of(p.shape))

    def _adamw_step(self, moving: list[Tensor], lr: float) -> None:
        config = self.config
        for p in moving:
            state = self.state[p]
            if not state:
                state["step"] = torch.zeros((), dtype=torch.float32, device=p.device)
                state["exp_avg"], state["exp_avg_sq"] = torch.zeros_like(p), torch.zeros_like(p)
        adamw(
            moving,
            [p.grad for p in moving if p.grad is not None],
            [self.state[p]["exp_avg"] for p in moving],
            [self.state[p]["exp_avg_sq"] for p in moving],
            [],
            [self.state[p]["step"] for p in moving],
            fused=True,
            amsgrad=False,
            beta1=config.beta1,
            beta2=config.beta2,
            lr=lr,
            weight_decay=config.weight_decay,
            eps=EPS,
            maximize=False,
        )


def build(parameters: NamedParameters, config: MuonConfig) -> torch.optim.Optimizer:
    """Returns Muon, and AdamW for the rest, for one model."""
    named = list(parameters)
    own = {id(p) for name, p in named if is_hidden_matrix(name, p.shape)}
    groups = []
    for group in param_groups(named, config):
        for matrices in (True, False):
            members = [p for p in group["params"] if (id(p) in own) == matrices]
            if members:
                groups.append(group | {"params": members, "matrices": matrices})
    return Muon(groups, config)


def plan(
    configs: Sequence[MuonConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns the factors of the steps; see `Optimizer.plan`."""
    beta1, beta2 = column(configs, "beta1"), column(configs, "beta2")
    root = np.sqrt(1 - beta2**applied)
    return {
        "decay": 1 - lr * column(configs, "weight_decay"),
        "lr": lr,
        "size": -lr * root / (1 - beta1**applied),
        "eps": EPS * root,
        "first": np.broadcast_to(1 - beta1, lr.shape),
        "second": np.broadcast_to(1 - beta2, lr.shape),
        "momentum": spread_column(configs, "momentum", lr),
        "gradient": 1 - spread_column(configs, "momentum", lr),
    }


def update_by_part(layout: Layout) -> Update:
    """Returns the update of models whose tensors lie like this.

    AdamW's update is worked out for all columns, and replaced in those of hidden matrices. Their
    momentum lies where AdamW keeps the mean gradient.
    """
    matrices = [part for part in layout if is_hidden_matrix(part.name, part.shape)]
    own = torch.empty(0, dtype=torch.bool)

    def update(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
        nonlocal own
        m, v = buffers
        if len(own) != p.shape[1] or own.device != p.device:
            own = torch.zeros(p.shape[1], dtype=torch.bool)
            for part in matrices:
                own[part.columns] = True
            own = own.to(p.device)
        m.lerp_(g, torch.where(own, factors["gradient"], factors["first"]))
        steps = []
        for part in matrices:
            columns, momentum = part.columns, factors["momentum"]
            ahead = g[:, columns].lerp(m[:, columns], momentum).unflatten(1, part.shape)
            step = orthogonal(ahead).flatten(1)
            steps.append(step.mul_(factors["lr"] * -scale_of(part.shape)))
        v.lerp_(torch.mul(g, g, out=g), factors["second"])
        divisor = torch.sqrt(v, out=g).add_(factors["eps"])
        u = torch.div(m, divisor, out=g).mul_(factors["size"])
        for part, step in zip(matrices, steps, strict=True):
            u[:, part.columns] = step
        p.mul_(factors["decay"]).add_(u)

    return update
