"""Kills a process whose step exceeds a time limit, and writes the stacks of its threads."""

import faulthandler
import os
import sys
from pathlib import Path
from typing import Self


def stacks_of(folder: Path, worker: int) -> Path:
    """Returns the file of the stacks of a worker that hung."""
    return folder / f"hung-{worker}.txt"


class Watchdog:
    """Watches what happens within its `with` blocks; between them the process may idle.

    A C thread (faulthandler) watches, so code that never returns to Python is killed, too.

    Args:
        file: takes the stacks of all threads of a process that hangs; removed by `close` where
            there is nothing in it. Where its folder is not on this machine: standard error.
        seconds: the time limit of a block.
    """

    def __init__(self, file: Path, seconds: float) -> None:
        self.seconds = seconds
        self._file = file if file.parent.is_dir() else None
        self._out = None if self._file is None else self._file.open("wb")

    def __enter__(self) -> Self:
        out = sys.__stderr__ if self._out is None else self._out
        assert out is not None
        faulthandler.dump_traceback_later(self.seconds, exit=True, file=out)
        return self

    def __exit__(self, *_: object) -> None:
        faulthandler.cancel_dump_traceback_later()

    def close(self) -> None:
        """Lets go of the file."""
        if self._out is None or self._file is None:
            return
        empty = os.fstat(self._out.fileno()).st_size == 0
        self._out.close()
        self._out = None
        if empty:
            self._file.unlink(missing_ok=True)
