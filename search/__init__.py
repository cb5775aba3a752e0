"""The search itself: asks, trains, prunes, records."""

from typing import Any

__all__ = ["launch"]  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Loads `launch` when it is asked for, so that importing a part does not import everything."""
    if name == "launch":
        from search.api import launch

        return launch
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
