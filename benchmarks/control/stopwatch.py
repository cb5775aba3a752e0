"""Where the time of a process goes: seconds by label, a call's own without those inside it."""

import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Any
from unittest.mock import patch


@dataclass
class Spent:
    """Own time of all calls of one label: `cpu_s` of the calling thread, `wall_s` with waiting."""

    calls: int = 0
    cpu_s: float = 0.0
    wall_s: float = 0.0


class Stopwatch:
    """Times labelled blocks and functions of any thread, each without the labelled ones inside."""

    def __init__(self) -> None:
        self.spent: dict[str, Spent] = {}
        self._lock = threading.Lock()
        self._open = threading.local()

    @contextmanager
    def __call__(self, label: str) -> Iterator[None]:
        """Times a block."""
        stack: list[list[float]] = self._open.__dict__.setdefault("stack", [])
        stack.append([0.0, 0.0])  # CPU and wall seconds of the blocks inside
        wall, cpu = time.perf_counter(), time.thread_time()
        try:
            yield
        finally:
            cpu, wall = time.thread_time() - cpu, time.perf_counter() - wall
            inside_cpu, inside_wall = stack.pop()
            if stack:
                stack[-1][0] += cpu
                stack[-1][1] += wall
            with self._lock:
                spent = self.spent.setdefault(label, Spent())
                spent.calls += 1
                spent.cpu_s += cpu - inside_cpu
                spent.wall_s += wall - inside_wall

    @contextmanager
    def on(self, *functions: tuple[Any, str, str]) -> Iterator[None]:
        """Times functions while the block runs: (owner, name, label) each."""
        with ExitStack() as stack:
            for owner, name, label in functions:
                timed = self._timed(getattr(owner, name), label)
                stack.enter_context(patch.object(owner, name, timed))
            yield

    def _timed(self, function: Any, label: str) -> Any:
        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self(label):
                return function(*args, **kwargs)

        return timed
