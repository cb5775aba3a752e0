"""How a person starts a command: messages name it in the form in which this process was started.

Texts say `python -m MODULE`, which works everywhere. Where the console script runs a command, what
a person reads says its name there instead.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

_COMMAND = re.compile(r"python -m (\w+(?:\.\w+)*)")
# Of this process, whichever thread writes a message.
_names: dict[str, tuple[str, str]] = {}


@contextmanager
def by_script(names: Mapping[str, tuple[str, str]]) -> Iterator[None]:
    """Has messages name commands as a console script does, in a `with` block.

    Args:
        names: by module what to type, such as `asharpe search`, and what it is for.
    """
    before = dict(_names)
    _names.update(names)
    try:
        yield
    finally:
        _names.clear()
        _names.update(before)


def started_by_script() -> bool:
    """Says whether the console script runs this command."""
    return bool(_names)


def as_started(text: str) -> str:
    """Returns a text in which each `python -m MODULE` is what this person types for it."""
    return _COMMAND.sub(lambda found: _names[found[1]][0] if found[1] in _names else found[0], text)


def title_of(usage: str) -> str | None:
    """Returns the title of a command's help; None where the console script does not run it."""
    found = _COMMAND.search(usage)
    return ": ".join(_names[found[1]]) if found and found[1] in _names else None
