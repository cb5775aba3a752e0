"""What an optimizer is: torch's for one model, and the same update on [K, P] for a cohort."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from trainable.cli.errors import UserError
from trainable.hyperparameter import hyperparameter
from trainable.optimizers.layout import Layout, head_columns, is_head

Factors = dict[str, Tensor]
Update = Callable[[Tensor, Tensor, Sequence[Tensor], Factors], None]
Single = Callable[[Tensor, Tensor, Sequence[Tensor], Any, float, int], None]
NamedParameters = Iterable[tuple[str, Tensor]]

HEAD_LR = "head_lr"  # the factor that an update of heads is scaled by; the field's name too
LR_SHARE = "lr_share"  # in a group of parameters: its share of the learning rate


class OptimizerConfig(Protocol):
    """What the configuration of every optimizer has."""

    @property
    def name(self) -> str:
        """Its entry in the table."""
        ...

    @property
    def lr(self) -> float:
        """Peak learning rate, which the schedule scales."""
        ...

    @property
    def clip(self) -> float:
        """Limit of the gradient's L2 norm."""
        ...


@dataclass(frozen=True)
class Optimizer:
    """An entry of the table of optimizers.

    The batched form is `plan` with either `update` or `update_by_part`; an entry without these
    trains each of its trials alone. Every change of a weight must be proportional to the learning
    rate: `update_for` scales the change of a head.

    Attributes:
        config: the class of its configuration.
        build: (named parameters, configuration) → the torch optimizer of a single model, with the
            groups of `param_groups`.
        buffers: state tensors of the batched form, each [K, P]; without a batched form: how many
            numbers it keeps for a parameter, at least.
        alone: numbers that the torch optimizer keeps for a parameter, at least; None: `buffers`.
        plan: (configs, lr [S, K], applied [S, K]) → named factors [S, K] of an epoch's S steps;
            `applied` counts the updates of a member up to and with this step.
        update: (parameters [K, P], gradients [K, P], buffers, factors of this step as [K, 1]);
            changes parameters and buffers in place, and overwrites the gradients.
        single: the same for one member on a CPU in one pass over memory, where torch has it:
            (parameters [P], gradients [P], buffers, config, lr, applied).
        update_by_part: makes `update` for models whose tensors lie as the layout says, where it
            looks at whole tensors.
    """

    config: type[OptimizerConfig]
    build: Callable[[NamedParameters, Any], torch.optim.Optimizer]
    buffers: int = 0
    plan: Callable[[Sequence[Any], np.ndarray, np.ndarray], dict[str, np.ndarray]] | None = None
    update: Update | None = None
    single: Single | None = None
    update_by_part: Callable[[Layout], Update] | None = None
    alone: int | None = None

    @property
    def has_batched_form(self) -> bool:
        """Whether the trials of a cohort can train with it."""
        return self.plan is not None

    def factors(
        self, configs: Sequence[Any], lr: np.ndarray, applied: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Returns the factors of `plan`, and that of heads if a member's heads have another rate.

        Raises:
            ValueError: there is no batched form.
        """
        if self.plan is None:
            raise ValueError(f"{configs[0].name} has no batched form")
        factors = self.plan(configs, lr, applied)
        shares = np.array([head_share(config) for config in configs], dtype=np.float64)
        if (shares != 1).any():
            factors[HEAD_LR] = np.broadcast_to(shares, lr.shape)
        return factors

    def update_for(self, layout: Layout) -> Update:
        """Returns the update of models whose tensors lie as `layout` says.

        Where the factors say so, it scales the change of heads. Whoever's share is 1 gets the very
        bits of a plain update.

        Raises:
            ValueError: there is no batched form.
        """
        update = self.update if self.update_by_part is None else self.update_by_part(layout)
        if update is None:
            raise ValueError("this optimizer has no batched form")
        heads = head_columns(layout)

        def updated(p: Tensor, g: Tensor, buffers: Sequence[Tensor], factors: Factors) -> None:
            share = factors.get(HEAD_LR)
            if share is None:
                update(p, g, buffers, factors)
                return
            before = [p[:, columns].clone() for columns in heads]
            update(p, g, buffers, factors)
            for columns, old in zip(heads, before, strict=True):
                p[:, columns] = torch.lerp(old, p[:, columns], share)

        return updated


def head_share(config: OptimizerConfig) -> float:
    """Returns the share of the learning rate that heads get: `head_lr`, or 1 without such a field.

    All of ours have it.
    """
    return getattr(config, HEAD_LR, 1.0)


def check_heads(config: OptimizerConfig, names: Iterable[str]) -> None:
    """Raises `UserError` where heads should have another rate, and the model has no head.

    Args:
        config: of the optimizer.
        names: of the model's parameters.
    """
    share = head_share(config)
    if share != 1 and not any(map(is_head, names)):
        raise UserError(
            f"optimizer/{HEAD_LR}={share:g}: no component of the model has a name that "
            f"begins with head; fix.optimizer/{HEAD_LR}=1 works"
        )


def param_groups(parameters: NamedParameters, config: OptimizerConfig) -> list[dict[str, Any]]:
    """Returns the parameters in groups as torch takes them: heads apart if their rate differs.

    Raises:
        UserError: see `check_heads`.
    """
    named = list(parameters)
    check_heads(config, (name for name, _ in named))
    head_lr = head_share(config)
    if head_lr == 1:
        return [{"params": [p for _, p in named], "lr": config.lr, LR_SHARE: 1.0}]
    groups = []
    for share, of_heads in ((1.0, False), (head_lr, True)):
        members = [p for name, p in named if is_head(name) == of_heads]
        if members:
            groups.append({"params": members, "lr": config.lr * share, LR_SHARE: share})
    return groups


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Sets the learning rate of all groups, each to its share."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group.get(LR_SHARE, 1.0)


def lr_field(default: float = 5e-5) -> Any:
    """Returns the field `lr`, which every optimizer has; too high a rate is not an error."""
    return hyperparameter(default, "peak learning rate", above=0, works="1e-4", per_member=True)


def head_lr_field() -> Any:
    """Returns the field `head_lr`, which every optimizer has."""
    meaning = "share of lr for the components whose name begins with head"
    return hyperparameter(1.0, meaning, above=0, high=1000, works="1", per_member=True)


def clip_field() -> Any:
    """Returns the field `clip`, which every optimizer has."""
    meaning = "limit of the gradient's L2 norm, per model"
    return hyperparameter(5.0, meaning, above=0, works="1.0", per_member=True)


def weight_decay_field(default: float = 1e-3) -> Any:
    """Returns the field `weight_decay`."""
    meaning = "decoupled (sgd, gpro: added to the gradient; lamb: to the update)"
    return hyperparameter(default, meaning, low=0, high=100, works="1e-3", per_member=True)


def decay_rate_field(default: float, meaning: str) -> Any:
    """Returns the field of an exponential average: the share kept at each step."""
    return hyperparameter(default, meaning, low=0, high=0.99999, per_member=True)


def column(configs: Sequence[OptimizerConfig], name: str) -> np.ndarray:
    """Returns a field of K configurations, [K] float64."""
    return np.array([getattr(config, name) for config in configs], dtype=np.float64)


def spread_column(configs: Sequence[OptimizerConfig], name: str, lr: np.ndarray) -> np.ndarray:
    """Returns a field of K configurations for every step of `lr` [S, K]."""
    return np.broadcast_to(column(configs, name), lr.shape)
