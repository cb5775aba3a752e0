"""What a search does before and after it trains, a line a step, from the first moment on.

Nothing but the standard library is imported: the first line comes before torch and Ray do.
"""

import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self, TextIO

LONG_S = 2.0  # a step that takes longer says how long it took
REDRAWN_S = 0.25


class Steps:
    """Says what is being done, in a `with` block: one step after another.

    In a terminal the step stands in one line with its seconds, which goes when the step is over,
    unless it was long. Elsewhere each step is a line, to which a long one adds its seconds.

    Args:
        stream: to write to.
        clock: seconds, from any moment on.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._in_place = stream.isatty() and os.environ.get("TERM") != "dumb"
        self._what: str | None = None
        self._begun = 0.0
        self._lock = threading.Lock()
        self._over = threading.Event()
        self._drawing: threading.Thread | None = None

    def begin(self, what: str) -> None:
        """Ends the step before, and begins one that is called so."""
        self.end()
        with self._lock:
            self._what, self._begun = what, self._clock()
            self._write(self._line(0.0) if self._in_place else f"{what} …")
        if self._in_place and self._drawing is None:
            self._over.clear()
            self._drawing = threading.Thread(target=self._redraw, daemon=True)
            self._drawing.start()

    def end(self) -> None:
        """Ends the step: the next line that anybody prints begins on a line of its own."""
        with self._lock:
            if self._what is None:
                return
            seconds = self._clock() - self._begun
            took = f" {seconds:.1f} s" if seconds >= LONG_S else ""
            if self._in_place:
                self._write(f"\r\x1b[2K{self._what}:{took}\n" if took else "\r\x1b[2K")
            else:
                self._write(f"{took}\n")
            self._what = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end()
        if self._drawing is not None:
            self._over.set()
            self._drawing.join()
            self._drawing = None

    def _redraw(self) -> None:
        while not self._over.wait(REDRAWN_S):
            with self._lock:
                if self._what is not None:
                    self._write(self._line(self._clock() - self._begun))

    def _line(self, seconds: float) -> str:
        return f"\r\x1b[2K{self._what} …" + (f" {seconds:.0f} s" if seconds >= 1 else "")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
