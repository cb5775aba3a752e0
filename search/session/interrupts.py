"""Ctrl-C and other signals to end: asked once, the search ends cleanly; asked twice, at once.

SIGHUP comes when the terminal is closed, SIGTERM from service managers, SIGUSR1 and SIGXCPU from
batch systems before the time is over.
"""

import signal
import threading
import time
from types import FrameType
from typing import Self

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU")
SIGNALS = tuple(signal.Signals[name] for name in NAMES if name in signal.Signals.__members__)
# `timeout` sends its signal twice, a closed terminal too: within so many seconds it is one wish.
ONE_WISH_S = 0.5


class Interrupted(KeyboardInterrupt):
    """The person, or the machine, asked the search to end."""


def interrupt_on_signals() -> None:
    """Has every signal to end raise KeyboardInterrupt in this process, as Ctrl-C does.

    One that was ignored as the process began stays so: `nohup` ignores SIGHUP.
    """
    for number in SIGNALS:
        if _is_to_end(number):
            handler = _hang_up if number == signal.SIGHUP else signal.default_int_handler
            signal.signal(number, handler)


def _hang_up(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)  # kernel and shell both send one
    raise KeyboardInterrupt


def _is_to_end(number: signal.Signals) -> bool:
    """Says whether a signal ends this process, or us: neither ignored nor somebody else's."""
    handler = signal.getsignal(number)
    if handler is None or (handler is signal.SIG_IGN and number != signal.SIGINT):
        return False
    mine = isinstance(getattr(handler, "__self__", None), Interrupts)
    known = (signal.SIG_DFL, signal.default_int_handler, _hang_up)
    return mine or handler in known or number in (signal.SIGINT, signal.SIGTERM)


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
        self._when = 0.0
        self._before: dict[signal.Signals, object] = {}

    def __enter__(self) -> Self:
        self.listen()
        return self

    def listen(self) -> None:
        """Takes the signals (back): Ray and Tune put handlers of their own in our place."""
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                if number in self._before or _is_to_end(number):
                    self._before.setdefault(number, signal.getsignal(number))
                    signal.signal(number, self._note)

    def obey(self) -> None:
        """Raises KeyboardInterrupt where a signal has come."""
        if self.asked is not None:
            raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        for number, before in self._before.items():
            over = before is _hang_up and self.asked is not None
            signal.signal(number, signal.SIG_IGN if over else before)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        again = self.asked is not None
        if again and (number == signal.SIGHUP or now - self._when < ONE_WISH_S):
            return
        self.asked, self._when = self.asked or signal.Signals(number).name, now
        if again or self.at_once:
            raise KeyboardInterrupt
