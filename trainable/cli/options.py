"""Reads `key=value` tokens of a command line, or values given in Python, into a frozen dataclass.

The type of a field alone decides how its value is read. Text is taken literally: commas, `=`,
quotes and `${…}` mean nothing special in it. `--help` shows the comment behind a field.
"""

import ast
import inspect
import io
import math
import shutil
import textwrap
import tokenize
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, Field, asdict, fields, is_dataclass
from numbers import Integral, Number, Real
from os import PathLike
from typing import (
    Annotated,
    Any,
    NamedTuple,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from trainable.cli.errors import UserError, unknown
from trainable.cli.paths import IS_PATH, expand_home, is_content
from trainable.cli.started import as_started, title_of
from trainable.cli.text import shown

C = TypeVar("C")

EXPECTED = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}
TRUTH = {"true": True, "false": False}


class Kind(NamedTuple):
    """What a field takes: one value of type `base`, many such values, or a mapping KEY → text.

    `base` is int, float, bool or str; an `optional` field also takes `null` or nothing. In text
    that is a `path`, `~` is the home folder.
    """

    base: type
    many: bool = False
    mapping: bool = False
    optional: bool = False
    path: bool = False

    def words(self) -> str:
        """Returns what to type, in words."""
        one = EXPECTED[self.base]
        return f"{one}, several joined by commas" if self.many else one


class Setting(NamedTuple):
    """One key as `--help` shows it."""

    key: str
    type: str
    default: str
    meaning: str


def parse(cls: type[C], argv: Sequence[str], prefix: str = "") -> C:
    """Returns the dataclass that the tokens describe. A field without a token keeps its default.

    Args:
        cls: a dataclass of int, float, bool, str, their tuples, `| None`, `dict[str, str]` and
            further such dataclasses.
        argv: tokens `key=value`, split at the first `=`; a nested field is `group.field`.
        prefix: the start of every key, such as `data.`.

    Raises:
        UserError: an unknown key, a value of the wrong type, a key given twice, a needed key that
            is missing, or a token that is not `key=value`.
    """
    prefix = f"{prefix.rstrip('.')}." if prefix else ""
    kinds = kinds_of(cls, prefix)
    given: dict[str, Any] = {}
    seen: set[str] = set()
    for token in argv:
        key, text = split(token)
        mapping = _mapping_of(key, kinds)
        entry = key[len(mapping) + 1 :] if mapping else ""
        if mapping and not entry:
            raise UserError(f"{token}: write {mapping}.KEY=VALUE")
        if not mapping and key not in kinds:
            raise _unknown_key(key, kinds)
        if key in seen:
            raise UserError(f"{key} is given twice: keep one of them")
        seen.add(key)
        if mapping:
            given.setdefault(mapping, {})[entry] = text
        else:
            given[key] = convert(kinds[key], text, key)
    return _build(cls, given, prefix)


def from_values(cls: type[C], values: Mapping[str, Any], prefix: str = "") -> C:
    """Returns the dataclass with these values by key. A field without a value keeps its default.

    Args:
        cls: as of `parse`.
        values: by the keys of a command line; a text is read as there, anything else must be of
            the field's type. A group of keys is a mapping or a dataclass. None: the default.
        prefix: the start of every key, such as `data.`.

    Raises:
        UserError: an unknown key, a value of the wrong type, or a needed key that is missing.
    """
    prefix = f"{prefix.rstrip('.')}." if prefix else ""
    kinds = kinds_of(cls, prefix)
    given: dict[str, Any] = {}
    for key, value in _ungrouped(values, kinds):
        if key not in kinds:
            raise _unknown_key(key, kinds)
        if value is not None:
            given[key] = fitting(kinds[key], value, key)
    return _build(cls, given, prefix)


def fitting(kind: Kind, value: Any, key: str) -> Any:
    """Returns a value given in Python as one of this kind; a text is read as on a command line.

    Raises:
        UserError: with the key, where it is of another type.
    """
    if kind.mapping:
        if not isinstance(value, Mapping):
            raise UserError(f"{_given(key, value)}: expected a dict")
        return {str(name): _text(one, f"{key}.{name}") for name, one in value.items()}
    if isinstance(value, str):
        return convert(kind, value, key)
    if kind.many:
        value = _listed(value, once=kind.base is str)
    if kind.many and isinstance(value, list | tuple):
        one = kind._replace(many=False, optional=False)
        return tuple(fitting(one, item, key) for item in value)
    if kind.base is str and not kind.many:
        return convert(kind, _text(value, key), key)
    truth = isinstance(value, bool)
    fits = {bool: truth, int: isinstance(value, Integral), float: isinstance(value, Real)}
    if kind.many or truth != (kind.base is bool) or not fits[kind.base]:
        raise UserError(f"{_given(key, value)}: expected {kind.words()}")
    if not math.isfinite(value):
        raise UserError(f"{key}={value}: expected a finite number")
    return kind.base(value)


def split(token: str) -> tuple[str, str]:
    """Returns key and value of a `key=value` token; raises `UserError` for any other token."""
    key, equals, text = token.partition("=")
    bare = key.lstrip("+~-")
    if bare != key:
        wanted = f"{bare}={text or 'VALUE'}"
        if key.startswith("~"):
            raise UserError(f"{token}: no ~ needed; leave the key out to have its default")
        raise UserError(f"{token}: no {key[: len(key) - len(bare)]} needed; write {wanted}")
    if not equals:
        raise UserError(f"{token}: expected key=value, such as {key or 'trials'}=VALUE; see --help")
    if not key.strip():
        raise UserError(f"{token}: there is no key before the =; write key=value")
    return key, text


def convert(kind: Kind, text: str, key: str) -> Any:
    """Returns `text` as a value of this kind; raises `UserError` with the key where it is not."""
    if kind.optional and (text in ("", "null") or (text == "none" and kind.base is not str)):
        return None
    if kind.many:
        one = kind._replace(many=False, optional=False)
        return tuple(convert(one, part.strip(), key) for part in text.split(",")) if text else ()
    if kind.base is str:
        if kind.path and is_content(text):
            raise UserError(
                f"{key}= wants a path, and this is the content of a file: {shown(text)}"
            )
        return expand_home(text, key) if kind.path else text
    try:
        value = TRUTH[text.lower()] if kind.base is bool else kind.base(text.strip())
    except (KeyError, ValueError):
        raise UserError(f"{key}={text}: expected {EXPECTED[kind.base]}") from None
    if isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key}={text}: expected a finite number")
    return value


def expand_paths(cls: type, argv: Sequence[str]) -> list[str]:
    """Returns the tokens of a command line with `~` expanded in those that are paths."""
    kinds = kinds_of(cls)
    tokens = []
    for token in argv:
        key, text = split(token)
        kind = kinds.get(key)
        tokens.append(f"{key}={expand_home(text, key)}" if kind and kind.path else token)
    return tokens


def kind_of(hint: Any) -> Kind:
    """Returns what a field with this type hint takes."""
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        return kind_of(inner)._replace(path=IS_PATH in notes)
    if get_origin(hint) in (Union, types.UnionType):
        (inner,) = [arg for arg in get_args(hint) if arg is not type(None)]
        return kind_of(inner)._replace(optional=True)
    if get_origin(hint) is tuple:
        return kind_of(get_args(hint)[0])._replace(many=True)
    if get_origin(hint) is dict:
        return Kind(str, mapping=True)
    if hint not in EXPECTED:
        raise TypeError(f"a setting cannot be of type {hint!r}")
    return Kind(hint)


def describe(cls: type, prefix: str = "") -> list[Setting]:
    """Returns every key of `cls` with its type, default and meaning, in the order of the fields."""
    hints, meanings = get_type_hints(cls), _meanings(cls)
    rows: list[Setting] = []
    for spec in fields(cls):
        hint, key = hints[spec.name], prefix + spec.name
        if is_dataclass(hint):
            rows += describe(cast(type, hint), f"{key}.")
            continue
        kind = kind_of(hint)
        shown = f"{key}.KEY" if kind.mapping else key
        meaning = meanings.get(spec.name, "")
        rows.append(Setting(shown, kind.words(), _shown(_default(spec)), meaning))
    return rows


def asks_for_help(argv: Sequence[str]) -> bool:
    """Returns whether one of the tokens is `--help`, `--help=…`, `-h` or `help`."""
    return any(word in ("--help", "-h", "help") or word.startswith("--help=") for word in argv)


def print_help(cls: type, usage: str, prefix: str = "", notes: Sequence[Setting] = ()) -> None:
    """Prints the usage line, then `notes`, then every key with its meaning, type and default."""
    print_usage(usage)
    print()
    print_settings([*notes, *describe(cls, prefix)])


def print_usage(usage: str) -> None:
    """Prints how a command is used, as wide as the terminal."""
    if (title := title_of(usage)) is not None:
        print(f"{title}\n")
    for line in as_started(usage).splitlines():
        further = "    " if line.startswith("usage:") else ""
        print(textwrap.fill(line, _columns(), subsequent_indent=further))


def print_settings(rows: Sequence[Setting]) -> None:
    """Prints keys with their meanings, types and defaults, as wide as the terminal."""
    width = min(max(len(row.key) for row in rows) + 2, 34)
    columns = _columns()
    for row in rows:
        default = f"default: {row.default}" if row.default else "needed"
        text = f"{row.meaning} ({row.type}; {default})" if row.type else row.meaning
        lead = row.key.ljust(width)
        indent = " " * (width + 2)
        print(textwrap.fill(text, columns, initial_indent=f"  {lead}", subsequent_indent=indent))


def _columns() -> int:
    """Returns how wide help is."""
    return max(60, min(shutil.get_terminal_size().columns, 110))


def kinds_of(cls: type, prefix: str = "") -> dict[str, Kind]:
    """Returns what each key takes, by the keys of a command line."""
    hints = get_type_hints(cls, include_extras=True)
    kinds: dict[str, Kind] = {}
    for spec in fields(cls):
        key, hint = prefix + spec.name, hints[spec.name]
        if is_dataclass(hint):
            kinds |= kinds_of(cast(type, hint), f"{key}.")
        else:
            kinds[key] = kind_of(hint)
    return kinds


def _ungrouped(values: Mapping[str, Any], kinds: Mapping[str, Kind]) -> Iterator[tuple[str, Any]]:
    """Yields key and value; a group given as a mapping or a dataclass, key by key."""
    for key, value in values.items():
        group = asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
        if key not in kinds and isinstance(group, Mapping):
            yield from ((f"{key}.{inner}", one) for inner, one in group.items())
        else:
            yield key, value


def _mapping_of(key: str, kinds: Mapping[str, Kind]) -> str | None:
    """Returns the mapping field that `key` belongs to, or None."""
    for name, kind in kinds.items():
        if kind.mapping and (key == name or key.startswith(f"{name}.")):
            return name
    return None


def _unknown_key(key: str, kinds: Mapping[str, Kind]) -> UserError:
    inside = [name for name in kinds if name.startswith(f"{key}.")]
    if inside:
        return UserError(f"{key} is a group of keys: write one of {', '.join(inside)}")
    return unknown("key", key, (f"{k}.KEY" if v.mapping else k for k, v in kinds.items()))


def is_one_value(value: object) -> bool:
    """Says whether a value has a text that says it all: a text, a number, a date or a path."""
    dated = hasattr(value, "strftime") or getattr(value, "shape", None) == ()  # NumPy's, pandas'
    return isinstance(value, str | Number | PathLike | types.NoneType) or (
        dated and not hasattr(value, "__iter__")
    )


def _listed(value: Any, once: bool) -> Any:
    """Returns the values of a one-dimensional array or column as a list; of others, the value.

    Args:
        value: a list, or an array or column of NumPy, pandas, polars or pyarrow.
        once: keep the first of equal values alone, as of a column of symbols.
    """
    for name in ("to_pylist", "to_list", "tolist"):
        if hasattr(value, "__len__") and callable(method := getattr(value, name, None)):
            values = method()
            if isinstance(values, list) and all(map(is_one_value, values)):
                return list(dict.fromkeys(values)) if once else values
    return value


def _text(value: object, key: str) -> str:
    """Returns one value, or a few in a list, as a command line has them.

    Raises:
        UserError: it is a table, a dict or anything else that has no such text.
    """
    several = isinstance(value, list | tuple)
    if not all(map(is_one_value, value if several else [value])):
        raise UserError(f"{_given(key, value)}: expected text, a number or a date")
    return as_text(value)


def _given(key: str, value: object) -> str:
    """Returns what was given for a setting, in one short line; of a table, what it is."""
    plain = is_one_value(value) or isinstance(value, list | tuple | dict | set)
    return f"{key}={shown(value)}" if plain else f"{key} is a {type(value).__name__}"


def as_text(value: object) -> str:
    """Returns a value given in Python as a command line has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _build(cls: type[C], given: Mapping[str, Any], prefix: str) -> C:
    hints = get_type_hints(cls)
    changes: dict[str, Any] = {}
    for spec in fields(cast(Any, cls)):
        key, hint = prefix + spec.name, hints[spec.name]
        if is_dataclass(hint):
            if any(name.startswith(f"{key}.") for name in given):
                changes[spec.name] = _build(cast(type, hint), given, f"{key}.")
        elif key in given:
            changes[spec.name] = given[key]
        elif spec.default is MISSING and spec.default_factory is MISSING:
            raise UserError(f"{key} is needed: write {key}=VALUE")
    return cls(**changes)


def _default(spec: Field[Any]) -> Any:
    if spec.default_factory is not MISSING:
        return spec.default_factory()
    return spec.default


def _shown(default: Any) -> str:
    if default is MISSING:
        return ""
    if default is None or default in ((), {}):
        return "none"
    return as_text(default)


def _meanings(cls: type) -> dict[str, str]:
    """Returns the comments behind the fields, read from the source of the class and its bases."""
    found: dict[str, str] = {}
    for base in reversed([b for b in cls.__mro__ if is_dataclass(b)]):
        found |= meanings_in(textwrap.dedent(inspect.getsource(base)), base.__name__)
    return found


def meanings_in(source: str, name: str) -> dict[str, str]:
    """Returns the fields of a class with the comments behind them, from source that defines it.

    Where a module need not be imported for its keys alone, as on a TAB, its source says them.
    """
    comments = {
        token.start[0]: token.string.lstrip("# ").strip()
        for token in tokenize.generate_tokens(io.StringIO(source).readline)
        if token.type == tokenize.COMMENT
    }
    found: dict[str, str] = {}
    for tree in ast.parse(source).body:
        for node in tree.body if isinstance(tree, ast.ClassDef) and tree.name == name else ():
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                text = [comments[line] for line in lines if line in comments]
                found[node.target.id] = " ".join(text)
    return found
