"""Settings in a message as they are written in Python: `data_lag=1` for `data.lag=1`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields

from trainable.cli.errors import UserError
from trainable.data.settings import DataSettings

_BEFORE = r"(?<![\w./'-])"  # a setting begins a word; what is quoted or in a path is none
_VALUE = r"[^\s,;:)'\"]+"
_KEYED = re.compile(  # one setting after another of the same dict
    rf"{_BEFORE}(?P<group>fix|data\.synthetic)\.[\w./]+={_VALUE}"
    rf"(?: (?P=group)\.[\w./]+={_VALUE})*"
)
_DATA = re.compile(rf"{_BEFORE}data\.({'|'.join(field.name for field in fields(DataSettings))})\b")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?")


@contextmanager
def said_as_in_python() -> Iterator[None]:
    """Writes the settings in what a `UserError` of the block says as `launch` takes them."""
    try:
        yield
    except UserError as error:
        said = as_in_python(str(error))
        if said == str(error):
            raise
        raise type(error)(said) from None  # the first one would be printed beside it


def as_in_python(said: str) -> str:
    """Returns a message with its settings as keywords: `fix={'model/dropout': 0.3}`."""
    return _DATA.sub(r"data_\1", _KEYED.sub(_dict, said))


def _dict(found: re.Match[str]) -> str:
    group = found["group"]
    pairs = [word.removeprefix(f"{group}.").partition("=") for word in found[0].split(" ")]
    items = ", ".join(f"{key!r}: {_literal(value)}" for key, _, value in pairs)
    return f"{group.replace('.', '_')}={{{items}}}"


def _literal(value: str) -> str:
    return value if value == "…" or _NUMBER.fullmatch(value) else repr(value)
