"""A trial's configuration, as `GROUP/FIELD` names and as an object; frozen, checked beforehand.

The groups `model`, `optimizer`, `schedule` and `loss` are tables: `GROUP/name` chooses an entry,
and the entry's own configuration class has the other fields. A field is written once, in its class.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from numbers import Integral
from typing import Any, Protocol

import numpy as np

from trainable.cli.errors import UserError, look_up, unknown
from trainable.cli.options import convert
from trainable.hyperparameter import Hyperparameter, hyperparameter, hyperparameters
from trainable.losses import LOSSES, LossConfig
from trainable.losses.huber import AdaptiveHuberConfig
from trainable.models import MODELS, InputShape, ModelConfig
from trainable.models.mlp import MlpConfig
from trainable.optimizers import OPTIMIZERS, OptimizerConfig
from trainable.optimizers.adamw import AdamwConfig
from trainable.schedules import SCHEDULES, ScheduleConfig
from trainable.schedules.warmup import WarmupConfig

# A group that parts of one's own bring joins them.
FEATURE_GROUPS = ["price", "volume", "volatility", "calendar", "extra", "ready"]


def _check_features(key: str, value: str) -> None:
    """Raises `UserError` unless the text names feature groups, each once."""
    if value == "all":
        return
    parts = value.split("+")
    for part in parts:
        if part not in FEATURE_GROUPS:
            raise unknown(f"feature group in {key}={value}:", part, ("all", *FEATURE_GROUPS))
    if len(set(parts)) < len(parts):
        raise UserError(f"{key}={value} names a group twice; name each once")


@dataclass(frozen=True)
class DataConfig:
    """What the network sees of the dataset."""

    window: int = hyperparameter(1, "rows of the symbol up to and with the present one", low=1)
    features: str = hyperparameter(
        "all",
        'groups joined by "+": price+volume+volatility+calendar',
        check=_check_features,
    )
    winsorise: float = hyperparameter(
        1.0, "percent cut at either end of each feature before scaling", low=0, high=25
    )
    scaler: str = hyperparameter(
        "robust",
        "robust (median, interquartile range) or standard (mean, deviation)",
        choices=("robust", "standard"),
    )
    target: str = hyperparameter(
        "scaled",
        "what is learned: the return scaled by its training deviation, or z_by_day, how many "
        "deviations it is from the mean of all symbols at its bar",
        choices=("scaled", "z_by_day"),
    )


PRECISIONS = ("float32", "tf32", "bf16")


def _check_precision(key: str, value: str) -> None:
    """Raises `UserError` for a precision in which training breaks, with the reason."""
    if value in ("fp16", "float16", "16-mixed"):
        raise UserError(
            f"{key}={value} is refused: float16 needs a loss scaler, and one step that it skips "
            f"may lose every later batch; fix.{key}=bf16 works without one"
        )
    if value not in PRECISIONS:
        raise unknown(key, value, PRECISIONS)


@dataclass(frozen=True)
class TrainConfig:
    """How long and in what batches the network trains."""

    batch_size: int = hyperparameter(32, "training rows of an optimizer step", low=2)
    patience: int = hyperparameter(
        25,
        "epochs without a better validation loss before stopping; 0: never",
        low=0,
        per_member=True,
    )
    seed: int = hyperparameter(
        0, "of first weights, batches and dropout", low=0, high=2**63 - 1, per_member=True
    )
    epochs: int = hyperparameter(50, "evaluations of a trial that is never stopped", low=1)
    steps_per_epoch: int = hyperparameter(
        0, "optimizer steps; 0: one pass over the training rows", low=0
    )

    precision: str = hyperparameter(
        "float32",
        "of products in training: float32, tf32 (on a GPU that has it) or bf16 (autocast; loss, "
        "weights and predictions stay float32)",
        check=_check_precision,
    )
    reset_below: float = hyperparameter(
        0.0,
        "a head is perturbed when predictions spread less than this share of the target's "
        "deviation, smoothed, three epochs in a row; 0: never",
        low=0,
        high=1,
        per_member=True,
    )
    accumulate: int = hyperparameter(
        1, "parts of a batch whose gradients are summed up one after another: less memory", low=1
    )
    feature_noise: float = hyperparameter(
        0.0,
        "standard deviation of noise on the scaled features, in training only",
        low=0,
        high=10,
        works="0.05",
        per_member=True,
    )
    time_mask: float = hyperparameter(
        0.0,
        "share of a window's earlier rows set to 0, in training only",
        low=0,
        high=0.9,
        works="0.1",
        per_member=True,
    )

    def batches(self, rows: int) -> int:
        """Optimizer steps of an epoch on so many training rows."""
        return self.steps_per_epoch or rows // self.batch_size


@dataclass(frozen=True)
class TrialConfig:
    """Everything that makes one trial.

    Attributes:
        model: of the entry of `MODELS` that its `name` says; likewise the next three.
        optimizer: of `OPTIMIZERS`.
        schedule: of `SCHEDULES`.
        loss: of `LOSSES`.
        data: what the network sees.
        train: how it trains.
        unused: parameters of other entries of these tables, by `GROUP/FIELD`. They have no effect:
            a space may suggest `optimizer/momentum` whatever the optimizer.
    """

    model: ModelConfig = field(default_factory=MlpConfig)
    optimizer: OptimizerConfig = field(default_factory=AdamwConfig)
    schedule: ScheduleConfig = field(default_factory=WarmupConfig)
    loss: LossConfig = field(default_factory=AdaptiveHuberConfig)
    data: DataConfig = field(default_factory=DataConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    unused: tuple[tuple[str, Any], ...] = ()


class _Entry(Protocol):
    @property
    def config(self) -> type: ...


TABLES: dict[str, Mapping[str, _Entry]] = {
    "model": MODELS,
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
}
GROUPS = (*TABLES, "data", "train")


def _classes(group: str) -> list[type]:
    """Returns the configuration classes of a group: one for each entry of a table."""
    if group in TABLES:
        return [entry.config for entry in TABLES[group].values()]
    return [type(getattr(TrialConfig(), group))]


def fields_of(classes: Mapping[str, list[type]]) -> dict[str, Hyperparameter]:
    """Returns the fields of all classes of each group, as `GROUP/FIELD`.

    Raises:
        TypeError: two classes of a group disagree on the values of a field, or on whether the
            members of a cohort may differ in it: a name in a space means one thing.
    """
    found: dict[str, Hyperparameter] = {}
    for group, several in classes.items():
        for cls in several:
            for name, known in hyperparameters(cls).items():
                same = found.setdefault(f"{group}/{name}", known)
                if same.plain and not known.plain and same.kind == known.kind:
                    found[f"{group}/{name}"] = known
                elif known.kind != same.kind or (known != same and not known.plain):
                    raise TypeError(f"{cls.__name__}.{name} is another {group}/{name} than before")
    return found


FIELDS: dict[str, Hyperparameter] = {}
"""All fields of all entries of the tables, by `GROUP/FIELD`."""
PER_MEMBER: set[str] = set()
"""What may differ between the members of one cohort; everything else is its shape."""


def follow_tables() -> None:
    """Takes over into `FIELDS` and `PER_MEMBER` what the tables hold now.

    Raises:
        TypeError: as `fields_of`; nothing is changed then.
    """
    found = fields_of({group: _classes(group) for group in GROUPS})
    FIELDS.clear()
    FIELDS.update(found)
    PER_MEMBER.clear()
    PER_MEMBER.update(key for key, known in found.items() if known.per_member)


follow_tables()
DEFAULT = TrialConfig()


def from_params(params: Mapping[str, object]) -> TrialConfig:
    """Returns the configuration with these `GROUP/FIELD` values and every other default.

    Raises:
        UserError: for an unknown name ("did you mean") or a value of the wrong type.
    """
    given: dict[str, dict[str, object]] = {group: {} for group in GROUPS}
    for key, value in params.items():
        typed = _typed(key, value)
        group, name = key.split("/")
        given[group][name] = typed
    parts, unused = {}, []
    for group, values in given.items():
        cls: Any = type(getattr(DEFAULT, group))
        if group in TABLES and "name" in values:
            key = f"{group}/name"
            cls = look_up(TABLES[group], str(values.pop("name")), key).config
        own = _keys(group, cls)
        parts[group] = cls(**{name: value for name, value in values.items() if name in own})
        unused += [(f"{group}/{name}", v) for name, v in values.items() if name not in own]
    return TrialConfig(**parts, unused=tuple(sorted(unused)))


def input_shape(config: TrialConfig, groups: Sequence[str]) -> InputShape:
    """Returns the shape of a configuration's model on features of these groups, one each."""
    heads = LOSSES[config.loss.name].heads(config.loss)
    return InputShape(config.data.window, len(groups), heads, tuple(groups))


def batch_order(config: TrialConfig) -> str:
    """Returns the order of a configuration's batches: `days` if its loss or model asks so."""
    orders = LOSSES[config.loss.name].batches_of(config.loss), MODELS[config.model.name].batches
    return "days" if "days" in orders else "rows"


def without_effect(config: TrialConfig) -> set[str]:
    """Returns the fields that change nothing: of other entries, or beside the other values."""
    found = {key for key, _ in config.unused}
    found |= {f"model/{name}" for name in MODELS[config.model.name].idle(config.model)}
    found |= {f"loss/{name}" for name in LOSSES[config.loss.name].idle(config.loss)}
    schedule = SCHEDULES[config.schedule.name]
    found |= {f"schedule/{name}" for name in schedule.idle(config.schedule)}
    if LOSSES[config.loss.name].only_orders(config.loss):
        found.add("data/target")
    if config.data.window == 1:
        found.add("train/time_mask")  # it hides earlier rows
    return found


def is_field_name(name: str) -> bool:
    """Says whether a name is that of a field, `GROUP/FIELD`, and not of a helper of a space."""
    return "/" in name


def config_of(params: Mapping[str, object]) -> TrialConfig:
    """Returns the configuration of a trial's parameters, of which helpers have no part.

    A helper is what a space suggests under a name without `/`, such as `depth`, to make fields of.

    Raises:
        UserError: as for `from_params`.
    """
    return from_params({name: value for name, value in params.items() if is_field_name(str(name))})


def to_params(config: TrialConfig) -> dict[str, Any]:
    """Returns the values as `GROUP/FIELD`; `from_params` makes the same configuration of them."""
    own = {
        key: getattr(part, name)
        for group in GROUPS
        for part in [getattr(config, group)]
        for name, key in _keys(group, type(part)).items()
    }
    return {**own, **dict(config.unused)}


@cache
def _keys(group: str, cls: Any) -> Mapping[str, str]:
    """Returns the `GROUP/FIELD` of each field of a configuration class."""
    return {spec.name: f"{group}/{spec.name}" for spec in fields(cls)}


def from_text(key: str, text: str) -> object:
    """Returns what was typed for parameter `key`, as its field's type (`fix.KEY=VALUE`)."""
    if key not in FIELDS:
        raise unknown("parameter", key, FIELDS)
    return convert(FIELDS[key].kind, text, f"fix.{key}")


def shape_key(config: TrialConfig) -> tuple[tuple[str, Any], ...]:
    """Returns what the members of one cohort share: every field that may not differ by member."""
    unused = dict(config.unused)
    return tuple(
        (key, value)
        for key, value in to_params(config).items()
        if key not in PER_MEMBER and key not in unused
    )


def _typed(key: str, value: object) -> object:
    """Returns a value as its field's type; raises `UserError` where it is of another."""
    if key not in FIELDS:
        raise unknown("parameter", str(key), FIELDS)
    kind = FIELDS[key].kind
    base = kind.base
    wrong = UserError(f"{key}={value!r}: expected {kind.words()}")
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
