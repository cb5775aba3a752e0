"""Resumes a run by its name alone: its `run.json` keeps the arguments that started it."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from search.run_folder.starting import can_begin, no_run, start_in
from search.settings.checks import check
from search.settings.masking import HIDDEN, mask
from search.settings.reading import settings_from
from search.settings.settings import SearchSettings
from trainable.cli.errors import UserError
from trainable.cli.nested import flat
from trainable.cli.options import from_values, split
from trainable.cli.started import as_started
from trainable.data.settings import expand_source
from trainable.io.checksums import checked
from trainable.io.json_file import loads

if TYPE_CHECKING:  # a search resumes by its arguments while this is imported
    from search.planning.plan import Plan

BEFORE_PRUNING = {"pruning": "objective"}  # what rungs of versions without it scored by
SOURCE = {"data", "data.source", "data.path"}  # one of them, so that a new one wins over an old one
OWN = ("resume", "dry_run")  # of one session, not of the run


def with_stored(argv: Sequence[str]) -> list[str]:
    """Returns the arguments, after those that the run to be resumed was started with.

    What is given now wins over what was given then.

    Where nothing of the run had begun, since its driver was killed before, there is nothing to
    resume: without `resume=true` these arguments begin it. If it was killed before they were
    stored, `space=` must be given again.

    Raises:
        UserError: there is no such run, its record cannot be read, a secret in it must be given
            again, or what it was to search is not known.
    """
    given = dict(split(token) for token in argv)
    if not resumes(argv) or "name" not in given:
        return list(argv)
    folder = Path(given.get("runs_dir", "runs")) / given["name"]
    record = folder / "run.json"
    if record.is_file() and start_in(folder) is None:
        return _with_those_in(record, "restore it to resume this run", argv, given)
    if not can_begin(folder):
        return list(argv)
    if record.is_file():
        argv = _with_those_in(record, f"remove {folder}, and start anew", argv, given)
    elif not folder.is_dir():  # a misspelt name, or folder of runs: a start makes that first
        settings_from(argv)  # unless more is wrong
        raise no_run(folder.parent, folder.name)
    elif "space" not in given:
        raise UserError(
            f"run {given['name']!r} was stopped before anything had begun, and before its settings "
            "were kept; give them again: space=NAME …"
        )
    return [token for token in argv if split(token)[0] != "resume"]


def resumes(argv: Sequence[str]) -> bool:
    """Says whether the arguments ask to go on with a run."""
    return dict(split(token) for token in argv).get("resume", "").lower() == "true"


def _with_those_in(
    file: Path, remedy: str, argv: Sequence[str], given: Mapping[str, str]
) -> list[str]:
    try:
        record = checked(loads(file.read_text(encoding="utf-8")))
        stored = record["arguments"]
        if stored is None:
            raise UserError(
                f"run {given['name']!r} was started from Python: go on with "
                f"launch(…, name={given['name']!r}, resume=True)"
            )
        if not isinstance(stored, list) or not all(isinstance(token, str) for token in stored):
            raise TypeError("arguments: no list of texts")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file} is damaged ({error!r}); {remedy}") from error
    if "pruning" not in record.get("settings", BEFORE_PRUNING):  # of an earlier version
        stored = [*stored, *(f"{key}={value}" for key, value in BEFORE_PRUNING.items())]
    known = {*given, *OWN, *(SOURCE if SOURCE & given.keys() else ())}
    earlier = [token for token in stored if split(token)[0] not in known]
    for token in earlier:
        key, value = split(token)
        if HIDDEN in value:
            raise UserError(
                f"{key} held a secret, which was not stored; give {key}=… again, without it"
            )
    return [*earlier, *argv]


def settings_again(folder: Path, record: Mapping[str, Any], words: Sequence[str]) -> SearchSettings:
    """Returns the settings that a run was searched with, to use its data and models again.

    Args:
        folder: of the run.
        record: its `run.json`.
        words: settings that are given now, and win.

    Raises:
        UserError: a secret in them must be given again.
    """
    place = [f"name={folder.name}", f"runs_dir={folder.resolve().parent}", "resume=true"]
    if record.get("arguments") is not None:
        return settings_from(with_stored([*words, *place]))
    given = dict(split(token) for token in expand_source([*words, *place]))
    stored = flat({key: value for key, value in record["settings"].items() if key != "fix"})
    stored |= {"fix": record["settings"]["fix"], "space": _space_of(record), "dry_run": False}
    if SOURCE & given.keys():
        stored |= {"data.source": None, "data.path": None}
    stored |= given
    for key in ("storage", "storage_path"):
        if HIDDEN in str(stored[key]):
            raise UserError(
                f"{key} held a secret, which was not stored; give {key}=… again, without it"
            )
    return check(from_values(SearchSettings, stored))


def _space_of(record: Mapping[str, Any]) -> str:
    """Returns the name or the path of a run's space; the name of a function."""
    name, path = record["space"]["name"], record["space"]["path"]
    return name if path in (None, f"spaces/{name}.py") else path


def storable(argv: Sequence[str]) -> list[str]:
    """Returns the arguments as they may be stored: secrets masked, one a key."""
    last = dict(split(token) for token in argv)
    return [f"{key}={mask(value)}" for key, value in last.items() if key not in OWN]


def resume_command(name: str, runs_dir: str, stored: Sequence[str] | None) -> str:
    """Returns the command, or the call, that goes on with an interrupted search.

    Args:
        name: of the run.
        runs_dir: where its folder is.
        stored: the words that the run keeps; None where it was started from Python.
    """
    if stored is None:
        return f"launch(…, name={name!r}, resume=True)"
    words = ["python", "-m", "search.run", f"name={name}"]
    if runs_dir != "runs":
        words.append(f"runs_dir={runs_dir}")
    return as_started(shlex.join([*words, "resume=true"]))


def placebo_command(name: str, runs_dir: str, stored: Sequence[str] | None, placebos: int) -> str:
    """Returns the command, or the call, that trains the placebos of a run that are missing.

    Args:
        name: of the run.
        runs_dir: where its folder is.
        stored: the words that the run keeps; None where it was started from Python.
        placebos: how many there are to be.
    """
    if stored is None:
        return f"launch(…, name={name!r}, resume=True, placebo={placebos})"
    folder = str(Path(runs_dir) / name)
    words = ["python", "-m", "search.placebo", folder, f"placebos={placebos}"]
    return as_started(shlex.join(words))


def command_that_goes_on(plan: "Plan", stored: Sequence[str] | None) -> str:
    """Returns the command, or the call, that goes on with an interrupted search, or a placebo."""
    settings, which = plan.settings, plan.placebo
    if which is None:
        return resume_command(settings.run_name, settings.runs_dir, stored)
    runs_dir = str(settings.folder.parents[2])
    return placebo_command(which.run, runs_dir, stored, which.of)
