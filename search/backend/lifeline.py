"""The end of a process whose owner is gone: by itself, or, where it hangs, with all it started."""

import os
import shutil
import signal
import sys
import threading
import time

GRACE_S = 30.0  # in which it ends by itself


class Lifeline:
    """Watches stdin, whose other end the owner holds for as long as it lives.

    Args:
        folder: removed where this process must be killed.

    Attributes:
        cut: set when the owner is gone.
    """

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.cut = threading.Event()
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while os.read(sys.stdin.fileno(), 1):  # not `sys.stdin.read`: it locks as Python exits
            pass
        self.cut.set()
        time.sleep(GRACE_S)
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)
