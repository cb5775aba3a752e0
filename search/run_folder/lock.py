"""Who drives a run: one driver at a time, or several of a shared study, each with its own lock."""

import fcntl
import json
import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trainable.cli.errors import UserError
from trainable.io.json_file import loads

LOCK = "driver.lock"
SHARED = "driver-{}.lock"


def take_lock(file: Path) -> int:
    """Locks a file for this process; the kernel lets go when it dies, so no lock is ever stale.

    The content (pid, host, time) is for the person, and for file systems shared between hosts.
    """
    while True:
        lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            held = _hold(lock, file)
        except BaseException:
            os.close(lock)
            raise
        if held:
            return lock
        os.close(lock)  # its owner removed it between our two steps: try the new one


def _hold(lock: int, file: Path) -> bool:
    host = socket.gethostname()
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        free = True
    except BlockingIOError:
        free = False
    owner = _owner(os.pread(lock, 4096, 0))
    if not free or owner.get("host", host) != host:
        raise _driven(file, owner)
    if not file.exists() or os.fstat(lock).st_ino != file.stat().st_ino:
        return False
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        os.ftruncate(lock, 0)
        os.pwrite(lock, json.dumps({"pid": os.getpid(), "host": host, "since": now}).encode(), 0)
    except OSError:
        file.unlink(missing_ok=True)
        raise
    return True


def _driven(file: Path, owner: Mapping[str, Any], joinable: bool = False) -> UserError:
    process = f"process {owner.get('pid', 'unknown')} on {owner.get('host', socket.gethostname())}"
    words = f"is driven by {process}; wait for its end"
    if joinable:
        words = f"is just being started by {process}; join it with resume=true in a minute"
    return UserError(
        f"run {file.parent.name!r} {words}, choose another name, or remove {file} when that "
        "process is gone"
    )


def _owner(content: bytes) -> dict[str, Any]:
    try:
        owner = loads(content)
    except ValueError:  # empty, or torn by a kill
        return {}
    return owner if isinstance(owner, dict) else {}


def drivers_of(path: Path) -> list[dict[str, Any]]:
    """Returns pid, host and time of who drives the run folder `path`; none when nobody does.

    It asks without taking the lock, which a driver might want at that moment. A driver on another
    host counts as alive.
    """
    files = [path / LOCK, *sorted(path.glob(SHARED.format("*")))]
    return [owner for owner in map(_driver_of, files) if owner is not None]


def dead_drivers(path: Path) -> list[str]:
    """Returns the drivers of a shared study that died on this host, and removes their locks."""
    before, _, after = SHARED.partition("{}")
    dead = []
    for file in sorted(path.glob(SHARED.format("*"))):
        with suppress(FileNotFoundError, PermissionError):
            if _owner(file.read_bytes()).get("host") == socket.gethostname() and _is_free(file):
                file.unlink()
                dead.append(file.name.removeprefix(before).removesuffix(after))
    return dead


def check_alone(path: Path, own: Path) -> None:
    """Raises UserError where another driver of a run folder may live; `own` is the caller's lock.

    By the kernel's word, where it can give it: a process may have got the number of a dead one.
    """
    for file in (path / LOCK, *sorted(path.glob(SHARED.format("*")))):
        if file == own:
            continue
        with suppress(FileNotFoundError):
            owner = _owner(file.read_bytes())
            far = owner.get("host", socket.gethostname()) != socket.gethostname()
            if far or not _is_free(file):
                raise _driven(file, owner, joinable=LOCK not in (own.name, file.name))


def _is_free(file: Path) -> bool:
    """Whether the kernel says that nobody holds a lock; where it cannot say, somebody does."""
    try:
        with file.open("r+b") as lock:  # NFS locks only what is open for writing
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        raise
    except OSError:
        return False
    return True


def forget_others(path: Path, driver: str) -> None:
    """Removes the locks that killed drivers left; `driver` alone still drives."""
    for file in path.glob(SHARED.format("*")):
        if file.name != SHARED.format(driver):
            file.unlink(missing_ok=True)


def who_am_i() -> str:
    """Returns process and host in words."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def _driver_of(file: Path) -> dict[str, Any] | None:
    try:
        owner = _owner(file.read_bytes())
    except FileNotFoundError:
        return None
    pid, host = owner.get("pid"), owner.get("host")
    if not isinstance(pid, int) or not 0 < pid < 2**31 or not isinstance(host, str):
        return None
    if host == socket.gethostname() and not _alive(pid):
        return None
    return owner


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def release(file: Path, lock: int) -> None:
    """Gives up a lock."""
    with suppress(OSError):  # closing is what lets go
        file.unlink(missing_ok=True)
    os.close(lock)
