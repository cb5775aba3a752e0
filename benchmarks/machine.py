"""What measurements share: lists of numbers, processes of their own, and the JSON file.

The file says what a measurement rests on: machine, versions, date and command.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.processes import busy_seconds
from trainable.cli.errors import UserError

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"


def numbers(text: str) -> list[int]:
    """Reads numbers above 0, by commas, for argparse."""
    parts = text.split(",")
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"{text} is not a list of numbers above 0, as 2,8,32")
    return [int(part) for part in parts]


def alone(module: str, *words: object) -> Any:
    """Runs a benchmark in a process of its own; returns what its last line says in JSON.

    Raises:
        UserError: it failed; it has said why.
    """
    command = ["-m", module, *map(str, words)]
    done = subprocess.run([sys.executable, *command], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise UserError(f"python {shown(command)} ended with status {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])


def describe() -> dict[str, Any]:
    """Returns machine, versions, git revision and date (UTC), without any path or host name."""
    # Here, since its imports would count in the memory of what is measured.
    from search.session import provenance

    return {
        "machine": {
            "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(_memory() / 2**30, 1),
            "system": f"{platform.system()} {platform.machine()}",
            "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        },
        "versions": {name: version(name) for name in provenance.PACKAGES}
        | {"python": platform.python_version()},
        "git": provenance.revision(),
        "date": provenance.now(),
    }


def shown(arguments: Sequence[str]) -> str:
    """Returns a command's arguments as one line, every path cut down to the file's name."""
    return " ".join(_shown(argument) for argument in arguments)


class Record:
    """The JSON file of one measurement, begun before it.

    What was measured is what was there then: the revision is read at the start, and a file that
    saw another one come says so.

    Args:
        path: the file; its folder is made.
        module: that measures.
        argv: its arguments; paths are cut down to the files' names.
    """

    def __init__(self, path: Path, module: str, argv: Sequence[str]) -> None:
        self.path = path
        command = f"python -m {module} {shown(argv)}".strip()
        self._head = {**describe(), "command": command}
        self._busy, self._own = busy_seconds(), _own_seconds()

    def others(self) -> float:
        """Returns the CPU seconds of the machine's other processes so far.

        A measurement next to a busy neighbour is worth little.
        """
        used = _own_seconds() - self._own
        return round(max(0.0, busy_seconds() - self._busy - used), 1)

    def save(self, content: Mapping[str, Any]) -> None:
        """Writes the figures so far; NaN and infinite ones are refused (ValueError)."""
        from search.session import provenance

        whole = {**self._head, **content}
        if (now := provenance.revision()) != whole["git"]:
            whole["git_at_the_end"] = now
        self.path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(whole, indent=1, allow_nan=False) + "\n"
        self.path.write_text(text, encoding="utf-8")


def _own_seconds() -> float:
    """CPU seconds of this process and of those that it waited for."""
    return sum(os.times()[:4])


def _shown(argument: str) -> str:
    key, equals, value = argument.rpartition("=")
    return f"{key}{equals}{Path(value).name}" if "/" in value and Path(value).name else argument


def _field(file: Path, name: str) -> str | None:
    if not file.exists():
        return None
    lines = file.read_text(encoding="utf-8").splitlines()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), None)


def _memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
