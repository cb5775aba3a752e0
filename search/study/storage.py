"""Opens the durable storage of a search: a journal file in its run folder, or a database by URL."""

from pathlib import Path
from typing import Any, cast

import optuna
from optuna.storages import BaseStorage, InMemoryStorage

from search.settings.masking import mask
from search.study.journal import Journal, OneWriterStorage, is_whole
from trainable.cli.errors import UserError
from trainable.io.json_file import loads

Storage = str | Path | None  # a journal file, a database URL, or in memory (tests)


def open_storage(storage: Storage, *, create: bool) -> BaseStorage:
    """Opens a storage to search in.

    Args:
        storage: path of a journal file; a URL such as `postgresql://…` or `sqlite:///…`; None: in
            memory only.
        create: whether a journal file may be made.

    Raises:
        UserError: a missing or corrupt journal, a path that cannot be written, a database that
            cannot be reached. A URL is named without its secrets.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    if storage is None:
        return InMemoryStorage()
    if isinstance(storage, str) and "://" in storage:
        return _open_database(storage)
    return _open_journal(Path(storage), create=create)


def open_to_read(storage: str | Path) -> BaseStorage:
    """Opens a storage that a driver may be writing to; nothing is written or repaired.

    Raises:
        UserError: as for `open_storage`.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    file = Path(storage) if "://" not in str(storage) else sqlite_file(str(storage))
    if file is not None and not file.is_file():
        raise UserError(f"{file}: there is no study here")
    if "://" in str(storage):
        return _open_database(str(storage))
    try:
        _end(Path(storage))
    except OSError as err:
        raise _closed(Path(storage), err) from err
    return _journal(Path(storage))


def can_be_shared(storage: Storage) -> bool:
    """Says whether several drivers may search in a storage at once."""
    return isinstance(storage, str) and storage.startswith("postgresql")


def sqlite_file(storage: Storage) -> Path | None:
    """Returns the file of an SQLite URL; None for any other storage."""
    if not isinstance(storage, str) or not storage.startswith("sqlite"):
        return None
    from sqlalchemy import make_url

    name = make_url(storage).database
    return Path(name) if name and name != ":memory:" else None


def name_of(storage: Storage) -> str:
    """Returns how messages call a storage."""
    if storage is None:
        return "memory"
    return mask(storage) if isinstance(storage, str) else str(storage)


def repair_journal(path: Path) -> int:
    """Cuts a journal back to its last newline, and returns how many bytes that took away.

    A driver that was killed while it appended leaves half a line; Optuna reads past it, but glues
    its next line to it and loses both.

    Raises:
        UserError: any other line is not a journal entry; names the file and the line.
    """
    end = _end(path)
    torn = path.stat().st_size - end
    if torn:
        with path.open("r+b") as file:
            file.truncate(end)
    return torn


def _end(path: Path) -> int:
    """Returns where the whole lines of a journal end; raises `UserError` where one is damaged."""
    end = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.endswith(b"\n"):
                break
            if not (is_whole(line) and _is_entry(line)):
                raise UserError(
                    f"{path}:{number}: not an entry of an Optuna journal, or a damaged one; "
                    "restore the file from a copy, or start a new run"
                )
            end += len(line)
    return end


def _is_entry(line: bytes) -> bool:
    try:
        entry: Any = loads(line)
    except ValueError:
        return False
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("op_code"), int)
        and 0 <= entry["op_code"] <= 10
        and isinstance(entry.get("worker_id"), str)
    )


def _open_journal(path: Path, *, create: bool) -> BaseStorage:
    try:
        if path.exists():
            repair_journal(path)
            # A run has one driver (its folder is locked), so a lock found here is a dead one's.
            path.with_name(path.name + ".lock").unlink(missing_ok=True)
        elif not create:
            raise UserError(f"{path}: there is no study here")
    except OSError as err:
        raise _closed(path, err) from err
    return _journal(path)


def _journal(path: Path) -> BaseStorage:
    try:
        return OneWriterStorage(Journal(str(path)))
    except OSError as err:
        raise _closed(path, err) from err
    except (AssertionError, KeyError, TypeError, ValueError, RecursionError) as err:
        raise UserError(f"{path}: entries that do not fit together ({err!r})") from err


def _closed(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: cannot open the study: {error.strerror or error}")


def _open_database(url: str) -> BaseStorage:
    # Here, since most searches need no database and would wait for its import.
    from sqlalchemy.exc import SQLAlchemyError

    from search.study.database import LOCKED, Database, fault_of, is_locked

    file = sqlite_file(url)
    if file is not None and not file.parent.is_dir():
        raise UserError(f"storage={mask(url)}: there is no folder {file.parent}; make it first")
    try:
        return cast(BaseStorage, Database(url))
    except ImportError as err:
        package = getattr(err.__cause__ or err, "name", None) or "that reaches it"
        raise UserError(
            f"storage={mask(url)}: cannot be opened: the Python package {package} is not "
            "installed; install it, or use sqlite:///study.db"
        ) from None
    except (SQLAlchemyError, ValueError, optuna.exceptions.OptunaError) as err:
        if is_locked(err):
            raise UserError(
                f"storage={mask(url)}: cannot be opened: {LOCKED}; wait for its end, or choose "
                "another file"
            ) from None
        raise UserError(
            f"storage={mask(url)}: cannot be opened ({fault_of(err)}); "
            "expected a reachable database such as postgresql://user@host/name"
        ) from None
