"""How busy a GPU is, as nvidia-smi says, which comes with NVIDIA's drivers."""

import shutil
import statistics
import subprocess
import threading
from collections.abc import Sequence
from typing import Self

from trainable.cli.errors import UserError

EVERY_S = 0.5
QUERY = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0")


def busy(looks: Sequence[float]) -> float | None:
    """Returns the mean percentage from the first to the last look at a busy GPU.

    Start-up and what comes after training are left out; None where it never was busy.
    """
    found = [i for i, percent in enumerate(looks) if percent > 0]
    return statistics.fmean(looks[found[0] : found[-1] + 1]) if found else None


class GpuWatch:
    """Looks at the first GPU in a thread of its own; does nothing where there is none.

    Attributes:
        looks: percentages of the time before each look in which the GPU was busy.
    """

    def __init__(self) -> None:
        self.looks: list[float] = []
        self.error: UserError | None = None
        self._program = shutil.which("nvidia-smi")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        if self._program is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._program is not None:
            self._thread.join()

    def busy(self) -> float | None:
        """Returns what `busy` makes of the looks; raises `UserError` where nvidia-smi failed."""
        if self.error is not None:
            raise self.error
        return busy(self.looks)

    def _watch(self) -> None:
        command = [self._program or "", *QUERY]
        while not self._ended.wait(EVERY_S):
            done = subprocess.run(command, capture_output=True, text=True)
            answer = done.stdout.strip()
            if done.returncode != 0 or not answer.isdigit():
                said = answer or done.stderr.strip()
                self.error = UserError(f"nvidia-smi {' '.join(QUERY)} failed: {said}")
                return
            self.looks.append(float(answer))
