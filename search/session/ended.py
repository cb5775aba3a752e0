"""Whether a run that is asked to go on has ended, so that nothing need start to say so."""

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from search.settings.settings import SearchSettings, masked
from trainable.cli.text import counted
from trainable.io.checksums import check_file, checked, crc32
from trainable.io.json_file import loads
from trainable.run_format import SEARCHED

TABLES = ("trials.parquet", "epochs.parquet", "returns.parquet", "predictions.parquet")
MODEL_FILES = {"config": "config.json", "model": "model.safetensors"}
TAIL = 2**16  # bytes of the study that are read
NOTED = b'"provisional":false'
# What may be otherwise in a session without giving it anything to train.
PLACE = {
    "name", "runs_dir", "resume", "dry_run", "max_concurrent", "cohort", "cpus_per_trial",
    "gpus_per_trial", "patience_s", "address", "open_cluster", "dashboard", "checkpoint_steps",
    "time_budget_s", "report",
}  # fmt: skip


def nothing_left(settings: SearchSettings, space: Callable[[], str]) -> bool:
    """Says whether a session with these settings would find a run that has ended as it was asked.

    `run.json` alone is read. What it does not say for certain is left to the session: other
    settings, parts of one's own, a search that was out of time, placebos, a best model that was not
    written.

    Args:
        settings: of the session.
        space: returns the check sum of its space.
    """
    new = not settings.resume or settings.name is None
    if new or settings.dry_run or settings.placebo or settings.parts:
        return False
    try:
        record = checked(loads((settings.folder / "run.json").read_bytes()))
        if not _has_ended(record, settings) or record["space"].get("sha256") != space():
            return False
        if settings.storage is None and not _says_so(settings.folder / "study.log"):
            return False
        return _is_whole(settings.folder, "best" in record)
    except (OSError, ValueError, KeyError, TypeError):
        return False  # the session says what is wrong


def ended_sentence(folder: Path) -> str:
    """Returns what to say of a run that has ended.

    Args:
        folder: of the run, of which `nothing_left` holds.
    """
    kinds = loads((folder / "run.json").read_bytes())["counts"]["by_kind"]
    searched = sum(kinds.get(kind, 0) for kind in SEARCHED)
    seeds = f" and {counted(kinds['seed'], 'seed')}" if kinds.get("seed") else ""
    return (
        f"Run {folder.name!r} has ended: {counted(searched, 'configuration')}{seeds} trained, "
        f"nothing is left. More trials={2 * searched} would go on."
    )


def ranking_command(folder: Path) -> str:
    """Returns the command that shows the ranking of a run."""
    return f"python -m analysis.rank {shlex.quote(str(folder))}"


def _says_so(study: Path) -> bool:
    """Says whether a study holds what is noted last, once the search has ended: nothing is cut."""
    with study.open("rb") as file:
        file.seek(max(0, study.stat().st_size - TAIL))
        return NOTED in file.read()


def _is_whole(folder: Path, with_best: bool) -> bool:
    """Says whether tables, and the models of the winner, are what was written."""
    for name in TABLES:
        check_file(folder / name)
    if not with_best:
        return True
    best = folder / "best"
    content = checked(loads((best / "config.json").read_bytes()))
    for member in content["members"]:
        for name in ("config", "model"):
            file = MODEL_FILES[name]
            if crc32((best / member["folder"] / file).read_bytes()) != member[f"{name}_crc32"]:
                return False
    return True


def _has_ended(record: Mapping[str, Any], settings: SearchSettings) -> bool:
    from trainable.io.atomic import json_text  # it imports pyarrow, which other starts need not

    counts, stored = record["counts"], dict(record["settings"])
    now = loads(json_text(masked(settings)))
    if not now["steps_per_epoch"]:  # the space says it
        now["steps_per_epoch"] = stored["steps_per_epoch"]
    for one in (stored, now):  # from Python a space has its name alone
        one["space"] = Path(one["space"]).stem
    searched = sum(counts["by_kind"].get(kind, 0) for kind in SEARCHED)
    complete = counts["by_state"].get("COMPLETE", 0)
    return (
        record["state"] == "ended"
        and not counts["by_state"].get("RUNNING", 0)
        and "time_budget" not in counts["by_reason"]
        and searched >= now["trials"] >= stored["trials"]
        and (not complete or record.get("lost_models") is False)
        and all(stored.get(key) == now[key] for key in now.keys() - PLACE - {"trials"})
    )
