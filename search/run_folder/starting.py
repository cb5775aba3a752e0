"""The start of a run: its folder before the search begins, and what a killed start leaves there.

A new run writes `run.json` first, with `state: starting`. It names what this start makes, so that
the next one can take its place if it is killed before the search begins.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from search.run_folder.lock import LOCK, SHARED
from trainable.cli.errors import UserError, unknown
from trainable.io.checksums import checked
from trainable.io.json_file import loads
from trainable.io.temporary import TEMPORARY

RECORD = "run.json"
STARTING = "starting"
STUDY = "study.log"
_LOCKS = (LOCK, SHARED.format("[0-9a-f]" * 8))
_OF_STUDY = ("-journal", ".lock*")  # what SQLite and Optuna add to its name
_TRIALS = "trials"  # holds only hidden files so far


@dataclass(frozen=True)
class Start:
    """What `run.json` says of a run that has not begun.

    Attributes:
        arguments: of the command line, without secrets; None for a search from Python.
        drivers: that have tried to start it, the earliest first.
        study: the name that the study's file has in the folder, unless the study is elsewhere.
    """

    arguments: Sequence[str] | None
    drivers: Sequence[str]
    study: str = STUDY

    def record(self) -> dict[str, Any]:
        """Returns the content of `run.json`."""
        return {
            "state": STARTING,
            "arguments": self.arguments,
            "drivers": self.drivers,
            "study": self.study,
        }


def start_in(path: Path) -> Start | None:
    """Returns the start that a folder's `run.json` tells of; None where it tells none."""
    try:
        record = checked(loads((path / RECORD).read_bytes()))
    except (OSError, ValueError):
        return None
    drivers = record.get("drivers")
    if record.get("state") != STARTING or not isinstance(drivers, list):
        return None
    return Start(record.get("arguments"), tuple(map(str, drivers)), str(record.get("study")))


def can_begin(path: Path) -> bool:
    """Says whether a run can begin in a folder: it is missing, empty, or left by a killed start.

    What a start leaves is known by the lock, or by `run.json`. Whatever else is in the folder is
    somebody else's.
    """
    if not path.is_dir():
        return True
    found, start = list(_files(path)), start_in(path)
    if not all(_is_of_start(path, file, start) for file in found):
        return False
    locked = any(fnmatchcase(file.name, lock) for file in found for lock in _LOCKS)
    return start is not None or locked or not any(file.is_file() for file in found)


def file_of_others(path: Path) -> str | None:
    """Returns the name of a file in a folder that no start of a run leaves; None without any."""
    start = start_in(path)
    others = (file for file in _files(path) if not _is_of_start(path, file, start))
    return next((file.name for file in others), None)


def remove_killed_start(path: Path, but: Path) -> bool:
    """Removes what a killed start left in a folder, `but` one file; says whether there was any.

    Its `run.json` stays until the next start replaces it: it alone says which study was made.
    """
    left = [file for file in sorted(_files(path), reverse=True) if file != but]
    for file in left:  # a folder comes after what is in it
        if file.is_dir() and not file.is_symlink():
            file.rmdir()
        elif file.name != RECORD:
            file.unlink(missing_ok=True)
    return bool(left)


def no_run(runs_dir: Path, name: str) -> UserError:
    """Returns what to say where there is no run to resume."""
    runs = [p.name for p in runs_dir.iterdir() if p.is_dir()] if runs_dir.is_dir() else []
    begin = "leave out resume=true to begin one"
    if not runs:
        return UserError(f"no run {name!r} to resume: {runs_dir} holds none; {begin}")
    return UserError(f"{unknown('run', name, runs)}; {begin}")


def _files(path: Path) -> Iterator[Path]:
    for file in path.iterdir():
        yield file
        if file.name == _TRIALS and file.is_dir() and not file.is_symlink():
            yield from file.iterdir()


def _is_of_start(path: Path, file: Path, start: Start | None) -> bool:
    if file.is_dir() and not file.is_symlink():
        return file == path / _TRIALS
    if file.parent != path:  # marks of drivers
        return file.name.startswith(".") and not file.is_symlink()
    of_study: Iterable[str] = ()
    if start is not None:
        of_study = [start.study, *(start.study + more for more in _OF_STUDY)]
    if file.is_symlink():
        return any(fnmatchcase(file.name, name) for name in of_study)
    known = (RECORD,) if start is not None else ()
    return any(fnmatchcase(file.name, name) for name in (*known, *_LOCKS, TEMPORARY, *of_study))
