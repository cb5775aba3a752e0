"""Parts given in Python, as from a notebook: their source, written down as a file of parts.

A class or function of a notebook is in no file. Its text is looked up as Python's own tracebacks do
it, with the texts of all that it uses; what is installed is imported. What has no text, such as
a network with weights, cannot be sent to a worker and is refused. What was set on a class after it
was defined is set again behind the texts.
"""

import ast
import builtins
import inspect
import re
import symtable
import sys
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from trainable.cli.errors import UserError, unknown
from trainable.parts.files import OURS, PartsFile, read_file, read_files
from trainable.parts.modules import forget, run
from trainable.parts.tables import TABLES
from trainable.parts.texts import changes, has_other_fields, is_plain, text_of_object

NAME = "launch"  # of the file that is made
HELP = "write it into a file, and give its path: parts='mine.py'"


def given_parts(parts: object, copies: Path | None = None) -> tuple[PartsFile, ...]:
    """Returns the files of parts that a person gave in Python.

    Args:
        parts: the path of a file, a module, a dict of tables such as `{"MODELS": {…}}`, anything
            that has such tables as attributes, or several of these in a list; None: none.
        copies: as `read_files` takes it.

    Raises:
        UserError: a file cannot be read, or something has no source that could be sent on.
    """
    several: Sequence[object] = () if parts is None else [parts]
    if isinstance(parts, list | tuple):
        several = parts
    paths = [part for part in several if isinstance(part, str | Path)]
    files = list(read_files(paths, copies))
    for part in several:
        if part in paths:
            continue
        if isinstance(part, types.ModuleType) and getattr(part, "__file__", None):
            files.append(read_file(str(part.__file__)))
            continue
        tables = part if isinstance(part, Mapping) else _tables_of(part)
        made = sum(file.path is None for file in files)
        files.append(PartsFile(NAME if not made else f"{NAME}_{made + 1}", text_of(tables)))
    return tuple(files)


def text_of(tables: Mapping[str, Any]) -> str:
    """Returns a file of parts with the entries of some tables.

    Args:
        tables: by name, also in small letters: `{"models": {"mine": Mine}}`.

    Raises:
        UserError: a table is none of the six or no dict, or something has no source.
    """
    source = _Source()
    lines = []
    for key, entries in tables.items():
        name = str(key).upper()
        if name not in TABLES:
            raise unknown("table of parts", str(key), TABLES)
        if not isinstance(entries, Mapping):
            raise UserError(f"parts: {name} is a {type(entries).__name__}; it must be a dict")
        lines.append(f"{name} = {{")
        for entry, value in entries.items():
            said = source.expression(value, f"{name}[{entry!r}]")
            lines.append(f"    {entry!r}: {said},")
        lines.append("}")
    source.add_changes()
    return source.text("\n".join(lines))


def _tables_of(part: object) -> dict[str, Any]:
    found = {name: getattr(part, name) for name in TABLES if hasattr(part, name)}
    if not found:
        raise UserError(
            f"parts is of type {type(part).__name__}; it must be the path of a Python file, a "
            'module, or a dict of tables such as {"MODELS": {"mine": Mine}}'
        )
    return found


class _Source:
    """Collects the text of classes and functions, and of what they use, each before its users.

    Attributes:
        imports: lines that import what is installed.
        constants: lines that set what is a plain value.
        pieces: text of each class and function, by name.
        changed: lines that set what was set after a class or function was defined.
    """

    def __init__(self) -> None:
        self.imports: list[str] = []
        self.constants: list[str] = []
        self.pieces: dict[str, str] = {}
        self.changed: list[str] = []
        self._known: dict[str, Any] = {}  # what each name stands for

    def text(self, end: str = "") -> str:
        """Returns all that was collected as a file, and `end` at its end."""
        head = '"""Parts that were given in Python."""'
        imports = "\n".join([*self.imports, *self.constants])
        parts = [head, imports, *self.pieces.values(), "\n".join(self.changed), end]
        return "\n\n\n".join(filter(None, parts)) + "\n"

    def add_changes(self) -> None:
        """Adds what was set on classes and functions after they had been defined.

        It runs what was collected, and holds what that makes against what is there.

        Raises:
            UserError: a class has other fields than its text, or what was set has no source.
        """
        held: set[str] = set()
        while new := [name for name in self.pieces if name not in held]:
            held.update(new)
            file = PartsFile(f"{NAME}_again", self.text())
            made = run(file)
            try:
                for name in new:
                    self._add_changes_of(name, getattr(made, name))
            finally:
                forget(file)

    def _add_changes_of(self, name: str, made: Any) -> None:
        value = self._known[name]
        if has_other_fields(value, made):
            raise UserError(
                f"parts: {name} has other fields than its text makes now; run its cell again, and "
                "those of all that uses it"
            )
        for key, now in changes(value, made):
            where = f"{name}.{key}"
            self.changed.append(f"{where} = {self.expression(now, where)}")

    def expression(self, value: Any, where: str) -> str:
        """Returns what stands for a value, once all that it needs has been collected."""
        if isinstance(value, type | types.FunctionType):
            self._add(value.__name__, value, where)
            return value.__name__
        if is_dataclass(value) and not isinstance(value, type):
            kind = type(value)
            self._add(kind.__name__, kind, where)
            given = {spec.name: getattr(value, spec.name) for spec in fields(value) if spec.init}
            defaults = {spec.name: spec.default for spec in fields(value)}
            said = [
                f"{name}={self.expression(one, where)}"
                for name, one in given.items()
                if defaults[name] is MISSING or one is not defaults[name]
            ]
            return f"{kind.__name__}({', '.join(said)})"
        if is_plain(value):
            return repr(value)
        raise UserError(f"parts: {where} is a {type(value).__name__}, which has no source; {HELP}")

    def _add(self, name: str, value: Any, where: str) -> None:
        """Collects what a name stands for, unless it is there."""
        if name in self._known:
            known = self._known[name]
            same = is_plain(value) and type(value) is type(known) and value == known
            if known is not value and not same:
                raise UserError(f"parts: two things are called {name}; rename one of them")
            return
        self._known[name] = value
        if line := _import_of(name, value):
            self.imports.append(line)
        elif isinstance(value, type | types.FunctionType):
            text = text_of_object(value)
            if text is None:
                raise UserError(f"parts: {where} has no source; {HELP}")
            for used, found in _used(value, text):
                self._add(used, found, f"{used}, which {value.__name__} uses,")
            self.pieces[name] = text
            if name != value.__name__:
                self.pieces[name] += f"\n\n{name} = {value.__name__}"
        elif is_plain(value):
            self.constants.append(f"{name} = {value!r}")
        else:
            raise UserError(
                f"parts: {where} is a {type(value).__name__}, which has no source; {HELP}"
            )


def _import_of(name: str, value: Any) -> str | None:
    """Returns the line that imports an installed module, class or function; None for others."""
    if isinstance(value, types.ModuleType):
        if not _is_installed(value.__name__):
            raise UserError(
                f"parts: {name} is the module {value.__name__}, which workers would lack; install "
                f"it on every machine, or {HELP}"
            )
        return f"import {value.__name__}" + (f" as {name}" if name != value.__name__ else "")
    module, own = getattr(value, "__module__", None), getattr(value, "__name__", None)
    own = own or getattr(value, "_name", None)  # as those of typing
    if not isinstance(module, str) or not isinstance(own, str) or not _is_installed(module):
        return None
    if getattr(import_module(module), own, None) is not value:
        return None
    return f"from {module} import {own}" + (f" as {name}" if name != own else "")


def _is_installed(module: str) -> bool:
    """Says whether every machine that has this project has a module."""
    top = module.partition(".")[0]
    if top == "__main__":
        return False
    if top in sys.stdlib_module_names or top == OURS:
        return True
    try:
        spec = find_spec(top)
    except ValueError:
        return False
    return spec is not None and spec.origin is not None and "-packages" in spec.origin


def _used(value: Any, text: str) -> Iterator[tuple[str, Any]]:
    """Yields the global names that a class or function uses, with what they stand for."""
    space = _globals_of(value)
    names = _global_names(symtable.symtable(text, "parts", "exec"))
    noted = {name for name in _names_in_words(text) if isinstance(space.get(name), type)}
    for name in sorted(names | noted):
        if name in space and name != value.__name__ and not _is_builtin(name, space[name]):
            yield name, space[name]


def _is_builtin(name: str, value: Any) -> bool:
    """Says whether a name stands for Python's own, or what a notebook has in its place."""
    if not hasattr(builtins, name):
        return False
    in_its_place = str(getattr(value, "__module__", "")).startswith("IPython.")
    return in_its_place or value is getattr(builtins, name)


def _global_names(table: symtable.SymbolTable) -> set[str]:
    """Returns the names that a text takes from outside of it."""
    top = table.get_type() == "module"
    found = {
        symbol.get_name()
        for symbol in table.get_symbols()
        if (symbol.is_referenced() and not symbol.is_assigned() if top else symbol.is_global())
    }
    return found.union(*map(_global_names, table.get_children()))


def _names_in_words(text: str) -> set[str]:
    """Returns the names in annotations that are strings."""
    notes = [getattr(node, "annotation", None) for node in ast.walk(ast.parse(text))]
    words = [str(n.value) for n in notes if isinstance(n, ast.Constant) and type(n.value) is str]
    return {word for text in words for word in re.findall(r"\w+", text)}


def _globals_of(value: Any) -> Mapping[str, Any]:
    if isinstance(value, types.FunctionType):
        return inspect.unwrap(value).__globals__
    return vars(sys.modules[value.__module__]) if value.__module__ in sys.modules else {}
