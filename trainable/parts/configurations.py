"""Configuration classes of a person's parts, completed with the fields that every entry has.

The person writes a frozen dataclass with defaults. What every entry of a table has (`name`, and
`dead_zone`, `lr` …) is added where it is not there.
"""

import inspect
import math
from collections.abc import Callable
from dataclasses import MISSING, Field, fields, is_dataclass, make_dataclass
from types import FunctionType, SimpleNamespace
from typing import Any, cast, get_type_hints

from trainable.cli.errors import UserError
from trainable.config import FIELDS
from trainable.hyperparameter import entry_name, hyperparameter, hyperparameters
from trainable.losses.base import dead_zone_field
from trainable.optimizers.base import clip_field, lr_field

PLAIN_TYPES = (bool, int, float, str)
PLAIN_WORDS = (
    "must be int, float, bool or str, as a space can suggest it; make anything else of these in "
    "the part itself"
)
# Fields that every entry of a group has, besides its name.
COMMON: dict[str, dict[str, tuple[type, Callable[[], Any]]]] = {
    "model": {},
    "loss": {"dead_zone": (float, dead_zone_field)},
    "optimizer": {"lr": (float, lr_field), "clip": (float, clip_field)},
    "schedule": {},
}
# What the configuration of every entry answers, also where it is no field of it.
ANSWERS: dict[str, dict[str, Any]] = {
    "model": {"dropout": 0.0},
    "schedule": {"warmup_steps": 0},
}


class Empty:
    """The configuration of a part without settings."""


def completed(cls: type, group: str, name: str, where: str) -> type:
    """Returns a configuration class with everything that an entry of a table needs.

    Args:
        cls: what the person wrote: a frozen dataclass with defaults; `Empty`: nothing.
        group: `model`, `loss`, `optimizer` or `schedule`.
        name: of the entry.
        where: the file and the entry, for messages.

    Raises:
        UserError: it is no frozen dataclass, or a field has no default or another type than bool,
            int, float or str.
    """
    if cls is not Empty:
        _check(cls, where)
    hints = _hints(cls, where)
    own = {} if cls is Empty else {spec.name: spec for spec in fields(cast(Any, cls))}
    added: list[tuple[str, type, Any]] = []
    if "name" not in own or own["name"].init or own["name"].default != name:
        per_member = FIELDS[f"{group}/name"].per_member
        added.append(("name", str, entry_name(name, per_member=per_member)))
    common = COMMON[group]
    added += [
        (key, FIELDS[f"{group}/{key}"].kind.base, _described(spec, group))
        for key, spec in own.items()
        if key != "name" and _is_known(spec, hints[key], group)
    ]
    added += [(key, kind, make()) for key, (kind, make) in common.items() if key not in own]
    answers = {key: value for key, value in ANSWERS.get(group, {}).items() if not hasattr(cls, key)}
    if cls is Empty or cls.__str__ is object.__str__:
        answers["__str__"] = _short
    if not added and not answers:
        return _with_allowed_defaults(cls, group, where)
    title = f"{name.title()}Config" if cls is Empty else cls.__name__
    bases = () if cls is Empty else (cls,)
    space = {**answers, "__module__": cls.__module__, "__doc__": cls.__doc__}
    made = make_dataclass(title, added, bases=bases, namespace=space, frozen=True)
    return _with_allowed_defaults(made, group, where)


def _with_allowed_defaults(cls: type, group: str, where: str) -> type:
    """Returns a complete class; raises `UserError` where a default is out of its field's range."""
    for name, known in hyperparameters(cls).items():
        try:
            known.check_value(f"{group}/{name}", known.default)
        except UserError as error:
            said = str(error).partition("; fix.")[0]
            raise UserError(f"{where}: the default {said}") from error
    return cls


def _is_known(spec: Field[Any], kind: type, group: str) -> bool:
    """Says whether a plain field means what a field of another part means."""
    known = FIELDS.get(f"{group}/{spec.name}")
    return known is not None and not known.plain and not spec.metadata and known.kind.base is kind


def _described(spec: Field[Any], group: str) -> Any:
    """Returns a plain field with the range and meaning of the field of that name."""
    known = FIELDS[f"{group}/{spec.name}"]
    return hyperparameter(
        known.kind.base(spec.default),
        known.meaning,
        low=known.low,
        above=known.above,
        high=known.high,
        works=known.works,
        choices=known.choices,
        check=known.check,
        per_member=known.per_member,
    )


def config_class(function: Callable[..., Any], position: int, owner: Any, where: str) -> type:
    """Returns the class that annotates an argument, which is a configuration.

    Without an annotation it is the class `Config` inside of `owner`, and `Empty` without both.

    Args:
        function: the constructor or function.
        position: of the argument.
        owner: the class that the function is the constructor of, or the function.
        where: the file and the entry, for messages.
    """
    argument = arguments(function, where)[position]
    if argument.annotation is inspect.Parameter.empty:
        return getattr(owner, "Config", Empty)
    found = argument.annotation
    if isinstance(found, str):
        alone = SimpleNamespace(__annotations__={argument.name: found})
        try:
            found = get_type_hints(alone, getattr(function, "__globals__", {}))[argument.name]
        except (NameError, TypeError, AttributeError, SyntaxError) as error:
            raise UserError(
                f"{where}: the annotation of {argument.name} cannot be read ({error}); it must be "
                "the configuration class, defined above"
            ) from error
    if found is Any:
        return getattr(owner, "Config", Empty)
    if not isinstance(found, type):
        raise UserError(f"{where}: the annotation of {argument.name} must be a configuration class")
    return found


def arguments(function: Callable[..., Any], where: str) -> list[inspect.Parameter]:
    """Returns the arguments of a function that have no default, without `self`."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise UserError(f"{where}: its arguments cannot be read ({error})") from error
    needed = [
        each
        for each in signature.parameters.values()
        if each.default is inspect.Parameter.empty and each.name != "self"
    ]
    named = [each.name for each in needed if each.kind is inspect.Parameter.KEYWORD_ONLY]
    if named:
        raise UserError(
            f"{where}: {', '.join(named)} can be given by name only; take * out of the arguments"
        )
    plain = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [each for each in needed if each.kind in plain]


def _hints(cls: type, where: str) -> dict[str, Any]:
    """Returns the types of a class's fields."""
    try:
        return get_type_hints(cls)
    except (NameError, TypeError, AttributeError) as error:
        raise UserError(
            f"{where}: the types of the fields of {cls.__name__} cannot be read ({error}); they "
            f"{PLAIN_WORDS}"
        ) from error


def _check(cls: type, where: str) -> None:
    if not isinstance(cls, type):
        raise UserError(
            f"{where}: its config is a {type(cls).__name__}; give the class, without ()"
        )
    if not is_dataclass(cls):
        raise UserError(
            f"{where}: {cls.__name__} is no configuration class; write @dataclass(frozen=True) "
            "above it, and fields with defaults in it"
        )
    if not cls.__dataclass_params__.frozen:  # pyright: ignore[reportAttributeAccessIssue]
        raise UserError(
            f"{where}: write @dataclass(frozen=True) above {cls.__name__}: settings do not change"
        )
    hints = _hints(cls, where)
    for name, value in vars(cls).items():
        constant = name.startswith("_") or name.isupper()
        if not constant and name not in hints and isinstance(value, PLAIN_TYPES):
            raise UserError(
                f"{where}: {cls.__name__}.{name} = {value!r} has no type, so it is no setting; "
                f"write {name}: {type(value).__name__} = {value!r}"
            )
    _check_method(cls, where)
    for spec in fields(cls):
        if hints[spec.name] not in PLAIN_TYPES:
            raise UserError(f"{where}: {cls.__name__}.{spec.name} {PLAIN_WORDS}")
        if not spec.init:
            raise UserError(
                f"{where}: {cls.__name__}.{spec.name} is worked out (init=False), so it is no "
                "setting; make it a property"
            )
        if spec.default is MISSING:
            raise UserError(
                f"{where}: {cls.__name__}.{spec.name} needs a default, such as 32: a space need "
                "not set it"
            )
        if type(spec.default) is not hints[spec.name] and not (
            hints[spec.name] is float and type(spec.default) is int
        ):
            raise UserError(
                f"{where}: {cls.__name__}.{spec.name} = {spec.default!r} is no "
                f"{hints[spec.name].__name__}"
            )
        if isinstance(spec.default, float) and not math.isfinite(spec.default):
            raise UserError(
                f"{where}: {cls.__name__}.{spec.name} = {spec.default!r} cannot be stored; a "
                "finite number can"
            )


def _check_method(cls: type, where: str) -> None:
    """Raises `UserError` where `check`, which we call, is something else than such a method."""
    check = getattr(cls, "check", None)
    plain = isinstance(check, FunctionType) and not arguments(check, where)
    if check is not None and not plain:
        raise UserError(
            f"{where}: {cls.__name__}.check must be a method check(self), which raises UserError "
            "where settings do not fit each other; call anything else by another name"
        )


def _short(self: Any) -> str:
    """Returns the name and what differs from the defaults."""
    own = [spec for spec in fields(self) if spec.name != "name"]
    said = [f"{s.name}={getattr(self, s.name)}" for s in own if getattr(self, s.name) != s.default]
    return " ".join([self.name, *said])
