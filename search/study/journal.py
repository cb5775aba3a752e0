"""An Optuna journal whose entries can be written together: one wait for the disk, not one each.

Each line ends with its own check sum, as one more key that Optuna does not look at.
"""

import json
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from trainable.cli.errors import UserError
from trainable.io.atomic import not_written
from trainable.io.checksums import KEY, crc32

END = len(f',"{KEY}":"01234567"}}\n')  # of a line with a check sum


class Journal(JournalFileBackend):
    """A journal file with one writer, who may hold entries back to append them at once.

    An append waits for the disk, some milliseconds; a cohort that returns reports dozens of epochs
    and ends, each of them one entry or two. Not thread-safe while entries are held back.

    Attributes:
        path: of the file.
    """

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.path = path
        self._held: list[dict[str, Any]] | None = None
        self._begin: int | None = None  # number of the first entry held back
        self._failed: UserError | None = None  # what ended the writing

    @contextmanager
    def together(self) -> Iterator[None]:
        """Holds back the entries of this block and appends them in the end, also if it raises.

        A process killed meanwhile loses them all, so what they say must be known from elsewhere.

        Raises:
            UserError: somebody else has written to the file, or it cannot be written.
        """
        if self._held is not None:
            yield
            return
        self._held, self._begin = [], None
        try:
            yield
        finally:
            self.flush()

    def flush(self) -> None:
        """Appends what is held back, and holds back no more."""
        held, self._held = self._held, None
        if not held:
            return
        self._append(held)
        assert self._begin is not None  # the storage reads what it has written
        if list(super().read_logs(self._begin)) != held:
            raise UserError(
                f"{self.path}: another process writes to this study; "
                "only one search may run on a study at a time"
            )

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Appends entries, or holds them back.

        Raises:
            UserError: the file cannot be written, now or before; what was appended until then is
                whole.
        """
        signed = [with_sum(log) for log in logs]
        if self._held is None:
            self._append(signed)
        else:  # as the file will give them back
            self._held += [json.loads(json.dumps(log)) for log in signed]

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any], None, None]:
        """Yields the entries from a number on, those held back included."""
        if self._held is None:
            yield from super().read_logs(log_number_from)
            return
        if self._begin is None:
            self._begin = log_number_from
        yield from self._held[log_number_from - self._begin :]

    def _append(self, logs: list[dict[str, Any]]) -> None:
        if self._failed is not None:
            raise self._failed
        path, size = Path(self.path), None
        try:
            size = path.stat().st_size
            super().append_logs(logs)
        except OSError as error:
            # Half a line may be there, which the next one would be glued to.
            with suppress(OSError):
                if size is not None:
                    os.truncate(path, size)
            self._failed = not_written(path, error)
            raise self._failed from error


class OneWriterStorage(JournalStorage):
    """A storage in a `journal` of its own."""

    def __init__(self, journal: Journal) -> None:
        super().__init__(journal)
        self.journal = journal


def with_sum(entry: dict[str, Any]) -> dict[str, Any]:
    """Returns an entry with the check sum of its line as the last key."""
    return {**entry, KEY: crc32(json.dumps(entry, separators=(",", ":")).encode())}


def is_whole(line: bytes) -> bool:
    """Says whether a line has the check sum that it says, or says none: somebody else's."""
    if not line[-END:].startswith(f',"{KEY}":"'.encode()):
        return True
    return crc32(line[:-END], b"}").encode() == line[-11:-3]
