"""JSON of whatever origin as values: the one place where it is parsed."""

import json
from collections.abc import Callable
from typing import Any


def loads(text: str | bytes, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """Returns the value of a JSON text.

    Args:
        text: of any length.
        pairs: makes an object of its names and values, in their order; None: a dict.

    Raises:
        ValueError: it is none, or nested too deep.
    """
    try:
        return json.loads(text, object_pairs_hook=pairs)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
