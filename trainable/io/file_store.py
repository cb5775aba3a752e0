"""Where the files lie that only workers have: a folder, here or in the cloud."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
from pyarrow import fs

from trainable.cli.errors import UserError

HERE = ".here"  # begins the name of the file that marks the folder of a search that runs
CONNECT_S, ANSWER_S = 3.0, 20.0  # an object store that is silent for longer is asked again
TRIES, FIRST_TRIES = 8, 2  # a store may be busy for some seconds; a wrong address stays wrong


class GoneError(OSError):
    """A file system elsewhere that does not answer, or refuses."""


class FileStore:
    """A folder on any file system that pyarrow knows; its files are there whole or not at all.

    Args:
        system: the file system.
        path: of the folder within it.
    """

    def __init__(self, system: fs.FileSystem, path: str) -> None:
        self._system, self._path = system, path
        self._atomic = not isinstance(system, fs.LocalFileSystem)  # an object appears when closed

    @classmethod
    def of(cls, where: str | Path) -> Self:
        """Returns the store of a path, or of a URL such as `s3://bucket/folder`.

        Raises:
            UserError: no file system has such a URL. Its text is not repeated: it may hold a
                password.
        """
        if isinstance(where, Path) or "://" not in where:
            return cls(fs.LocalFileSystem(), str(Path(where).expanduser().absolute()))
        try:
            system, path = fs.FileSystem.from_uri(where)
        except (pa.ArrowException, OSError, ValueError):
            raise _no_such(where) from None
        if not path.strip("/"):
            raise _no_such(where)
        return cls(_with_tries(system, TRIES), path.rstrip("/"))

    def __str__(self) -> str:
        return self._path

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Arrives at a worker: pyarrow leaves behind how often to try."""
        self.__dict__.update(state)
        self._system = _with_tries(self._system, TRIES)

    def with_few_tries(self) -> Self:
        """Returns this folder for a first look: a store that does not answer is soon given up."""
        return type(self)(_with_tries(self._system, FIRST_TRIES), self._path)

    def make_bucket(self) -> None:
        """Makes the bucket of an object store; raises OSError where its URL does not allow that."""
        self._system.create_dir(self._path.partition("/")[0], recursive=False)

    def within(self, *names: str | int) -> Self:
        """Returns a folder of this one."""
        return type(self)(self._system, "/".join([self._path, *map(str, names)]))

    def names(self) -> list[str]:
        """Returns the names of the files here, sorted; none where there is no such folder."""
        chosen = fs.FileSelector(self._path, allow_not_found=True)
        with self._answering():
            found = self._system.get_file_info(chosen)
        return sorted(info.base_name for info in found if info.type != fs.FileType.Directory)

    def is_empty(self, but: str) -> bool:
        """Says whether nothing is here, no file and no folder, besides one file."""
        chosen = fs.FileSelector(self._path, allow_not_found=True)
        with self._answering():
            found = self._system.get_file_info(chosen)
        return all(info.base_name == but for info in found)

    def has(self, name: str) -> bool:
        """Says whether there is such a file."""
        with self._answering():
            return self._system.get_file_info(self._full(name)).type != fs.FileType.NotFound

    def read(self, name: str) -> bytes:
        """Returns what a file holds; raises OSError where that cannot be read."""
        with self._answering(), self._system.open_input_stream(self._full(name)) as file:
            return file.read()

    def write(self, name: str, content: bytes) -> None:
        """Puts a file in the place of what may be there, at once; raises OSError."""
        if self._atomic:
            self._put(name, content)
            return
        self._system.create_dir(self._path, recursive=True)
        part = f".{name}.tmp"
        self._put(part, content)
        self.rename(part, name)

    def rename(self, name: str, new: str) -> None:
        """Gives a file another name, in the place of what may be there."""
        with self._answering():
            self._system.move(self._full(name), self._full(new))

    def remove(self, name: str) -> None:
        """Removes a file, if it is there; raises OSError."""
        with suppress(FileNotFoundError), self._answering():
            self._system.delete_file(self._full(name))

    def clear(self) -> None:
        """Removes all that is here, files and folders; raises OSError."""
        with self._answering():
            self._system.delete_dir_contents(self._path, missing_dir_ok=True)

    def missing(self) -> list[Self]:
        """Returns this folder and those above it that are not there, the deepest first.

        None of an object store, which has no folders.
        """
        if self._atomic:
            return []
        path = Path(self._path)
        absent = [folder for folder in (path, *path.parents) if not folder.exists()]
        return [type(self)(self._system, str(folder)) for folder in absent]

    def prune(self) -> None:
        """Removes the folder if nothing is in it; raises OSError."""
        chosen = fs.FileSelector(self._path, allow_not_found=True)
        if not self._system.get_file_info(chosen):
            with suppress(FileNotFoundError):
                self._system.delete_dir(self._path)

    def _put(self, name: str, content: bytes) -> None:
        with self._answering(), self._system.open_output_stream(self._full(name)) as file:
            file.write(content)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Raises `GoneError` for whatever a file system elsewhere raises, but a missing file."""
        try:
            yield
        except FileNotFoundError:
            raise
        except OSError as error:
            if not self._atomic:
                raise
            raise GoneError(str(error).partition("\n")[0]) from error

    def _full(self, name: str) -> str:
        return f"{self._path}/{name}"


def _with_tries(system: fs.FileSystem, tries: int) -> fs.FileSystem:
    """Returns S3 as it was opened, but with tries and waits of ours: it would wait for minutes."""
    if system.type_name != "s3":
        return system
    make, (options,) = system.__reduce__()  # what it was opened with, environment included
    retry = fs.AwsStandardS3RetryStrategy(max_attempts=tries)
    ours = {"connect_timeout": CONNECT_S, "request_timeout": ANSWER_S, "retry_strategy": retry}
    return make({**options, **ours})


class NotWrittenError(UserError):
    """A file of a trial cannot be written, which is no fault of its: the search is to end."""


@contextmanager
def writing(store: FileStore) -> Iterator[None]:
    """Raises NotWrittenError, which names the store, for an OSError of the `with` block."""
    try:
        yield
    except GoneError:
        raise
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error).partition("\n")[0]
        raise NotWrittenError(
            f"cannot write {store}: {why}; fix that and go on with resume=true"
        ) from error


def _no_such(where: str) -> UserError:
    scheme = where.partition("://")[0]
    return UserError(
        f"{scheme}://… names no folder on a file system that pyarrow opens; "
        "s3://bucket/folder, gs://bucket/folder and a path work"
    )
