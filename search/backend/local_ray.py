"""Our own Ray, in a process of its own: it starts while this one still reads and checks.

Most of a start is waiting for Ray's daemons, and most of the rest is imports. A thread would not
do: Ray forks, and its daemons die with the thread that started them. The process ends its daemons
when this one asks, or is gone: it reads from a pipe that only we hold.
"""

import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import threading
import time
from math import ceil
from pathlib import Path
from typing import Any, Self

from search.backend.scratch_folder import ScratchFolder
from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError

ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DEDUP_LOGS": "0",
}
WORKER = "trainable.trial"  # what the workers import before they are needed
OWN_END_S = 30.0  # seconds for the process of our own Ray to end by itself, once its owner is gone
GRACE_S = 0.3  # seconds for Ray's daemons to end by themselves; nothing of theirs is wanted
HOME = Path(__file__).parents[2]
# Below Ray's folder its sockets have long names, and the kernel takes only short ones.
SOCKET = "/session_2026-11-29_12-34-56_123456_4194304/sockets/plasma_store"
LONGEST = (103 if sys.platform == "darwin" else 107) - len(SOCKET)
TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


class LocalRay:
    """Starts Ray when asked to; when the `with` block ends, nothing of it is left.

    Args:
        settings: of the search.

    Attributes:
        folder: temporary, for all that Ray and Tune write; None before the start.
        token: the file that holds the token Ray asks for, readable by its owner only; None before
            the start, and for a token that was in the environment.
    """

    def __init__(self, settings: SearchSettings) -> None:
        self.settings = settings
        self.folder: Path | None = None
        self.token: Path | None = None
        self._scratch: ScratchFolder | None = None
        self._process: subprocess.Popen[str] | None = None
        self._answer: dict[str, str] = {}  # of the process, once it has spoken

    def start(self) -> None:
        """Starts Ray, once, without waiting for it."""
        if self._process is not None:
            return
        if "RAY_AUTH_TOKEN_PATH" in os.environ:
            from search.backend import (
                security,  # a tenth of a second, that others need not wait for
            )

            security.check_token_file()
        os.environ.update(ENVIRONMENT)
        self._scratch = ScratchFolder(LONGEST)
        self.folder = self._scratch.path
        if not set(TOKENS) & os.environ.keys():
            # With a token of our own Ray leaves none in the home folder.
            os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
            self.token = self.folder / "token"
            self.token.touch(mode=0o600)
            self.token.write_text(os.environ["RAY_AUTH_TOKEN"], encoding="utf-8")
        dashboard = str(self.settings.dashboard).lower()
        words = [
            "-P",
            "-m",
            "search.backend.cluster",
            str(self.folder),
            str(self._cpus()),
            dashboard,
        ]
        self._process = subprocess.Popen(
            [sys.executable, *words],
            env=self._environment(self.folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for us
            pass_fds=[self._scratch.lock],  # the folder is its own as long as it lives
        )

    def address(self) -> str:
        """Returns where Ray answers, as soon as it does.

        Raises:
            UserError: it could not start; says why.
        """
        self.start()
        assert self._process is not None
        assert self._process.stdout is not None
        if not self._answer:
            line = self._process.stdout.readline()
            self._answer = json.loads(line) if line else {"error": "its process ended"}
        if "error" in self._answer:
            why = " ".join(str(self._answer["error"]).split())
            raise UserError(
                f"Ray did not start: {why.rstrip('.')}; on a busy machine trying again helps, with "
                "name=NAME resume=true where the run had begun"
            )
        return self._answer["address"]

    def end(self) -> None:
        """Asks Ray to end, without waiting for it."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._end_process()
        finally:
            if self.token is not None:
                os.environ.pop("RAY_AUTH_TOKEN", None)  # the next cluster has another
            if self._scratch is not None:
                self._scratch.remove()

    def _end_process(self) -> None:
        if self._process is None:
            return
        try:
            self.end()
            if not self._answer:
                self._kill()  # nobody uses it yet: the person waits for an error
            self._process.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _kill(self) -> None:
        """Ends the process and its daemons at once; workers go when their daemon has gone."""
        assert self._process is not None
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def _cpus(self) -> int:
        """Returns how many CPU cores Ray may use: it starts a worker for each at once."""
        settings, cores = self.settings, os.cpu_count() or 1
        if settings.max_concurrent is None:
            return cores
        return max(1, min(cores, ceil(settings.max_concurrent * settings.cpus_per_trial)))

    def _environment(self, folder: Path) -> dict[str, str]:
        paths = [str(HOME), *filter(None, [os.environ.get("PYTHONPATH")])]
        threads = max(1, int(self.settings.cpus_per_trial))
        found: dict[str, Any] = {
            "OMP_NUM_THREADS": str(threads),  # as Ray would set it, but before NumPy's import
            "RAY_preload_python_modules": WORKER,
            # Workers stay in our group, and end with it: one that still starts would make Ray's
            # folder again when it is gone.
            "RAY_process_group_cleanup_enabled": "0",
            # As soon as Tune reserves the cores Ray would end the workers that wait for it.
            "RAY_num_workers_soft_limit": str(self._cpus()),
            **os.environ,
            "RAY_AUTH_MODE": "token",  # whatever the person has set for other clusters
            "PYTHONPATH": os.pathsep.join(paths),
            "TMPDIR": str(folder),  # Ray's dashboard leaves files behind
        }
        return found


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
        time.sleep(OWN_END_S)
        shutil.rmtree(self.folder, ignore_errors=True)
        if os.getpgrp() == os.getpid():
            os.killpg(os.getpgrp(), signal.SIGKILL)
        os._exit(1)
