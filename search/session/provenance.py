"""What `run.json` says of a search: enough to repeat it, and to know what it rests on."""

import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from platform import platform, python_version
from typing import Any, Self

from search.planning.plan import Plan
from search.pruning.asha import JudgedAt
from search.run_folder.openings import NOTED
from search.run_folder.starting import file_of_others, start_in
from search.scheduling.controller import Controller
from search.settings.settings import SearchSettings, masked
from search.study.trials import TrialRecord
from trainable.cli.errors import UserError
from trainable.io.checksums import checked
from trainable.io.json_file import loads

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
    settings = plan.settings
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
        "parts": [file.record() for file in plan.parts],
        **plan.data_record,
        "epochs": plan.epochs,
        "rungs": list(plan.rungs),
        "luck_line": plan.luck,
        "tries": plan.tries.record(),
        "seeds": {"search": settings.seed, "finalists": settings.finalist_seeds},
        "versions": {name: version(name) for name in PACKAGES}
        | {"python": python_version(), "platform": platform()},
        "git": revision(),
        **({} if plan.placebo is None else {"placebo": asdict(plan.placebo)}),
    }


@dataclass(frozen=True)
class Sessions:
    """The sessions of a run, as its `run.json` tells of them.

    Attributes:
        started: when the run began, UTC.
        begun_with: `trials`, `epochs` and `rungs` of the first session, those that are known.
        resumed: what each session said that went on with it.
        wall_s: seconds in which they trained; those of a killed one count until a trial last began
            or ended.
        killed: when the latest began, UTC, if nothing of it is in `wall_s`: its process was killed.
    """

    started: str
    begun_with: dict[str, Any]
    resumed: tuple[dict[str, Any], ...]
    wall_s: float = 0.0
    killed: str | None = None

    def with_killed(self, rows: Iterable[TrialRecord]) -> Self:
        """Returns the same with the seconds of a killed session, as its trials tell them."""
        if self.killed is None:
            return self
        begun = datetime.fromisoformat(self.killed)
        times = [at for row in rows for at in (row.started, row.ended) if at is not None]
        seconds = max([0.0, *((at - begun).total_seconds() for at in times)])
        return replace(self, wall_s=self.wall_s + round(seconds, 3), killed=None)

    def judged(self) -> list[JudgedAt]:
        """Returns at which rungs each session judged, and from which batch of reports on."""
        first = self.begun_with.get("rungs")
        begun = [] if first is None else [JudgedAt(0, tuple(first))]
        return begun + [
            JudgedAt(one["batch"], tuple(one["rungs"])) for one in self.resumed if "rungs" in one
        ]

    def record(self) -> dict[str, Any]:
        """Returns the keys of `run.json`; `epochs` and `rungs` beside them are the latest."""
        return {
            "started": self.started,
            "begun_with": self.begun_with,
            "resumed": list(self.resumed),
            "wall_s": self.wall_s,
        }


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


def sessions(folder: Path) -> Sessions:
    """Returns the sessions of a run so far: none of one that begins now."""
    file = folder / "run.json"
    if not file.exists() or start_in(folder) is not None:
        return Sessions(now(), {}, ())
    old = stored_record(file)
    # An older folder says no more than when a session went on. Its `epochs` and `rungs` are those
    # of the first one, or all that is known of how it judged.
    begun_with = old.get("begun_with") or {k: old[k] for k in ("epochs", "rungs") if k in old}
    entries = [one if isinstance(one, dict) else {"at": one} for one in old["resumed"]]
    killed = None
    if old.get("state") == "running":
        killed = entries[-1]["at"] if entries else old["started"]
    return Sessions(old["started"], begun_with, tuple(entries), old.get("wall_s", 0.0), killed)


def with_session(earlier: Sessions, plan: Plan, batch: int, resumed: bool) -> Sessions:
    """Returns the sessions of a run with the one that begins now.

    Args:
        earlier: the sessions so far.
        plan: of this session.
        batch: number of the first batch of reports that it judges.
        resumed: whether the run was there before.
    """
    mine = {"trials": plan.settings.trials, "epochs": plan.epochs, "rungs": list(plan.rungs)}
    if not resumed:
        return replace(earlier, begun_with=mine)
    entry = {"at": now(), **mine, "batch": batch}
    return replace(earlier, resumed=(*earlier.resumed, entry))


def noted_openings(folder: Path) -> dict[str, Any]:
    """Returns what `run.json` notes of openings of its gate, which a session that goes on keeps."""
    file = folder / "run.json"
    if not file.exists() or start_in(folder) is not None:
        return {}
    record = stored_record(file)
    return {NOTED: record[NOTED]} if NOTED in record else {}


def resumed(folder: Path) -> list[dict[str, Any]]:
    """Returns the sessions that went on with the run, those of other drivers included."""
    return stored_record(folder / "run.json")["resumed"]


def stored_record(file: Path) -> dict[str, Any]:
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
