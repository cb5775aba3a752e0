"""Hides secrets wherever settings are printed or stored."""

import re
from typing import Any

HIDDEN = "***"
# To the last @: a password may itself hold an @ that nobody has quoted.
IN_URL = re.compile(r"(://[^:/@\s]*):(\S+)@")
# `key=value` in the query of a URL or in a connection string.
AS_VALUE = re.compile(
    r"(?i)\b(\w*(?:password|passwd|pwd|token|secret|credential|signature|api_?key|access_?key\w*))"
    r"=([^&\s;,]+)"
)


def mask(text: str) -> str:
    """Returns `text` with passwords in URLs and secret `key=value` parts hidden."""
    return AS_VALUE.sub(rf"\1={HIDDEN}", IN_URL.sub(rf"\1:{HIDDEN}@", text))


def masked(value: Any) -> Any:
    """Returns a copy of nested dicts, lists and tuples with every text masked."""
    if isinstance(value, str):
        return mask(value)
    if isinstance(value, dict):
        return {key: masked(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(masked(item) for item in value)
    return value
