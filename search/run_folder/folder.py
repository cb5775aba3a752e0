"""The run folder: made by one start, locked by who drives the run, its files written whole."""

import errno
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from secrets import token_hex
from typing import Self

import pandas as pd
import pyarrow as pa

from search.run_folder.lock import LOCK, SHARED, check_alone, release, take_lock
from search.run_folder.starting import (
    RECORD,
    STUDY,
    Start,
    can_begin,
    file_of_others,
    no_run,
    remove_killed_start,
    start_in,
)
from trainable.cli.errors import UserError
from trainable.io.atomic import (
    json_text,
    make_folder,
    parquet_bytes,
    sync,
    write_atomic,
    write_bytes,
    write_through,
)
from trainable.io.checksums import with_checksum
from trainable.io.json_file import loads
from trainable.io.temporary import remove_temporary

PROBE_BYTES = 4 * 1024 * 1024
# Files that are results, besides the `run.json` of a run that has begun.
RESULTS = ("shards/*.parquet", "*.parquet", "best/*", "trials/*/*")


class RunFolder:
    """`runs/NAME/`, held by this process until `close`.

    Attributes:
        path: the folder.
        name: the run's name.
        resumed: it was there before.
        driver: a name for this process as a driver of the run, which no other ever has.
        dead: drivers that were killed before the search began here.
    """

    def __init__(
        self,
        path: Path,
        resumed: bool,
        made: list[Path],
        lock: tuple[Path, int],
        driver: str,
        dead: Sequence[str] = (),
    ) -> None:
        self.path = path
        self.name = path.name
        self.resumed = resumed
        self.driver = driver
        self.dead = dead
        self._made = made
        self._lock: tuple[Path, int] | None = lock

    @classmethod
    def create(
        cls,
        runs_dir: str | Path,
        name: str,
        resume: bool = False,
        shared: bool = False,
        free: bool = False,
        taken: Collection[str] = (),
    ) -> Self:
        """Makes the folder of a new run, or opens that of an old one to go on.

        A new run takes the place of one whose driver was killed before the search began.

        Args:
            runs_dir: where run folders are.
            name: of the run.
            resume: whether it is there already.
            shared: whether others may drive it too, since its study can be shared.
            free: whether the run is called `name-2`, `name-3` … where the name is taken.
            taken: names that are so elsewhere.

        Raises:
            UserError: the run exists (without `resume`) or does not (with it), another process
                drives it, or nothing can be written there. What was created is removed again.
        """
        runs_dir = Path(runs_dir)
        path = runs_dir / name
        if resume and not (path.is_dir() and any(path.iterdir())):
            raise no_run(runs_dir, name)
        if not resume and not free:
            _check_free(path)
        made: list[Path] = []
        lock, driver, dead = None, token_hex(4), ()
        file = None
        try:
            path = _make_free(path, made, taken) if free else _make(path, made)
            file = path / (SHARED.format(driver) if shared else LOCK)
            lock = take_lock(file)
            if not resume:
                _check_free(path)  # it may have begun until we had the lock
                check_alone(path, file)
                killed = start_in(path)
                dead = killed.drivers if killed is not None else ()
                made += [path] if remove_killed_start(path, but=file) else []
            elif not shared:  # others may be writing
                remove_temporary(path)
                remove_temporary(path / "best")
            _probe(path)
        except BaseException as error:
            if lock is not None and file is not None:
                release(file, lock)
            _unmake(made)
            if isinstance(error, OSError):
                raise UserError(f"cannot write to {path}: {_fault(error, resume)}") from error
            raise
        return cls(path, resume, made, (file, lock), driver, dead)

    def start(self, words: Sequence[str] | None, database: Path | None = None) -> None:
        """Writes the first `run.json`, of a run that starts: the next start may take its place.

        Args:
            words: of the command line, without secrets; None from Python.
            database: the SQLite file of the study, where it has one.
        """
        here = database is not None and database.parent.resolve() == self.path.resolve()
        study = database.name if database is not None and here else STUDY
        self.write_json(RECORD, Start(words, [*self.dead, self.driver], study).record())

    def begin(self, run: Mapping[str, object]) -> None:
        """Writes `run.json` of a run that is running: from now on there is something to resume."""
        self.write_json(RECORD, {**run, "state": "running"})

    def write_json(self, name: str, value: Mapping[str, object]) -> None:
        """Writes an object to the file `name`, at once, with its check sum.

        Numpy numbers, dates and paths in it are fine.
        """
        text = json_text(with_checksum(loads(json_text(value))), indent=2)
        write_atomic(self.path / name, f"{text}\n".encode())

    def write_bytes(self, name: str, content: bytes) -> None:
        """Writes the file `name`, at once."""
        write_atomic(self.path / name, content)

    def write_parquet(self, name: str, frame: pd.DataFrame) -> None:
        """Writes `frame`, without its index, to the file `name`, at once."""
        self.write_table(name, pa.Table.from_pandas(frame, preserve_index=False))

    def write_table(self, name: str, table: pa.Table) -> None:
        """Writes `table` to the file `name`, at once."""
        write_atomic(self.path / name, parquet_bytes(table), with_checksum=True)

    def write_through(self, name: str, write: Callable[[Path], None]) -> None:
        """Lets `write` fill a temporary file bit by bit, then puts it in the place of `name`."""
        write_through(self.path / name, write, with_checksum=True)

    def trial(self, number: int) -> Path:
        """Returns the folder of one trial (checkpoints, events, error text), made if needed."""
        path = self.path / "trials" / str(number)
        make_folder(path)
        return path

    @property
    def holds_results(self) -> bool:
        """Whether the folder holds anything that a run is worth."""
        return _holds_results(self.path)

    def discard(self) -> bool:
        """Removes the folder if this process made it and it holds no results; says whether.

        `run.json` stays where drivers were killed: whatever they have made may still be there.
        """
        if self.resumed or self.holds_results:
            self.close()
            return False
        record, lock = self.path / RECORD, self._lock and self._lock[0]
        # They come last: by them the next start knows what a kill leaves here.
        for file in [file for file in self.path.iterdir() if file not in (record, lock)]:
            if file.is_dir() and not file.is_symlink():
                shutil.rmtree(file)
            else:
                file.unlink()
        if not self.dead:
            record.unlink(missing_ok=True)
        self.close()
        if self.dead:
            return False
        self.path.rmdir()
        _unmake(self._made)
        return True

    @contextmanager
    def discard_on_error(self) -> Iterator[None]:
        """Removes the folder when the block raises before it holds a result."""
        try:
            yield
        except BaseException:
            self.discard()
            raise

    def close(self) -> None:
        """Lets another process drive the run."""
        if self._lock is not None:
            release(*self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _holds_results(path: Path) -> bool:
    if (path / RECORD).exists() and start_in(path) is None:
        return True  # it has begun, or its record is damaged
    return any(next(path.glob(pattern), None) for pattern in RESULTS)


def _check_free(path: Path) -> None:
    """Raises UserError where a new run may not take a folder."""
    if _holds_results(path):
        raise UserError(
            f"run {path.name!r} exists; add resume=true to go on, or choose another name"
        )
    if not can_begin(path):
        found = file_of_others(path) or "files of somebody else"
        raise UserError(f"{path} is no run folder: it holds {found}; choose another name")


def _fault(error: OSError, exists: bool) -> str:
    """What is wrong, and what would work: a run that exists is where it is."""
    another = "make it writable" if exists else "choose another folder with runs_dir=PATH"
    if isinstance(error, FileExistsError | NotADirectoryError):
        return f"{error.filename} is no folder; {another}"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{error.strerror}; free some space there, or {another}"
    return f"{error.strerror or error}; {another}"


def _make(path: Path, made: list[Path]) -> Path:
    """Makes a folder with all above it, and notes which were missing; returns it."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            try:
                folder.mkdir()
            except FileExistsError:
                if not folder.is_dir():
                    raise
            else:
                made.append(folder)
    return path


def _make_free(path: Path, made: list[Path], taken: Collection[str]) -> Path:
    """Makes a folder that was not there, with a number at its end where the name is taken."""
    _make(path.parent, made)
    for number in count(1):
        free = path if number == 1 else path.with_name(f"{path.name}-{number}")
        if free.name in taken:
            continue
        try:
            free.mkdir()  # of two processes at once, one makes it
        except FileExistsError:
            continue
        made.append(free)
        return free
    raise AssertionError


def _unmake(made: list[Path]) -> None:
    for folder in reversed(made):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def _probe(path: Path) -> None:
    """Finds a read-only place, a full disk or a spent quota before hours are put into a run."""
    probe = path / f".probe.{os.getpid()}.tmp"
    try:
        write_bytes(probe, os.urandom(PROBE_BYTES))
        sync(probe)
    finally:
        probe.unlink(missing_ok=True)
