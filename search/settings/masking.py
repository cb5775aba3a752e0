"""Hides secrets wherever settings are printed or stored, and in the list of processes."""

import ctypes
import re
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from trainable.cli.errors import UserError

HIDDEN = "***"
# To the last @: a password may itself hold an @ that nobody has quoted. Also where the scheme is
# forgotten, `storage=user:password@host`.
IN_URL = re.compile(r"((?:://|=)[^:/@\s=]*:(?!//))(\S+)(?=@)", re.ASCII)
WORDS = (
    r"password|passwd|passphrase|pwd|token|secret|credential|signature|api_?key|access_?key|"
    r"account_?key|private_?key|\bsig"
)
# `key=value` in the query of a URL or in a connection string.
AS_VALUE = re.compile(rf"(\b\w*(?:{WORDS})\w*=)([^&\s;]+)", re.ASCII | re.IGNORECASE)


def mask(text: str) -> str:
    """Returns `text` with passwords in URLs and secret `key=value` parts hidden."""
    return _replaced(text, lambda secret: HIDDEN)


def masked(value: Any) -> Any:
    """Returns a copy of nested dicts, lists and tuples with every text masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(item) for item in value)
    return value


@contextmanager
def no_secret_told() -> Iterator[None]:
    """Hides secrets in what a `UserError` of the block says."""
    try:
        yield
    except UserError as error:
        said = str(error)
        if mask(said) == said:
            raise
        raise UserError(mask(said)) from None  # the first one would be printed beside it


def mask_tracebacks() -> None:
    """Hides secrets in the traceback of whatever ends this process."""

    def show(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.stderr.write(mask("".join(traceback.format_exception(kind, error, trace))))

    sys.excepthook = show


def hide_arguments() -> None:
    """Overwrites secrets in this process's own command line, as `ps` and Ray's dashboard show it.

    On Linux only. What was to be seen before Python ran this line stays seen.
    """
    if not sys.platform.startswith("linux"):
        return
    shown = Path("/proc/self/cmdline").read_bytes()
    hidden = b"\0".join(
        _replaced(word.decode("latin-1"), lambda secret: "*" * len(secret)).encode("latin-1")
        for word in shown.split(b"\0")
    )
    if hidden == shown:
        return
    # Fields 48 and 49 of proc_pid_stat(5): where the kernel reads the line, in our own memory.
    fields = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    if end - start == len(shown) and ctypes.string_at(start, len(shown)) == shown:
        ctypes.memmove(start, hidden, len(hidden))


def _replaced(text: str, by: Callable[[str], str]) -> str:
    for pattern in (IN_URL, AS_VALUE):
        text = pattern.sub(lambda found: found[1] + by(found[2]), text)
    return text
