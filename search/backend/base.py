"""What training tells the search that it is part of."""

from collections.abc import Sequence
from typing import Protocol


class Observer(Protocol):
    """Hears of a search while it trains."""

    def tick(self) -> None:
        """Called several times a second, between two events; may raise `Interrupted`."""
        ...

    def failed(self, numbers: Sequence[int], reason: str, text: str) -> None:
        """A worker failed: members that failed with it for good, why, its traceback."""
        ...

    def on_cpu(self, host: str) -> None:
        """The first machine whose worker holds a GPU and trains on the CPU."""
        ...
