"""A trial's configuration: what a search space may set; frozen, documented, checked beforehand."""

import math
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from numbers import Integral
from typing import Any, get_type_hints

import numpy as np

from trainable.cli.errors import UserError, unknown
from trainable.cli.options import Kind, convert, kind_of
from trainable.ranges import check_value


@dataclass(frozen=True)
class ModelConfig:
    """The network."""

    name: str = "mlp"
    hidden_dims: str = "64-32-16"  # widths of the hidden layers, joined by "-"
    dropout: float = 0.3  # share of activations dropped after each hidden layer, 0 … 0.9
    norm: bool = True  # LayerNorm at the input and after each linear layer


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer."""

    name: str = "adamw"
    lr: float = 5e-5  # peak learning rate
    weight_decay: float = 1e-3  # decoupled (sgd: coupled, as torch does)
    clip: float = 5.0  # limit of the gradient's L2 norm, per model
    beta1: float = 0.9
    beta2: float = 0.999
    momentum: float = 0.9  # sgd


@dataclass(frozen=True)
class ScheduleConfig:
    """The learning rate over optimizer steps."""

    name: str = "warmup"
    warmup_steps: int = 0  # linear rise from 0 to lr
    floor: float = 0.05  # cosine: share of lr at the end; plateau: smallest share
    factor: float = 0.5  # plateau: share kept at each reduction
    plateau_patience: int = 5  # plateau: epochs without a better validation loss


@dataclass(frozen=True)
class LossConfig:
    """The training loss, on targets divided by their training standard deviation."""

    name: str = "adaptive_huber"
    delta: float = 1.0  # huber: where it turns linear; adaptive_huber: its smallest value
    dead_zone: float = 0.0  # |return| up to this (decimal) is left out of the training loss


@dataclass(frozen=True)
class DataConfig:
    """What the network sees of the dataset."""

    window: int = 1  # rows of the symbol up to and with the present one
    features: str = "all"  # groups joined by "+": price+volume+volatility+calendar
    winsorise: float = 1.0  # percent cut at either end of each feature before scaling, 0 … 25
    scaler: str = "robust"  # robust (median, interquartile range) or standard (mean, deviation)


@dataclass(frozen=True)
class TrainConfig:
    """The course of training."""

    batch_size: int = 32
    patience: int = 25  # epochs without a better validation loss before stopping; 0: never
    seed: int = 0
    epochs: int = 50
    steps_per_epoch: int = 0  # 0: one pass over the training rows

    def batches(self, rows: int) -> int:
        """Optimizer steps of an epoch on so many training rows."""
        return self.steps_per_epoch or rows // self.batch_size


@dataclass(frozen=True)
class TrialConfig:
    """Everything that makes one trial; written and read as `GROUP/FIELD` names."""

    model: ModelConfig = field(default_factory=ModelConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)


GROUPS: dict[str, type] = get_type_hints(TrialConfig)
FIELDS: dict[str, Kind] = {
    f"{group}/{spec.name}": kind_of(get_type_hints(cls)[spec.name])
    for group, cls in GROUPS.items()
    for spec in fields(cls)
}
# What may differ between the members of one cohort; everything else is its shape.
PER_MEMBER = frozenset(
    ["model/dropout", "loss/delta", "loss/dead_zone", "train/patience", "train/seed"]
    + [f"optimizer/{name}" for name in ("lr", "weight_decay", "clip", "beta1", "beta2", "momentum")]
    + [f"schedule/{spec.name}" for spec in fields(ScheduleConfig)]
)


def from_params(params: Mapping[str, object]) -> TrialConfig:
    """Returns the configuration with these `GROUP/FIELD` values and every other default.

    Raises:
        UserError: for an unknown name ("did you mean") or a value of the wrong type.
    """
    parts: dict[str, dict[str, object]] = {group: {} for group in GROUPS}
    for key, value in params.items():
        typed = _typed(key, value)
        group, name = key.split("/")
        parts[group][name] = typed
    return TrialConfig(**{group: cls(**parts[group]) for group, cls in GROUPS.items()})


def to_params(config: TrialConfig) -> dict[str, Any]:
    """Returns every field as `GROUP/FIELD`; `from_params` makes the same configuration of it."""
    return {key: _value(config, key) for key in FIELDS}


def from_text(key: str, text: str) -> object:
    """Returns what was typed for parameter `key`, as its field's type (`fix.KEY=VALUE`)."""
    if key not in FIELDS:
        raise unknown("parameter", key, FIELDS)
    return convert(FIELDS[key], text, f"fix.{key}")


def validate(config: TrialConfig, names: Mapping[str, Iterable[str]]) -> None:
    """Raises `UserError` for a value out of its range or a name that does not exist.

    Args:
        config: the configuration.
        names: the allowed names by key (`model/name`, …), see `trainable.names.known_names`.
    """
    for key, value in to_params(config).items():
        check_value(key, value)
    for key, allowed in names.items():
        if _value(config, key) not in set(allowed):
            raise unknown(key, str(_value(config, key)), allowed)


def validate_against(
    config: TrialConfig,
    rows: int,
    window_limit: int,
    steps_per_epoch: int,
    groups: Iterable[str] | None = None,
) -> None:
    """Raises `UserError` where the configuration does not fit the data.

    Args:
        config: a valid configuration.
        rows: training rows.
        window_limit: the largest window that the data allow, in rows of one symbol.
        steps_per_epoch: optimizer steps of one epoch, resolved (not 0).
        groups: the feature groups that the data have; unset: not checked.
    """
    window, batch = config.data.window, config.train.batch_size
    if window > window_limit:
        raise UserError(
            f"data/window={window} is longer than the data allow; "
            f"fix.data/window={window_limit} or less works"
        )
    if batch > rows:
        raise UserError(
            f"train/batch_size={batch} is more than the {rows} training rows; "
            f"fix.train/batch_size={max(2, min(32, rows // 2))} works, or more data"
        )
    warmup, steps = warmup_steps(config), config.train.epochs * steps_per_epoch
    if 2 * warmup > steps:
        epochs = math.ceil(2 * warmup / steps_per_epoch)
        raise UserError(
            f"schedule/warmup_steps={warmup} is more than half of all {steps} steps "
            f"({config.train.epochs} epochs of {steps_per_epoch}); "
            f"fix.schedule/warmup_steps={steps // 2} or epochs={epochs} works"
        )
    if groups is not None and config.data.features != "all":
        available = set(groups)
        for part in config.data.features.split("+"):
            if part not in available:
                raise UserError(
                    f"data/features={config.data.features}: the data have no {part} features; "
                    f"fix.data/features={'+'.join(sorted(available))} works"
                )


def shape_key(config: TrialConfig) -> tuple[tuple[str, Any], ...]:
    """Returns what the members of one cohort share: every field that may not differ by member."""
    return tuple((key, value) for key, value in to_params(config).items() if key not in PER_MEMBER)


def warmup_steps(config: TrialConfig) -> int:
    """Returns the optimizer steps before the peak learning rate: none on a constant schedule."""
    return 0 if config.schedule.name == "constant" else config.schedule.warmup_steps


def _value(config: TrialConfig, key: str) -> Any:
    group, name = key.split("/")
    return getattr(getattr(config, group), name)


def _typed(key: str, value: object) -> object:
    if key not in FIELDS:
        raise unknown("parameter", str(key), FIELDS)
    base = FIELDS[key].base
    wrong = UserError(f"{key}={value!r}: expected {FIELDS[key].words()}")
    if base is bool or isinstance(value, bool):
        if base is not bool or not isinstance(value, bool):
            raise wrong
        return value
    if base is str:
        if not isinstance(value, str):
            raise wrong
        return value
    if base is int:
        if not isinstance(value, Integral):
            raise wrong
        return int(value)
    if not isinstance(value, int | float | np.integer | np.floating):
        raise wrong
    if not -sys.float_info.max <= value <= sys.float_info.max:
        raise UserError(f"{key}={value!r}: expected a finite number")
    return float(value)
