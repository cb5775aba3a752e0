"""A run of which nothing has begun: what a driver leaves that was killed before its `run.json`."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Protocol

from optuna.storages import BaseStorage

from search.run_folder.lock import LOCK, SHARED
from trainable.cli.errors import UserError, unknown
from trainable.io.checksums import checked
from trainable.io.file_store import HERE
from trainable.io.json_file import loads

NOTE = "arguments.json"  # the words of a start, until `run.json` has them
_LOCKS = (LOCK, SHARED.format("[0-9a-f]" * 8))
_HELD = "study.log.lock*"  # a link, while Optuna writes the study
_PARTS = (
    *_LOCKS, NOTE, f".{NOTE}.*.tmp", ".run.json.*.tmp", ".probe.*.tmp", "study.log", _HELD,
    f"trials/{HERE}-*", f"trials/.{HERE}-*.tmp",
)  # fmt: skip
_FOLDERS = ("trials",)


def is_unbegun(path: Path) -> bool:
    """Says whether a run can begin in a folder: it is missing, empty, or a killed driver left it.

    That is so where all of it is a driver's own, with its lock or its note, but no `run.json`:
    nothing was asked of a worker. Whatever else lies in it is somebody's.
    """
    if not path.is_dir():
        return True
    found, study = list(_files(path)), _study(path)
    ours = all(_is_part(path, file, study) for file in found)
    names = [file.name for file in found]
    signed = NOTE in names or any(fnmatchcase(name, lock) for name in names for lock in _LOCKS)
    return ours and (signed or not any(file.is_file() for file in found))


def foreign(path: Path) -> str | None:
    """Returns the name of a file that no driver leaves before its `run.json`; None without any."""
    study = _study(path)
    others = (file for file in _files(path) if not _is_part(path, file, study))
    return next((file.name for file in others), None)


def starters(path: Path) -> tuple[str, ...]:
    """Returns the drivers that the note in a folder names; none without a whole one."""
    drivers = _noted(path).get("drivers")
    return tuple(map(str, drivers)) if isinstance(drivers, list) else ()


def _noted(path: Path) -> dict[str, Any]:
    try:
        return checked(loads((path / NOTE).read_bytes()))
    except (OSError, ValueError):
        return {}


def clear(path: Path, but: Path) -> bool:
    """Removes what a killed driver left in an unbegun folder, `but` one file; says if any was.

    Its note stays until there is another: it alone says which study was made.
    """
    left = [file for file in sorted(_files(path), reverse=True) if file != but]
    for file in left:  # a folder comes after what is in it
        if file.is_dir():
            file.rmdir()
        elif file.name != NOTE:
            file.unlink(missing_ok=True)
    return bool(left)


class Made(Protocol):
    """A study that can be removed, with all that is its own."""

    def __init__(
        self, storage: BaseStorage, study_id: int, settings: Mapping[str, Any]
    ) -> None: ...
    def remove(self) -> None: ...  # noqa: D102


def dropped(kind: type[Made], backend: BaseStorage, name: str, gone: Sequence[str]) -> bool:
    """Removes a study that a driver in `gone` has made, or was making; says whether it was one."""
    if not gone:
        return False
    study_id = backend.get_study_id_from_name(name)
    attrs = backend.get_study_user_attrs(study_id)
    settings = attrs.get("search")
    if settings is not None and settings.get("driver") in gone:
        kind(backend, study_id, settings).remove()
        return True
    if attrs or backend.get_all_trials(study_id, deepcopy=False):
        return False
    backend.delete_study(study_id)  # killed before it could sign it
    return True


def missing(runs_dir: Path, name: str) -> UserError:
    """Returns what to say where there is no run to resume."""
    runs = [p.name for p in runs_dir.iterdir() if p.is_dir()] if runs_dir.is_dir() else []
    begin = "leave out resume=true to begin one"
    if not runs:
        return UserError(f"no run {name!r} to resume: {runs_dir} holds none; {begin}")
    return UserError(f"{unknown('run', name, runs)}; {begin}")


def _files(path: Path) -> Iterable[Path]:
    for file in path.iterdir():
        yield file
        if file.name in _FOLDERS and file.is_dir() and not file.is_symlink():
            yield from file.iterdir()


def _study(path: Path) -> tuple[str, ...]:
    """Returns the names that SQLite gives to what it writes of a study in the folder."""
    name = _noted(path).get("study")
    return (name, f"{name}-journal") if name else ()


def _is_part(path: Path, file: Path, study: tuple[str, ...]) -> bool:
    name = file.relative_to(path).as_posix()
    if file.is_symlink():
        return fnmatchcase(name, _HELD)
    if file.is_dir():
        return name in _FOLDERS
    return name in study or any(fnmatchcase(name, part) for part in _PARTS)
