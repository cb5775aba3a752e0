"""Standard output and error that never fail: what a command does never hangs on what it prints.

A disk may be full, a pipe closed (`| head -1`), a terminal gone, an encoding too narrow for `±`.
"""

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from rich.console import Console

NARROWEST = 100  # columns of a pipe
STANDARD = (0, 1, 2)  # input, output, error
# What our texts hold beyond ASCII, for encodings that lack it.
PLAIN = str.maketrans({"±": "+-", "–": "-", "…": "...", "×": "x", "µ": "u"})


class Output(io.TextIOBase):
    """Writes to a stream for as long as that works; afterwards what is written is lost.

    Args:
        stream: to write to; None: nothing is written.

    Attributes:
        failed: why it cannot be written to; None while it can.
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream
        self.failed: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """The encoding of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    def write(self, text: str, /) -> int:
        """Writes a text; of what the encoding lacks, a plain form or a question mark."""
        if self._stream is not None and self.failed is None:
            try:
                self._write(text)
            except BlockingIOError:  # somebody has made the other end of it impatient
                os.set_blocking(self.fileno(), True)
            except (OSError, ValueError) as error:  # ValueError: it is closed
                self._give_up(error)
        return len(text)

    def flush(self) -> None:
        """Writes what waits."""
        if self._stream is not None and self.failed is None:
            try:
                self._stream.flush()
            except BlockingIOError:
                os.set_blocking(self.fileno(), True)
            except (OSError, ValueError) as error:
                self._give_up(error)

    def isatty(self) -> bool:
        """Says whether it is a terminal, and a working one."""
        try:
            return self._stream is not None and self.failed is None and self._stream.isatty()
        except ValueError:
            return False

    def fileno(self) -> int:
        """Returns the number of the file; raises OSError where it has none."""
        if self._stream is None:
            raise io.UnsupportedOperation("fileno")
        return self._stream.fileno()

    def writable(self) -> bool:
        """Says that it can be written to."""
        return True

    def _write(self, text: str) -> None:
        assert self._stream is not None
        try:
            self._stream.write(text)
        except UnicodeEncodeError:
            plain = text.translate(PLAIN).encode(self.encoding, "replace")
            self._stream.write(plain.decode(self.encoding))

    def _give_up(self, error: Exception) -> None:
        self.failed = error
        if self._stream in (sys.__stdout__, sys.__stderr__):
            # Python writes what still waits as it exits, and would fail there.
            with suppress(OSError, ValueError):
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, self.fileno())
                os.close(nowhere)


@contextmanager
def steady_output() -> Iterator[Output]:
    """Has standard output and error never fail in a `with` block; yields standard output."""
    _open_standard_files()
    before = sys.stdout, sys.stderr
    output, error = Output(sys.stdout), Output(sys.stderr)
    sys.stdout, sys.stderr = cast(TextIO, output), cast(TextIO, error)
    try:
        yield output
    finally:
        output.flush()
        error.flush()
        sys.stdout, sys.stderr = before


def output_console() -> "Console":
    """Returns the console that reports are printed to: at least `NARROWEST` columns of a pipe."""
    from rich.console import Console  # here, so that help and completion need not wait for it

    console = Console(highlight=False, markup=False)
    # A pipe has no width of its own; rich would take 80 columns.
    known = console.is_terminal or "COLUMNS" in os.environ
    return console if known else Console(highlight=False, markup=False, width=NARROWEST)


def why_failed(output: Output) -> str | None:
    """Returns why what was written is lost; None where it is not, or where nobody wants more.

    A reader of a pipe that closes it (`| head -1`) has seen what it wanted.
    """
    error = output.failed
    if error is None or (isinstance(error, OSError) and error.errno == errno.EPIPE):
        return None
    return getattr(error, "strerror", None) or str(error)


def _open_standard_files() -> None:
    """Puts nothing in the place of standard files that are closed (`>&-`).

    Otherwise the next file that is opened takes the number, and is written to by mistake.
    """
    for number in STANDARD:
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
            os.set_inheritable(number, True)
