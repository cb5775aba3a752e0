"""What `run.json` says of a search: enough to repeat it, and to know what it rests on."""

import json
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import platform, python_version
from typing import Any

from search.plan import Plan
from search.settings import masked
from trainable.data.splits import PARTS

PACKAGES = ("asharpe", "ray", "optuna", "torch", "numpy", "pandas", "pyarrow")


def now() -> str:
    """The present time, UTC, as ISO text."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe(plan: Plan, arguments: Sequence[str]) -> dict[str, Any]:
    """Returns the part of `run.json` that is known before the search starts.

    Args:
        plan: of the search.
        arguments: of the command line, without secrets, so that it can be resumed.
    """
    dataset, settings = plan.dataset, plan.settings
    return {
        "name": settings.run_name,
        "arguments": list(arguments),
        "settings": masked(settings),
        "space": {
            "name": plan.space.name,
            "path": plan.space.path,
            "source": plan.space.source,
            "sha256": plan.space.sha256,
            "parameters": {k: str(v) for k, v in plan.facts.distributions.items()},
        },
        "data": {
            "name": dataset.name,
            "sha256": dataset.sha256,
            "symbols": list(dataset.symbols),
            "intraday": dataset.intraday,
            "horizon": dataset.horizon,
            "lag": dataset.lag,
            "cost_bps": dataset.cost_bps,
            "periods_per_year": dataset.periods_per_year,
            "train_rows": len(dataset.train_rows),
            "valid_rows": len(dataset.valid_rows),
            "validation_periods": len(plan.periods),
            "features": {name: list(names) for name, names in dataset.groups().items()},
        },
        "data_quality": dataset.quality,
        "split": {part: [f"{date:.19}" for date in dataset.dates(part)] for part in PARTS},
        "epochs": plan.epochs,
        "rungs": list(plan.levels),
        "luck_line": plan.luck,
        "seeds": {"search": settings.seed, "finalists": settings.finalist_seeds},
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": python_version(), "platform": platform()},
        "git": revision(),
    }


def sessions(folder: Path) -> dict[str, Any]:
    """Returns when the run was started, and when each session went on with it."""
    file = folder / "run.json"
    if not file.exists():
        return {"started": now(), "resumed": []}
    old = json.loads(file.read_text(encoding="utf-8"))
    return {"started": old["started"], "resumed": [*old["resumed"], now()]}


def revision() -> str | None:
    """Returns the git revision of this code, `-dirty` with changes; None outside a checkout."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except FileNotFoundError:
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
