"""From what a person wrote in a table to an entry of ours.

An entry of our own type is taken as it is. The short forms are a class of networks, and functions:
a loss of each row, what builds an optimizer, a schedule, a metric.
"""

import inspect
from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any, cast, get_type_hints

import numpy as np
import torch
from torch import Tensor, nn

from trainable.cli.errors import UserError, located
from trainable.data.features.bars import Bars
from trainable.losses import Loss
from trainable.losses.base import Columns, Elementwise, Pair, elementwise
from trainable.metrics.further import Metric
from trainable.models import InputShape, Model
from trainable.optimizers import Optimizer
from trainable.optimizers.base import LR_SHARE
from trainable.parts.configurations import Empty, arguments, completed, config_class
from trainable.parts.tables import Table
from trainable.schedules import Schedule

# Of a loss of each row: what is not a setting of its formula.
NOT_COLUMNS = ("name", "dead_zone")


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
        entry = _SHORT[table.name](value, file, where)
    else:
        what = f"of type {type(value).__name__}"
        if isinstance(value, nn.Module):
            what = f"a network that is built already; write {type(value).__name__}, its class"
        entry_type = f"{table.kind.__module__}.{table.kind.__name__}"
        raise UserError(f"{where} is {what}; it must be {table.short}, or {entry_type}(…)")
    if table.name == "FEATURES":
        return replace(entry, function=_located_feature(entry.function, file, where))
    if table.group is None:
        return entry
    return replace(entry, config=completed(entry.config, table.group, name, where))


def _model(value: Callable[..., Any], file: str, where: str) -> Model:
    """Returns the entry of a class, or of a function, that builds a network."""
    if isinstance(value, type) and not issubclass(value, nn.Module):
        raise UserError(f"{where}: {value.__name__} is no network; derive it from torch.nn.Module")
    count = len(arguments(value, where))
    if count not in (1, 2):
        raise UserError(
            f"{where}: {value.__name__} takes {count} arguments without a default; it must take "
            "(config, shape), or (shape) where it has no settings"
        )
    config: type = Empty
    if count == 2:
        constructor = value.__init__ if isinstance(value, type) else value
        config = config_class(constructor, 0, value, where)
        if config is Empty:
            raise UserError(
                f"{where}: which class are its settings? Annotate the first argument: "
                f"(config: {value.__name__}Config, shape)"
            )

    def build(config: Any, shape: InputShape) -> nn.Module:
        try:
            return value(shape) if count == 1 else value(config, shape)
        except (UserError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:
            raise located(file, None, error) from error

    return Model(config, build)


def _loss(value: Callable[..., Any], file: str, where: str) -> Loss:
    """Returns the entry of a function that returns the loss of each row."""
    count = len(arguments(value, where))
    if count not in (2, 3):
        raise UserError(
            f"{where}: it takes {count} arguments without a default; a loss of each row takes "
            "(prediction, target), or (prediction, target, config)"
        )
    config = config_class(value, 2, value, where) if count == 3 else Empty
    names = () if config is Empty else _numbers(config, where)
    return Loss(cast(Any, config), elementwise(_by_autograd(value, count == 3)), names)


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


def _by_autograd(function: Callable[..., Tensor], settings: bool) -> Elementwise:
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
                raise ValueError(
                    f"the loss is {found} for predictions {tuple(p.shape)}; it must return a "
                    "number for each row, which are averaged afterwards"
                )
            (slope,) = torch.autograd.grad(value.sum(), p)
        return value.detach(), slope

    return both


def _located_feature(
    function: Callable[[Bars], np.ndarray], file: str, where: str
) -> Callable[[Bars], np.ndarray]:
    """Returns a feature whose errors name the person's line: it is computed as a search starts."""

    def feature(bars: Bars) -> np.ndarray:
        try:
            values = np.asarray(function(bars), dtype=np.float64)
        except Exception as error:
            raise located(file, None, error) from error
        if values.shape != bars.close.shape:
            raise UserError(
                f"{where} returns {values.shape} for {len(bars.close)} bars; it must return one "
                "value a bar"
            )
        return values

    return feature


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
    if len(arguments(value, where)) != 3:
        raise UserError(f"{where}: it must take (predictions, labels, bars) and return a number")
    return Metric(value, (inspect.getdoc(value) or "").partition("\n")[0])


_SHORT: dict[str, Callable[..., Any]] = {
    "MODELS": _model,
    "LOSSES": _loss,
    "OPTIMIZERS": _optimizer,
    "SCHEDULES": _schedule,
    "METRICS": _metric,
}
