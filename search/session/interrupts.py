"""Ctrl-C and SIGTERM: asked once, the search ends cleanly; asked twice, at once."""

import signal
import threading
from types import FrameType
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(KeyboardInterrupt):
    """The person, or the machine, asked the search to end."""


class Interrupts:
    """Notes a signal instead of obeying it, in a `with` block of the main thread.

    Args:
        at_once: obey it too; it is noted since code of others may swallow the KeyboardInterrupt.

    Attributes:
        asked: the name of the first signal; None while there was none.
    """

    def __init__(self, at_once: bool = False) -> None:
        self.at_once = at_once
        self.asked: str | None = None
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        self.listen()
        return self

    def listen(self) -> None:
        """Takes the signals (back): Ray puts a handler of its own in our place as it connects."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before.setdefault(number, signal.getsignal(number))
                signal.signal(number, self._note)

    def obey(self) -> None:
        """Raises KeyboardInterrupt where a signal has come."""
        if self.asked is not None:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.asked is not None
        self.asked = self.asked or signal.Signals(number).name
        if again or self.at_once:
            raise KeyboardInterrupt
