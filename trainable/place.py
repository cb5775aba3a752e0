"""Where the files lie that only workers have: a folder, here or in the cloud."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import pyarrow as pa
from pyarrow import fs

from trainable.errors import UserError

HERE = ".here"  # marks the place of a search that runs


class Place:
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
        """Returns the place of a path, or of a URL such as `s3://bucket/folder`.

        Raises:
            UserError: no file system has such a URL. Its text is not repeated: it may hold a
                password.
        """
        if isinstance(where, Path) or "://" not in where:
            return cls(fs.LocalFileSystem(), str(Path(where).absolute()))
        try:
            system, path = fs.FileSystem.from_uri(where)
        except (pa.ArrowException, OSError, ValueError):
            raise _no_such(where) from None
        if not path.strip("/"):
            raise _no_such(where)
        return cls(system, path.rstrip("/"))

    def __str__(self) -> str:
        return self._path

    def within(self, *names: str | int) -> Self:
        """Returns a folder of this one."""
        return type(self)(self._system, "/".join([self._path, *map(str, names)]))

    def names(self) -> list[str]:
        """Returns the names of the files here, sorted; none where there is no such folder."""
        chosen = fs.FileSelector(self._path, allow_not_found=True)
        found = self._system.get_file_info(chosen)
        return sorted(info.base_name for info in found if info.type != fs.FileType.Directory)

    def has(self, name: str) -> bool:
        """Says whether there is such a file."""
        return self._system.get_file_info(self._full(name)).type != fs.FileType.NotFound

    def read(self, name: str) -> bytes:
        """Returns what a file holds; raises OSError where that cannot be read."""
        with self._system.open_input_stream(self._full(name)) as file:
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
        self._system.move(self._full(name), self._full(new))

    def remove(self, name: str) -> None:
        """Removes a file, if it is there."""
        with suppress(FileNotFoundError):
            self._system.delete_file(self._full(name))

    def _put(self, name: str, content: bytes) -> None:
        with self._system.open_output_stream(self._full(name)) as file:
            file.write(content)

    def _full(self, name: str) -> str:
        return f"{self._path}/{name}"


class NotWrittenError(UserError):
    """A file of a trial cannot be written, which is no fault of its: the search is to end."""


@contextmanager
def writing(place: Place) -> Iterator[None]:
    """Raises NotWrittenError, which names the place, for an OSError of the `with` block."""
    try:
        yield
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error).partition("\n")[0]
        raise NotWrittenError(
            f"cannot write {place}: {why}; mend that and go on with resume=true"
        ) from error


def _no_such(where: str) -> UserError:
    scheme = where.partition("://")[0]
    return UserError(
        f"{scheme}://… names no folder on a file system that pyarrow opens; "
        "s3://bucket/folder, gs://bucket/folder and a path work"
    )
