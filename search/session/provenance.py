"""What `run.json` says of a search: enough to repeat it, and to know what it rests on."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import platform, python_version
from typing import Any

import numpy as np

from search.planning.plan import Plan
from search.pruning.asha import JudgedAt
from search.run_folder.starting import file_of_others, start_in
from search.scheduling.controller import Controller
from search.settings.settings import SearchSettings, masked
from trainable.cli.errors import UserError
from trainable.data.dataset.splits import PARTS
from trainable.io.atomic import json_text
from trainable.io.checksums import checked
from trainable.io.json_file import loads

# What must not change when a run is resumed: its reports and its sampler rest on it.
SAME_DATA = (
    "sha256", "symbols", "features", "horizon", "lag", "cost_bps", "periods_per_year",
    "train_rows", "valid_rows", "validation_periods", "overnight", "delisting_return",
)  # fmt: skip
SAME_SETTINGS = ("objective", "seed", "steps_per_epoch", "rungs", "reduction_factor", "fix")
PACKAGES = ("asharpe", "ray", "optuna", "torch", "numpy", "pandas", "pyarrow")


def now() -> str:
    """The present time, UTC, as ISO text."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def describe(plan: Plan, arguments: Sequence[str] | None) -> dict[str, Any]:
    """Returns the part of `run.json` that is known before the search starts.

    Args:
        plan: of the search.
        arguments: of the command line, without secrets, so that it can be resumed; None for a
            search from Python.
    """
    dataset, settings = plan.dataset, plan.settings
    return {
        "name": settings.run_name,
        "arguments": None if arguments is None else list(arguments),
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
            "overnight": dataset.overnight,
            "delisting_return": dataset.delisting_return,
            "periods_per_year": dataset.periods_per_year,
            "train_rows": len(dataset.train_rows),
            "valid_rows": len(dataset.valid_rows),
            "validation_periods": len(plan.periods),
            "features": {name: list(names) for name, names in dataset.groups().items()},
        },
        "data_quality": dataset.quality,
        "split": {part: [f"{date:.19}" for date in dataset.dates(part)] for part in PARTS},
        "epochs": plan.epochs,
        "rungs": list(plan.rungs),
        "luck_line": plan.luck,
        "seeds": {"search": settings.seed, "finalists": settings.finalist_seeds},
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": python_version(), "platform": platform()},
        "git": revision(),
    }


@dataclass(frozen=True)
class Sessions:
    """The sessions of a run, as its `run.json` tells of them.

    Attributes:
        started: when the run began, UTC.
        epochs: of a full training, as the run began; None where nobody said.
        rungs: as the run began; None where nobody said.
        resumed: what each session said that went on with it.
    """

    started: str
    epochs: int | None
    rungs: tuple[int, ...] | None
    resumed: tuple[dict[str, Any], ...]

    def judged(self) -> list[JudgedAt]:
        """Returns at which rungs each session judged, and from which batch of reports on."""
        begun = [] if self.rungs is None else [JudgedAt(0, self.rungs)]
        return begun + [
            JudgedAt(one["batch"], tuple(one["rungs"])) for one in self.resumed if "rungs" in one
        ]

    def record(self) -> dict[str, Any]:
        """Returns the keys of `run.json`, those that are known."""
        record = {
            "started": self.started,
            "epochs": self.epochs,
            "rungs": self.rungs,
            "resumed": list(self.resumed),
        }
        return {key: value for key, value in record.items() if value is not None}


def repeatability(settings: SearchSettings, controller: Controller, device: str) -> dict[str, Any]:
    """Returns whether the same seed, code and data give the same search again, and why not.

    Args:
        settings: of the search.
        controller: of the search, as it ended.
        device: `cpu` or `gpu`.
    """
    workers = controller.capacity.slots
    doubts = []
    if not settings.deterministic:
        speed = "whose speed decides what is known first; deterministic=true makes them wait"
        only = "asked in the background while it trains; deterministic=true asks between rounds"
        doubts.append(f"{workers} workers, {speed}" if workers > 1 else f"trials are {only}")
    if controller.workers_lost:
        doubts.append("a worker was lost: its trials went on later than the others")
    if settings.time_budget_s is not None and controller.out_of_time:
        doubts.append("the time was up: where, depends on the machine")
    if controller.study.shared:
        doubts.append("other drivers may have worked on the study")
    if settings.address is not None:
        doubts.append("machines of the cluster may have come and gone")
    if device == "gpu":
        doubts.append("the sums of a GPU may differ in the last bits")
    return {
        "deterministic": settings.deterministic,
        "workers": workers,
        "exactly": not doubts,
        "doubts": doubts,
    }


def check_begun(folder: Path) -> None:
    """Raises UserError where a folder that is there lacks what a run begins with."""
    if start_in(folder) is not None:
        raise UserError(
            f"run {folder.name!r} had not begun, and {folder} holds {file_of_others(folder)}; "
            "choose another name"
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "run.json").exists():
        raise UserError(
            f"{folder / 'run.json'} is missing, without which no run goes on; restore it, or "
            "choose another name"
        )


def check_same(plan: Plan, folder: Path) -> None:
    """Refuses to go on with a run on other data, another objective or another space.

    Args:
        plan: of the session that is about to begin.
        folder: of the run.

    Raises:
        UserError: says which of these has changed.
    """
    old = _stored(folder / "run.json")
    new = loads(json_text(describe(plan, [])))  # as it would be stored: lists, not tuples
    if "overnight" not in old["data"]:  # of a version that counted returns over gaps as 0
        _refuse_other_returns(plan, folder.name)
        sessions = bool(plan.dataset.session_ends.any())
        old["data"] |= {"overnight": "flat" if sessions else None, "delisting_return": 0.0}
    changed = [f"data {key}" for key in SAME_DATA if old["data"].get(key) != new["data"][key]]
    changed += ["split dates"] if old["split"] != new["split"] else []
    changed += [
        key for key in SAME_SETTINGS if old["settings"].get(key) != new["settings"].get(key)
    ]
    changed += ["space"] if old["space"].get("sha256") != new["space"]["sha256"] else []
    if changed:
        raise UserError(
            f"run {folder.name!r} cannot go on with another {', '.join(sorted(changed))}; "
            "choose another name to start a new run"
        )


def _refuse_other_returns(plan: Plan, name: str) -> None:
    """Raises UserError where the reports of an earlier version rest on other returns."""
    dataset = plan.dataset
    gaps = (np.diff(dataset.time) > 1) & (np.diff(dataset.symbol) == 0)
    if gaps.any() or dataset.overnight is not None:
        what = "over missing bars" if gaps.any() else "overnight"
        raise UserError(
            f"run {name!r} was begun by a version that counted returns {what} as 0, and its "
            "trials cannot be ranked beside new ones; choose another name to start a new run"
        )


def sessions(folder: Path) -> Sessions:
    """Returns the sessions of a run so far: none of one that begins now."""
    file = folder / "run.json"
    if not file.exists() or start_in(folder) is not None:
        return Sessions(now(), None, None, ())
    old = _stored(file)
    # Older folders say no more than when: their top says how the latest session has judged.
    entries = [one if isinstance(one, dict) else {"at": one} for one in old["resumed"]]
    rungs = tuple(old["rungs"]) if "rungs" in old else None
    return Sessions(old["started"], old.get("epochs"), rungs, tuple(entries))


def session_that_goes_on(plan: Plan, batch: int) -> dict[str, Any]:
    """Returns what `run.json` says of a session that goes on with a run.

    Args:
        plan: of the session.
        batch: number of the first batch of reports that it judges.
    """
    return {
        "at": now(),
        "trials": plan.settings.trials,
        "epochs": plan.epochs,
        "rungs": list(plan.rungs),
        "batch": batch,
    }


def resumed(folder: Path) -> list[dict[str, Any]]:
    """Returns the sessions that went on with the run, those of other drivers included."""
    return _stored(folder / "run.json")["resumed"]


def _stored(file: Path) -> dict[str, Any]:
    """Reads an earlier session's `run.json`."""
    try:
        old = checked(loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise UserError(f"{file} cannot be read ({error}); restore it to resume") from error
    needed = ("started", "resumed", "data", "split", "settings", "space")
    missing = [key for key in needed if key not in old]
    if missing:
        raise UserError(f"{file} is damaged: it lacks {', '.join(missing)}; restore it to resume")
    return old


def revision() -> str | None:
    """Returns the git revision of this code, `-dirty` with changes; None outside a checkout."""
    here = Path(__file__).parent
    command = ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=False, timeout=10)
    except FileNotFoundError:
        return None
    return found.stdout.strip() or None if found.returncode == 0 else None
