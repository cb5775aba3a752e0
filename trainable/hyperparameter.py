"""Metadata of a configuration's field: meaning, range or choices, may it differ in a cohort.

A configuration is a frozen dataclass whose fields are made by `hyperparameter`. Names, types,
ranges, error messages and the shape of a cohort follow from these fields; nothing is written twice.
A field with nothing but a default is a hyperparameter without a range, shared by a cohort.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from types import MappingProxyType
from typing import Any, get_type_hints

from trainable.cli.errors import UserError, unknown
from trainable.cli.options import Kind, kind_of

Check = Callable[[str, Any], object]  # (key, value); raises UserError


@dataclass(frozen=True)
class Hyperparameter:
    """One `GROUP/FIELD`.

    Attributes:
        kind: its type.
        meaning: for the person, in a few words.
        default: its value where a space does not set it.
        per_member: members of one cohort may differ in it; otherwise it is part of their shape.
        low: the smallest number allowed.
        above: an exclusive lower bound; instead of `low`.
        high: the largest number allowed.
        works: a value that an error message may offer.
        choices: all values allowed; empty: any.
        check: further rules of its own.
        plain: nothing is said of it but a type and a default; it means what another field of the
            same name in its group means.
    """

    kind: Kind
    meaning: str = field(compare=False)
    default: Any = field(compare=False)
    per_member: bool
    low: float | None
    above: float | None
    high: float | None
    works: str = field(compare=False)
    choices: tuple[str, ...]
    check: Check | None
    plain: bool = field(default=False, compare=False)

    def check_value(self, key: str, value: Any) -> None:
        """Raises `UserError` unless the value, of the right type, is allowed; `key` names it."""
        if self.choices and value not in self.choices:
            raise unknown(key, str(value), self.choices)
        if self.check is not None:
            self.check(key, value)
        if (
            (self.low is not None and value < self.low)
            or (self.above is not None and value <= self.above)
            or (self.high is not None and value > self.high)
        ):
            raise UserError(f"{key}={value} must be {self.range}; fix.{key}={self.works} works")

    @property
    def range(self) -> str:
        """The numbers allowed, in words; empty where there is no limit."""
        words = [
            f"{what} {limit:g}"
            for what, limit in (
                ("at least", self.low),
                ("above", self.above),
                ("at most", self.high),
            )
            if limit is not None
        ]
        return " and ".join(words)


def hyperparameter(
    default: Any,
    meaning: str,
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    works: str | None = None,
    choices: tuple[str, ...] = (),
    check: Check | None = None,
    per_member: bool = False,
    settable: bool = True,
) -> Any:
    """Returns a field of a configuration; see `Hyperparameter` for the arguments."""
    described = {
        "meaning": meaning,
        "per_member": per_member,
        "low": low,
        "above": above,
        "high": high,
        "works": str(default) if works is None else works,
        "choices": choices,
        "check": check,
    }
    return field(default=default, init=settable, metadata=described)


def entry_name(name: str, *, per_member: bool = False) -> Any:
    """Returns the field `name` of a configuration that belongs to one entry of a table.

    It cannot be set: another entry's configuration is another class.
    """
    return hyperparameter(name, "entry of the table", per_member=per_member, settable=False)


@cache  # asked for every configuration that is checked
def hyperparameters(cls: Any) -> Mapping[str, Hyperparameter]:
    """Returns the fields of a configuration class by name."""
    hints = get_type_hints(cls)
    found = {
        spec.name: Hyperparameter(
            kind=kind_of(hints[spec.name]),
            default=spec.default,
            **(spec.metadata or {**_PLAIN, "works": str(spec.default)}),
        )
        for spec in fields(cls)
    }
    return MappingProxyType(found)


_PLAIN = {
    "meaning": "",
    "per_member": False,
    "low": None,
    "above": None,
    "high": None,
    "choices": (),
    "check": None,
    "plain": True,
}


def check_divisible(key: str, whole: int, by: str, parts: int) -> None:
    """Raises `UserError` unless `whole` is a multiple of `parts`, offering the nearest that are."""
    if parts < 1 or whole % parts:
        works = [n for n in range(1, whole + 1) if whole % n == 0]
        close = sorted(sorted(works, key=lambda n: abs(n - parts))[:2])
        raise UserError(
            f"{key}={whole} is not divisible by {by}={parts}; "
            f"{' or '.join(f'fix.{by}={n}' for n in close)} works"
        )
