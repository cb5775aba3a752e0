"""Optimizers in two forms: torch's for one model, and the same update on [K, P] for a cohort."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.optim.adamw import adamw

from trainable.config import OptimizerConfig

EPS = 1e-8  # Adam's
Plan = dict[str, Tensor]
Single = Callable[[Tensor, Tensor, Sequence[Tensor], OptimizerConfig, float, int], None]


@dataclass(frozen=True)
class Optimizer:
    """One optimizer.

    Attributes:
        build: the torch optimizer of a single model.
        slots: state tensors of the batched form, each [K, P].
        plan: (configs, lr [S, K], applied [S, K]) → named factors [S, K] of an epoch's S steps;
            `applied` counts the updates of a member up to and with this step.
        update: (parameters [K, P], gradients [K, P], slots, factors of this step as [K, 1]);
            changes parameters and slots in place, and uses the gradients' memory as its own.
        single: the same for one member on a CPU in one pass over memory, where torch has it:
            (parameters [P], gradients [P], slots, config, lr, applied).
    """

    build: Callable[[Iterable[Tensor], OptimizerConfig], torch.optim.Optimizer]
    slots: int
    plan: Callable[[Sequence[OptimizerConfig], np.ndarray, np.ndarray], dict[str, np.ndarray]]
    update: Callable[[Tensor, Tensor, Sequence[Tensor], Plan], None]
    single: Single | None = None


def _each(configs: Sequence[OptimizerConfig], name: str) -> np.ndarray:
    return np.array([getattr(config, name) for config in configs], dtype=np.float64)


def _build_adamw(parameters: Iterable[Tensor], config: OptimizerConfig) -> torch.optim.Optimizer:
    return torch.optim.AdamW(
        parameters,
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        eps=EPS,
        weight_decay=config.weight_decay,
        fused=True,
    )


def _plan_adamw(
    configs: Sequence[OptimizerConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    beta1, beta2 = _each(configs, "beta1"), _each(configs, "beta2")
    root = np.sqrt(1 - beta2**applied)
    return {
        "decay": 1 - lr * _each(configs, "weight_decay"),
        "size": -lr * root / (1 - beta1**applied),
        "eps": EPS * root,
        "first": np.broadcast_to(1 - beta1, lr.shape),
        "second": np.broadcast_to(1 - beta2, lr.shape),
    }


def _update_adamw(p: Tensor, g: Tensor, slots: Sequence[Tensor], plan: Plan) -> None:
    """Loshchilov & Hutter (2019), algorithm 2, with decoupled weight decay.

    Both bias corrections are in the step's size, and that of v in its epsilon too.
    """
    m, v = slots
    m.lerp_(g, plan["first"])
    v.lerp_(torch.mul(g, g, out=g), plan["second"])
    divisor = torch.sqrt(v, out=g).add_(plan["eps"])
    p.mul_(plan["decay"]).addcmul_(torch.div(m, divisor, out=g), plan["size"])


def _single_adamw(
    p: Tensor, g: Tensor, slots: Sequence[Tensor], config: OptimizerConfig, lr: float, applied: int
) -> None:
    m, v = slots
    adamw(
        [p],
        [g],
        [m],
        [v],
        [],
        [torch.tensor(applied - 1.0)],
        fused=True,
        amsgrad=False,
        beta1=config.beta1,
        beta2=config.beta2,
        lr=lr,
        weight_decay=config.weight_decay,
        eps=EPS,
        maximize=False,
    )


def _build_lion(parameters: Iterable[Tensor], config: OptimizerConfig) -> torch.optim.Optimizer:
    from pytorch_optimizer import Lion  # slow to import, and rarely needed

    return Lion(
        list(parameters),
        lr=config.lr,
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        weight_decouple=True,
    )


def _plan_lion(
    configs: Sequence[OptimizerConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    return {
        "decay": 1 - lr * _each(configs, "weight_decay"),
        "size": -lr,
        "first": np.broadcast_to(1 - _each(configs, "beta1"), lr.shape),
        "second": np.broadcast_to(1 - _each(configs, "beta2"), lr.shape),
    }


def _update_lion(p: Tensor, g: Tensor, slots: Sequence[Tensor], plan: Plan) -> None:
    """Chen et al. (2023), algorithm 2."""
    (m,) = slots
    direction = m.lerp(g, plan["first"]).sign_()
    p.mul_(plan["decay"]).add_(direction.mul_(plan["size"]))
    m.lerp_(g, plan["second"])


def _build_sgd(parameters: Iterable[Tensor], config: OptimizerConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters, lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )


def _plan_sgd(
    configs: Sequence[OptimizerConfig], lr: np.ndarray, applied: np.ndarray
) -> dict[str, np.ndarray]:
    return {
        "size": -lr,
        "coupled": np.broadcast_to(_each(configs, "weight_decay"), lr.shape),
        "momentum": np.broadcast_to(_each(configs, "momentum"), lr.shape),
    }


def _update_sgd(p: Tensor, g: Tensor, slots: Sequence[Tensor], plan: Plan) -> None:
    """torch.optim.SGD: weight decay is coupled, added to the gradient before the momentum."""
    (buffer,) = slots
    buffer.mul_(plan["momentum"]).add_(g).add_(torch.mul(p, plan["coupled"], out=g))
    p.add_(torch.mul(buffer, plan["size"], out=g))


OPTIMIZERS: dict[str, Optimizer] = {
    "adamw": Optimizer(_build_adamw, 2, _plan_adamw, _update_adamw, _single_adamw),
    "lion": Optimizer(_build_lion, 1, _plan_lion, _update_lion),
    "sgd": Optimizer(_build_sgd, 1, _plan_sgd, _update_sgd),
}
