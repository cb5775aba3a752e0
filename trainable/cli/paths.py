"""Paths as a person types them: `~` is the home folder, whether or not a shell has seen it.

A shell leaves the `~` of `data.path=~/prices.csv` as it is.
"""

import os
import re
from pathlib import Path
from typing import Annotated, TypeAlias

from trainable.cli.errors import UserError

IS_PATH = "a path"
# The type of a setting that is a path, or may be one: `~` is expanded as the setting is read.
PathText: TypeAlias = Annotated[str, IS_PATH]
_IN_URL = re.compile(r"(sqlite(?:\+\w+)?:///)(~.*)", re.DOTALL)


MOST = 4096  # bytes of a path


def is_content(text: str) -> bool:
    """Says whether a text is the content of a file, given where its path is wanted."""
    several = len(text.strip().splitlines()) > 1
    long = len(text.encode("utf-8", "replace")) > MOST
    return (long or several or _in_brackets(text)) and not _exists(text)


def _in_brackets(text: str) -> bool:
    """Says whether a text looks like JSON that holds an object or a list of texts."""
    ends = text.strip()[:1] + text.strip()[-1:]
    return ends in ("[]", "{}") and '"' in text


def _exists(text: str) -> bool:
    try:
        return Path(text).exists()
    except (OSError, ValueError):  # too long for a path, or with a NUL
        return False


def expand_home(text: str, key: str | None = None) -> str:
    """Returns a path, or the URL of an SQLite file, with `~` and `~user` at its start expanded.

    Args:
        text: what was typed.
        key: of the setting, for the message.

    Raises:
        UserError: there is no such user, nor a file of this very name.
    """
    if found := _IN_URL.fullmatch(text):
        return found[1] + expand_home(found[2], key)
    if not text.startswith("~"):
        return text
    expanded = os.path.expanduser(text)  # noqa: PTH111 - a Path would lose a slash at the end
    if not expanded.startswith("~") or Path(text).exists():
        return expanded
    user = text[1:].partition("/")[0]
    what = f"there is no user {user!r} here" if user else "HOME is not set"
    shown = f"{key}={text}" if key else text
    raise UserError(f"{shown}: {what}; ./{text} is a file of that name in this folder")
