"""A temporary folder of one process, and the removal of those that killed processes left.

The process, and whoever inherits its lock, holds a file in the folder locked. The kernel lets go
when they are dead, so another process's folder is removed only then, whatever its number was.
"""

import fcntl
import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

from trainable.cli.errors import UserError

PREFIX = "asharpe-"
OWNER = "owner.lock"
PLACES = ("/tmp", "/var/tmp")  # where the usual one is too long, or cannot be written to


class ScratchFolder:
    """A new temporary folder, readable by its owner only.

    Args:
        longest: bytes that its path may have; None: any number.

    Attributes:
        path: of the folder.
        lock: the descriptor that holds it; a process that inherits it keeps the folder too.

    Raises:
        UserError: it can be made nowhere.
    """

    def __init__(self, longest: int | None = None) -> None:
        places = _places()
        for place in places:
            remove_abandoned(place)
        self.path, self.lock = _make(places, longest)

    def remove(self) -> None:
        """Removes the folder with all that is in it."""
        try:
            shutil.rmtree(self.path, ignore_errors=True)
        except KeyboardInterrupt:
            shutil.rmtree(self.path, ignore_errors=True)
            raise
        finally:
            with suppress(OSError):
                os.close(self.lock)
            self.lock = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def remove_abandoned(place: Path) -> None:
    """Removes the folders in `place` that this user's dead processes left there.

    A folder without its lock is not removed: it is of somebody else, or just being made.
    """
    for folder in place.glob(f"{PREFIX}*"):
        with suppress(OSError):  # not ours, or somebody else removes it too
            if not _is_ours(folder, stat.S_ISDIR) or not _is_ours(folder / OWNER, stat.S_ISREG):
                continue
            lock = os.open(folder / OWNER, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(lock)


def _is_ours(path: Path, is_kind: Callable[[int], bool]) -> bool:
    found = path.lstat()
    return is_kind(found.st_mode) and found.st_uid == os.geteuid()


def _places() -> Sequence[Path]:
    """Returns where a temporary folder may be, the preferred place first."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    names: Iterable[str | None] = (tempfile.gettempdir(), *PLACES, runtime)
    return list(dict.fromkeys(Path(name).absolute() for name in names if name))


def _make(places: Sequence[Path], longest: int | None) -> tuple[Path, int]:
    room = len(f"/{PREFIX}12345678")
    faults: list[str] = []
    for place in places:
        if longest is not None and len(os.fsencode(place)) + room > longest:
            faults.append(f"{place} is too long")
            continue
        try:
            return _make_in(place)
        except OSError as error:
            faults.append(f"{place}: {error.strerror or error}")
    most = "" if longest is None else f", whose path has at most {longest - room} characters"
    raise UserError(
        f"no temporary folder can be made ({'; '.join(faults)}); set TMPDIR to a folder that can "
        f"be written to{most}"
    )


def _make_in(place: Path) -> tuple[Path, int]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
        try:
            lock = os.open(path / OWNER, os.O_RDWR | os.O_CREAT, 0o600)
        except FileNotFoundError:  # somebody empties the temporary folder
            continue
        except OSError:
            path.rmdir()
            raise
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(lock).st_nlink:
                return path, lock
        except BlockingIOError:  # another start takes it for abandoned, and removes it
            pass
        except OSError:  # a file system without locks: nobody can tell whether we are dead
            (path / OWNER).unlink(missing_ok=True)
            return path, lock
        os.close(lock)
