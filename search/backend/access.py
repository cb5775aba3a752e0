"""The driver of a search, as what Ray Tune calls reaches it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from search.backend.starts import Starts
from search.scheduling.controller import Controller


class ControllerAccess:
    """The driver as the adapters reach it, and the first error of theirs, which Tune rewrites.

    Attributes:
        driver: of the search.
        error: that first one.
        starts: of workers.
    """

    def __init__(self, driver: Controller) -> None:
        self.driver = driver
        self.error: Exception | None = None
        self.starts = Starts()

    @contextmanager
    def __call__(self) -> Iterator[Controller]:
        """Lends the driver for a `with` block, and keeps what the block raises."""
        try:
            yield self.driver
        except Exception as error:
            self.error = self.error or error
            raise


class HeldLocally:
    """What an adapter holds, kept out of the pickles that Tune makes of it and we never read."""

    def __init__(self, access: ControllerAccess) -> None:
        self.access = access

    def __getstate__(self) -> dict[str, Any]:
        return {}
