"""From what a person wrote in a table to an entry of ours.

An entry of our own type is taken as it is. The short forms are a class of networks, and functions:
a loss of each row, what builds an optimizer, a schedule, a metric.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields, is_dataclass, replace
from types import SimpleNamespace
from typing import Any, cast, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from trainable.cli.errors import UserError, located, unknown
from trainable.cli.text import counted
from trainable.data.features.bars import FIELDS, Bars
from trainable.data.features.table import KINDS_OF_BARS, Feature
from trainable.losses import Loss
from trainable.losses.base import Columns, Elementwise, Pair, elementwise
from trainable.metrics.further import Metric
from trainable.models import InputShape, Model
from trainable.optimizers import Optimizer
from trainable.optimizers.base import LR_SHARE
from trainable.parts.configurations import Empty, arguments, completed, config_class
from trainable.parts.faults import told
from trainable.parts.tables import Table
from trainable.schedules import Schedule

# Of a loss of each row: what is not a setting of its formula.
NOT_COLUMNS = ("name",)
# How names of arguments begin that are a prediction, and those that are not.
ANSWERS = ("pred", "y_pred", "y_hat", "yhat", "output", "forecast")
TRUTHS = ("target", "label", "y_true", "actual", "truth")


def entry_of(table: Table, name: str, value: Any, file: str) -> Any:
    """Returns an entry of a table, with a configuration that is complete.

    Args:
        table: that it belongs to.
        name: of the entry.
        value: what the person wrote.
        file: that it stands in, as tracebacks call it.

    Raises:
        UserError: it is none of what the table takes.
    """
    where = f"{file}: {table.name}[{name!r}]"
    if isinstance(value, table.kind):
        entry: Any = value
    elif table.name in _SHORT and callable(value) and not isinstance(value, nn.Module):
        if isinstance(value, type) and table.name != "MODELS":
            raise UserError(f"{where} is the class {value.__name__}; it must be {table.short}")
        entry = _SHORT[table.name](value, file, where)
    else:
        what = f"of type {type(value).__name__}"
        if isinstance(value, nn.Module) and table.name == "MODELS":
            what = f"a network that is built already; write {type(value).__name__}, its class"
        entry_type = f"{table.kind.__module__}.{table.kind.__name__}"
        raise UserError(f"{where} is {what}; it must be {table.short}, or {entry_type}(…)")
    if table.group is not None:
        entry = replace(entry, config=completed(entry.config, table.group, name, where))
    if table.name == "MODELS":
        return _checked_model(entry, file, where)
    return _CHECKED[table.name](entry, where) if table.name in _CHECKED else entry


def _model(value: Callable[..., Any], file: str, where: str) -> Model:
    """Returns the entry of a class, or of a function, that builds a network."""
    if isinstance(value, type) and not issubclass(value, nn.Module):
        raise UserError(f"{where}: {value.__name__} is no network; derive it from torch.nn.Module")
    needed = arguments(value, where)
    count, called = len(needed), getattr(value, "__name__", "it")
    if count not in (1, 2):
        raise UserError(
            f"{where}: {called} takes {count} arguments without a default; it must take "
            "(config, shape), or (shape) where it has no settings"
        )
    if _is_shape(needed[0]) and count == 2:
        raise UserError(f"{where}: the configuration comes first: write (config: …, shape)")
    alone = needed[0].name == "config" or is_dataclass(needed[0].annotation)
    if count == 1 and alone and not _is_shape(needed[0]):
        raise UserError(
            f"{where}: {called} takes {needed[0].name} alone; write (config: …, shape): a network "
            "is built for windows of shape.window rows of shape.features features"
        )
    config: type = Empty
    if count == 2:
        constructor = value.__init__ if isinstance(value, type) else value
        config = config_class(constructor, 0, value, where)
        if config is Empty:
            raise UserError(
                f"{where}: which class are its settings? Annotate the first argument: "
                f"(config: {called if called.isidentifier() else 'My'}Config, shape)"
            )

    def build(config: Any, shape: InputShape) -> nn.Module:
        return value(shape) if count == 1 else value(config, shape)

    return Model(config, build)


def _is_shape(argument: inspect.Parameter) -> bool:
    return argument.name == "shape" or argument.annotation in (InputShape, "InputShape")


def _loss(value: Callable[..., Any], file: str, where: str) -> Loss:
    """Returns the entry of a function that returns the loss of each row."""
    needed = arguments(value, where)
    count, names = len(needed), [each.name for each in needed]
    if count not in (2, 3):
        raise UserError(
            f"{where}: it takes {count} arguments without a default; a loss of each row takes "
            "(prediction, target), or (prediction, target, config)"
        )
    _refuse_swapped(names, where)
    config = config_class(value, 2, value, where) if count == 3 else Empty
    columns = () if config is Empty else _numbers(config, where)
    return Loss(cast(Any, config), elementwise(_by_autograd(value, count == 3, where)), columns)


def _refuse_swapped(names: Sequence[str], where: str) -> None:
    """Raises `UserError` where the names of arguments say that the prediction is not the first."""
    first, second = names[:2]
    if second.lower().startswith(ANSWERS) or first.lower().startswith(TRUTHS):
        raise UserError(f"{where}: it takes ({first}, {second}); the prediction comes first")


def _numbers(config: type, where: str) -> tuple[str, ...]:
    """Returns the settings of a loss's formula, all of them numbers."""
    hints = get_type_hints(config)
    own = [spec.name for spec in fields(cast(Any, config)) if spec.name not in NOT_COLUMNS]
    for name in own:
        if hints[name] not in (int, float):
            raise UserError(
                f"{where}: {config.__name__}.{name} must be a number: the members of a cohort "
                "compute their losses together"
            )
    return tuple(own)


def _by_autograd(function: Callable[..., Tensor], settings: bool, where: str) -> Elementwise:
    """Returns value and slope of each row of a loss that gives its value alone."""

    def both(prediction: Tensor, target: Tensor, columns: Columns) -> Pair:
        # A cohort computes in inference mode, whose tensors autograd does not take.
        with torch.inference_mode(False), torch.enable_grad():
            p = prediction.detach().clone().requires_grad_(True)
            y = target.detach().clone()
            numbers = {name: column.clone() for name, column in columns.items()}
            more = (SimpleNamespace(**numbers),) if settings else ()
            value = function(p, y, *more)
            if not isinstance(value, Tensor) or value.shape != p.shape:
                found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
                raise UserError(
                    f"{where}: the loss is {found} for predictions {tuple(p.shape)}; it must "
                    f"return a number for each row, {tuple(p.shape)}, which are averaged afterwards"
                )
            if not value.requires_grad:
                raise UserError(
                    f"{where}: the loss does not follow from the predictions by torch's functions "
                    "(numpy, detach and no_grad cut it off), so it has no slope"
                )
            (slope,) = torch.autograd.grad(value.sum(), p)
        return value.detach(), slope

    return both


def _checked_model(entry: Model, file: str, where: str) -> Model:
    """Returns a model whose errors name the person's line, and that builds a float32 network."""

    def build(config: Any, shape: InputShape) -> nn.Module:
        try:
            network: Any = entry.build(config, shape)
        except (UserError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise told(error) or located(file, None, error) from error
        if not isinstance(network, nn.Module):
            kind = type(network).__name__
            raise UserError(f"{where}: it builds a {kind}; it must return an nn.Module")
        lazy = [name for name, p in network.named_parameters() if is_lazy(p)]
        if lazy:
            raise UserError(
                f"{where}: {lazy[0]} is of a lazy layer, whose shape is unknown before a batch; "
                "build it from shape.window and shape.features"
            )
        return network.float()  # as windows are, in training and for prediction

    return replace(entry, build=build)


def _checked_schedule(entry: Schedule, where: str) -> Schedule:
    """Returns a schedule whose answers are of the right shape."""

    def share(config: Any, steps: np.ndarray, total: int) -> np.ndarray:
        return _numbers_of(entry.share(config, steps, total), len(steps), "step", where)

    return replace(entry, share=share)


def _checked_feature(entry: Feature, where: str) -> Feature:
    """Returns a feature whose answers are of the right shape, and that can be computed."""
    if entry.bars not in KINDS_OF_BARS:
        raise UserError(f"{where}: {unknown('bars', str(entry.bars), KINDS_OF_BARS)}")
    needs = (entry.needs,) if isinstance(entry.needs, str) else tuple(entry.needs)
    for need in needs:
        if need not in FIELDS:
            raise UserError(f"{where}: {unknown('field in its needs', str(need), FIELDS)}")
    if isinstance(entry.warmup, bool) or not isinstance(entry.warmup, int) or entry.warmup < 0:
        raise UserError(f"{where}: its warm-up is {entry.warmup!r}; it must be a number of bars")

    def function(bars: Bars) -> np.ndarray:
        values = entry.function(bars)
        if not np.size(values) and len(bars.close):
            raise UserError(
                f"{where}: it returns no numbers for {len(bars.close)} bars; of the fields besides "
                "close it is given those that it names, as in needs=('volume',)"
            )
        return _numbers_of(values, len(bars.close), "bar", where)

    return replace(entry, function=function, needs=needs)


def _checked_metric(entry: Metric, where: str) -> Metric:
    """Returns a metric whose answer is a number or None."""

    def function(predictions: np.ndarray, labels: np.ndarray, bars: np.ndarray) -> float | None:
        value = entry.function(predictions, labels, bars)
        if value is not None and not isinstance(value, int | float | np.number):
            raise UserError(
                f"{where}: it returns a {type(value).__name__}; a number or None is wanted"
            )
        return value

    return replace(entry, function=function)


def _numbers_of(values: Any, count: int, unit: str, where: str) -> np.ndarray:
    """Returns what a part answers as numbers [count]; raises `UserError` where it is none."""
    try:
        numbers = np.asarray(values, dtype=np.float64)
        found = str(numbers.shape)
    except (TypeError, ValueError):
        numbers, found = np.empty(0), f"a {type(values).__name__} that holds no numbers"
    if numbers.shape != (count,):
        raise UserError(
            f"{where}: it returns {found} for {counted(count, unit)}; it must return ({count},), a "
            "number for each"
        )
    return numbers


def _optimizer(value: Callable[..., Any], file: str, where: str) -> Optimizer:
    """Returns the entry of a function that builds a torch optimizer."""
    if len(arguments(value, where)) != 2:
        raise UserError(f"{where}: it must take (parameters, config) and return an optimizer")

    def build(parameters: Iterable[tuple[str, Tensor]], config: Any) -> torch.optim.Optimizer:
        optimizer = value([parameter for _, parameter in parameters], config)  # not all take names
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise UserError(f"{where}: it returned {optimizer!r:.40}, not a torch optimizer")
        for group in optimizer.param_groups:  # a group may have a rate of its own
            group.setdefault(LR_SHARE, group["lr"] / config.lr)
        return optimizer

    config: Any = config_class(value, 1, value, where)
    return Optimizer(config, build, buffers=2)  # two numbers of state a parameter, as of most


def _schedule(value: Callable[..., Any], file: str, where: str) -> Schedule:
    """Returns the entry of a function of steps."""
    if len(arguments(value, where)) != 3:
        raise UserError(f"{where}: it must take (config, steps, total) and return shares of lr")
    return Schedule(config_class(value, 0, value, where), value)


def _metric(value: Callable[..., Any], file: str, where: str) -> Metric:
    """Returns the entry of a function of predictions and labels."""
    names = [each.name for each in arguments(value, where)]
    if len(names) != 3:
        raise UserError(f"{where}: it must take (predictions, labels, bars) and return a number")
    _refuse_swapped(names, where)
    return Metric(value, (inspect.getdoc(value) or "").partition("\n")[0])


_SHORT: dict[str, Callable[..., Any]] = {
    "MODELS": _model,
    "LOSSES": _loss,
    "OPTIMIZERS": _optimizer,
    "SCHEDULES": _schedule,
    "METRICS": _metric,
}
_CHECKED: dict[str, Callable[[Any, str], Any]] = {
    "SCHEDULES": _checked_schedule,
    "FEATURES": _checked_feature,
    "METRICS": _checked_metric,
}
