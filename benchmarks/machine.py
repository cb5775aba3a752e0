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

from trainable.errors import UserError

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
    from search import provenance

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


def save(path: Path, command: str, content: Mapping[str, Any]) -> None:
    """Writes a measurement as JSON: its machine, its command, its content.

    Args:
        path: the file; its folder is made.
        command: what was typed, see `shown`.
        content: the figures; NaN and infinite ones are refused (ValueError).
    """
    whole = {**describe(), "command": command, **content}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", encoding="utf-8")


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
