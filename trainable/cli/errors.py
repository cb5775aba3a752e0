"""Errors that are for the person at the keyboard, and look-ups that help with a misspelt name."""

import traceback
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import TypeVar

from trainable.cli.text import shown

T = TypeVar("T")


class UserError(Exception):
    """What is wrong, where, and what would work, in one line.

    A command prints it as `error: …` and exits with status 2, without a traceback (`status_of`).
    """


class NameTakenError(UserError):
    """The name of something new is that of something else, in a place that both use."""


def unknown(what: str, name: str, available: Iterable[str]) -> UserError:
    """Returns the error for a `name` that is none of `available`, with the closest one offered."""
    names = sorted(available)
    alike = [each for each in names if each.lower() == name.lower()]
    close = alike or get_close_matches(name, names, n=1, cutoff=0.6)
    hint = f"; did you mean {close[0]!r}?" if close else "."
    return UserError(f"unknown {what} {shown(name)}{hint} Available: {', '.join(names)}")


def look_up(table: Mapping[str, T], name: str, what: str) -> T:
    """Returns `table[name]`; raises `UserError` with "did you mean" where there is none."""
    if name not in table:
        raise unknown(what, name, table)
    return table[name]


def located(path: str | None, function: object, error: BaseException, part: str = "") -> UserError:
    """Returns an error of a person's code with the line of it that led to it.

    Args:
        path: of the file, as its code was compiled; None: that of the function.
        function: that was called; None: the file was executed.
        error: what it raised.
        part: what the code belongs to, for the message; empty: the file alone is named.
    """
    code = getattr(function, "__code__", None)
    file = path or getattr(code, "co_filename", "space")
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == file]
    line = lines[-1] if lines else getattr(code, "co_firstlineno", None)
    text = str(error)
    if isinstance(error, SyntaxError) and error.filename == file:
        line, text = error.lineno, error.msg
    where = f"{file}:{line}" if line else file
    where += f": {part}" if part else ""
    said = " ".join(text.split())
    return UserError(f"{where}: {type(error).__name__}{f': {said}' if said else ''}")
