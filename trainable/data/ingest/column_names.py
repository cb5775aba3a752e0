"""The column names that a table is read by, and how a name as written becomes one of them."""

import unicodedata

from trainable.cli.errors import UserError

TIME_NAMES = ("timestamp", "datetime", "date", "time")
SYMBOL_NAMES = ("symbol", "ticker")
FIELD_NAMES = ("open", "high", "low", "close", "adj_close", "volume")


def canonical(name: str) -> str:
    """Returns a column's name in lower case, trimmed, with its words joined by underscores."""
    return "_".join(name.strip().lower().split())


def refuse_control_characters(name: str, file: str, what: str) -> None:
    """Raises `UserError` for a name with control characters: printed, they steer the terminal."""
    if any(unicodedata.category(character) == "Cc" for character in name):
        raise UserError(f"{file}: {what} holds a control character: {name!r}; rename it")
