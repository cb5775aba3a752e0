"""The text of a class or function as it was written, and what was set on it since."""

import ast
import inspect
import linecache
import sys
import textwrap
import types
from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

from trainable.cli.errors import UserError

OF_DATACLASSES = ("<string>", "dataclasses.py", "reprlib.py")  # methods that nobody wrote
SCOPES = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def is_plain(value: Any) -> bool:
    """Says whether Python's way to write a value makes the same value again."""
    try:
        return ast.literal_eval(repr(value)) == value
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False


def text_of_object(value: Any) -> str | None:
    """Returns the text of a class or function; None: there is none.

    Args:
        value: a class or function.

    Raises:
        UserError: it uses variables of the function that it is defined in.
    """
    codes = _codes(value)
    free = sorted({name for code in codes for name in code.co_freevars} - {"__class__"})
    if free:
        raise UserError(
            f"parts: {value.__name__} uses {', '.join(free)} of the function that it is defined "
            "in; define both at the top level"
        )
    if "lambda" in value.__name__:
        return None
    try:
        text = textwrap.dedent(inspect.getsource(value))
    except (OSError, TypeError):
        text = _of_a_cell(value, codes) if isinstance(value, type) else ""
    return text.rstrip() or None


def _codes(value: Any) -> list[types.CodeType]:
    functions = [value, *vars(value).values()] if isinstance(value, type) else [value]
    written = [inspect.unwrap(f) for f in functions if isinstance(f, types.FunctionType)]
    codes = [f.__code__ for f in written if isinstance(f, types.FunctionType)]
    return [code for code in codes if Path(code.co_filename).name not in OF_DATACLASSES]


def _of_a_cell(value: type, codes: Sequence[types.CodeType]) -> str:
    """Returns the text of a class of a notebook, which Python knows by the code of its methods.

    It is the one that holds most of them; among equals, as where there are none, the latest.
    """
    best, most = "", -1
    files = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    path = [word for word in value.__qualname__.split(".") if word != "<locals>"]
    for cell in reversed(list(linecache.cache)):
        if cell in files:  # of a module, which a traceback has shown
            continue
        lines = linecache.getlines(cell)
        try:
            tree = ast.parse("".join(lines))
        except (SyntaxError, ValueError):  # another language
            continue
        for node in reversed([*_named(tree, path)]):
            begin = min([node.lineno, *(one.lineno for one in node.decorator_list)])
            end = node.end_lineno or begin
            inside = range(begin, end + 1)
            held = sum(c.co_filename == cell and c.co_firstlineno in inside for c in codes)
            if held > most and _may_be(node, value):
                best, most = textwrap.dedent("".join(lines[begin - 1 : end])), held
    return best


def _named(scope: ast.AST, path: Sequence[str]) -> Iterator[ast.ClassDef]:
    """Yields the classes of a qualified name, such as Outer, Inner."""
    for node in ast.iter_child_nodes(scope):
        if not isinstance(node, SCOPES):
            yield from _named(node, path)
        elif node.name == path[0] and len(path) > 1:
            yield from _named(node, path[1:])
        elif node.name == path[0] and isinstance(node, ast.ClassDef):
            yield node


def _may_be(node: ast.ClassDef, value: type) -> bool:
    """Says whether a class has the fields of a text, and their defaults where these are plain."""
    notes = [one for one in node.body if isinstance(one, ast.AnnAssign)]
    if [ast.unparse(one.target) for one in notes] != list(inspect.get_annotations(value)):
        return False
    known = {spec.name: spec.default for spec in fields(value)} if is_dataclass(value) else {}
    return all(
        known.get(ast.unparse(one.target), one.value.value) == one.value.value
        for one in notes
        if isinstance(one.value, ast.Constant)
    )


def has_other_fields(value: Any, made: Any) -> bool:
    """Says whether a configuration class has other fields than one that its text made."""
    if not isinstance(value, type) or not is_dataclass(value):
        return False
    return not is_dataclass(made) or _fields(value) != _fields(made)


def _fields(cls: Any) -> list[tuple[str, str]]:
    return [(s.name, repr(s.default) if is_plain(s.default) else "") for s in fields(cls)]


def changes(value: Any, made: Any) -> Iterator[tuple[str, Any]]:
    """Yields name and value of what was set on a class or function since it was defined.

    Args:
        value: the class or function.
        made: what its text makes.
    """
    of_text = vars(made)
    settings = [spec.name for spec in fields(value)] if is_dataclass(value) else []
    for name, now in vars(value).items():
        by_python = name.startswith("__") and not isinstance(now, types.FunctionType)
        if by_python or name in settings:
            continue
        if name not in of_text or not _same(now, of_text[name]):
            yield name, now


def _same(now: Any, made: Any) -> bool:
    """Says whether two values are of one text, or equal; others are taken to be."""
    if type(now).__qualname__ != type(made).__qualname__:
        return False
    if isinstance(now, staticmethod | classmethod):
        return _same(now.__func__, made.__func__)
    if isinstance(now, property):
        return _same(now.fget, made.fget)
    if isinstance(now, types.FunctionType):
        return _text(now) == _text(made)
    if isinstance(now, type):
        return now.__qualname__ == made.__qualname__ and not has_other_fields(now, made)
    plain = is_plain(now), is_plain(made)
    return now == made if all(plain) else not any(plain)


def _text(function: types.FunctionType) -> str:
    """Returns the text of a function; empty: none, as of those that Python writes."""
    try:
        return textwrap.dedent(inspect.getsource(function)).strip()
    except (OSError, TokenError):
        return ""
