"""Settings in a message as Python has them: `data_symbols=['AAA']` for `data.symbols=AAA`.

What a person gave is known, and so is where it ends in a message. Of a value that a message offers
only its first word is taken, since words follow it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from typing import Any

from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.cli.options import TRUTH, Kind, as_text, kinds_of
from trainable.config import FIELDS
from trainable.data.settings import SyntheticSettings

KINDS = kinds_of(SearchSettings)
TEXT = Kind(str)
# What stands for a value that the person is to choose.
STANDS_FOR = {"…", "COLUMN", "FILE", "FOLDER", "HOST:PORT", "NAME", "PATH", "URL", "VALUE"}
_BEFORE = r"(?<![\w./'-])"  # a setting begins a word; what is quoted or in a path is none
_PLAIN = "|".join(re.escape(key) for key in sorted([*KINDS, "data.synthetic"], key=len)[::-1])
_SETTING = re.compile(
    rf"{_BEFORE}(?:(?P<group>fix|data\.synthetic)\.(?P<entry>\w+(?:/\w+)?)|(?P<key>{_PLAIN}))"
    r"(?![\w/]|\.\w)(?P<equals>=)?"
)
_AFTER = re.compile(r"[,;:.)]*(\s|$)")  # what follows a whole value
_WORD = re.compile(r"[^\s;)'\"]+")
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?(e[+-]?\d+)?|nan|[+-]?inf", re.IGNORECASE)
_COMMAND = re.compile(r"(python -m [^;]*)")  # stays one of the command line


@contextmanager
def said_as_in_python(settings: Mapping[str, object] | None = None) -> Iterator[None]:
    """Writes the settings in what a `UserError` of the block says as `launch` takes them.

    Args:
        settings: what `launch` was given, by keyword.
    """
    try:
        yield
    except UserError as error:
        said = as_in_python(str(error), settings)
        if said == str(error):
            raise
        raise type(error)(said) from None  # the first one would be printed beside it


def as_in_python(said: str, settings: Mapping[str, object] | None = None) -> str:
    """Returns a message with its settings as keywords: `fix={'model/dropout': 0.3}`.

    Args:
        said: the message.
        settings: what `launch` was given, by keyword.
    """
    given = settings or {}
    parts = _COMMAND.split(said)
    return "".join(part if i % 2 else _rewritten(part, given) for i, part in enumerate(parts))


@dataclass(frozen=True)
class _Value:
    """A value in a message.

    Attributes:
        end: where it ends.
        python: what it is in Python.
    """

    end: int
    python: str


def _rewritten(said: str, given: Mapping[str, object]) -> str:
    parts, at = [], 0
    while found := _SETTING.search(said, at):
        parts.append(said[at : found.start()])
        if found["key"]:
            at = found.end()
            parts.append(found[0].replace(".", "_"))
            if found["equals"]:
                keyword = found["key"].replace(".", "_")
                value = _value(said, at, KINDS[found["key"]], given.get(keyword))
                parts.append(value.python)
                at = value.end
        else:
            text, at = _dict(said, found, given)
            parts.append(text)
    return "".join([*parts, said[at:]])


def _dict(said: str, found: re.Match[str], given: Mapping[str, object]) -> tuple[str, int]:
    """Returns what one setting after another of the same dict is in Python, and where they end."""
    group = found["group"]
    keyword = group.replace(".", "_")
    inside: Any = given.get(keyword)
    inside = inside if isinstance(inside, Mapping) else {}
    items, end = [], found.start()
    following: re.Match[str] | None = found
    while following is not None and following["group"] == group:
        entry = following["entry"]
        if following["equals"]:
            value = _value(said, following.end(), _kind(group, entry), inside.get(entry))
            if not value.python:
                break
        elif not items and (entry in inside or _is_known(group, entry)):
            value = _Value(following.end(), "…")
        else:  # such as the file `fix.py`
            break
        items.append(f"{entry!r}: {value.python}")
        end = value.end
        following = _SETTING.match(said, end + 1) if said[end : end + 1] == " " else None
    return (f"{keyword}={{{', '.join(items)}}}", end) if items else (found[0], found.end())


def _is_known(group: str, entry: str) -> bool:
    if group == "fix":
        return entry in FIELDS
    return entry in {field.name for field in fields(SyntheticSettings)}


def _kind(group: str, entry: str) -> Kind:
    """Returns what an entry of a dict takes; text where that is not known, as of a helper."""
    if group == "fix":
        return FIELDS[entry].kind if entry in FIELDS else Kind(float)
    return KINDS.get(f"{group}.{entry}", TEXT)


def _value(said: str, at: int, kind: Kind, given: object) -> _Value:
    """Returns the value that begins at a place of a message."""
    rest = said[at:]
    if rest[:1] in ("[", "{", "("):  # Python already
        return _Value(at, "")
    if given is not None:
        text = as_text(given)
        if text and rest.startswith(text) and _AFTER.match(rest, len(text)):
            return _Value(at + len(text), _of(given, kind, text))
    if quoted := _QUOTED.match(rest):
        return _Value(at + quoted.end(), quoted[0])
    word = _WORD.match(rest)
    if word is None:
        return _Value(at, "")
    text = word[0] if kind.many else word[0].partition(",")[0]
    text = text.rstrip(",.:")
    return _Value(at + len(text), _literal(text, kind))


def _of(given: object, kind: Kind, text: str) -> str:
    """Returns what a person gave, as it is written in Python."""
    if isinstance(given, str) and not kind.many:
        return repr(given) if kind.base is str or not _NUMBER.fullmatch(given) else given
    return _literal(text, kind)


def _literal(text: str, kind: Kind) -> str:
    """Returns what a text of the command line is in Python."""
    if text in STANDS_FOR or not text:
        return text
    if text in ("unset", "null"):
        return "None"
    if kind.many:
        one = kind._replace(many=False)
        return f"[{', '.join(_literal(part.strip(), one) for part in text.split(','))}]"
    if kind.base is bool and text.lower() in TRUTH:
        return str(TRUTH[text.lower()])
    if kind.base is not str and (text in ("True", "False") or _NUMBER.fullmatch(text)):
        return text
    return repr(text)
