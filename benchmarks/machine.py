"""What a measurement rests on: machine, versions, date and command; and its JSON file."""

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
PACKAGES = ("asharpe", "torch", "ray", "optuna", "numpy", "pandas", "pyarrow")


def describe() -> dict[str, Any]:
    """Returns machine, versions, git revision and date (UTC), without any path or host name."""
    return {
        "machine": {
            "cpu": _field(Path("/proc/cpuinfo"), "model name") or platform.processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(_memory() / 2**30, 1),
            "system": f"{platform.system()} {platform.machine()}",
            "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
        },
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": platform.python_version()},
        "git": _revision(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
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


def _revision() -> str | None:
    """Returns the commit, with `+` where files differ from it; None outside a repository."""
    if not (ROOT / ".git").exists():
        return None

    def git(*words: str) -> str:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")
