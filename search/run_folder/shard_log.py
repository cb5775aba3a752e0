"""The shards of a run as one log: each has a number, in order of arrival, and is written once.

Several drivers may write it. Who finds the number taken reads what the other wrote, and takes the
next one; so all of them judge the same reports in the same order.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from search.run_folder import shards
from trainable.io.atomic import make_folder
from trainable.io.checksums import MANIFEST
from trainable.io.temporary import remove_temporary
from trainable.report import Report


class ShardLog:
    """The shards in a run folder.

    Args:
        folder: of the run.
        driver: a name of this process, where others may write too; None where no other does.

    Attributes:
        paths: of the shards known, by number.
        next: the first number that is free as far as we know.
    """

    def __init__(self, folder: Path, driver: str | None = None) -> None:
        self._path = folder / "shards"
        self._driver = driver
        self.paths = {int(p.stem): p for p in sorted(self._path.glob("[0-9]*.parquet"))}
        self.next = 1 + max(self.paths, default=0)
        if driver is None:
            remove_temporary(self._path)

    def append(self, reports: Sequence[Report]) -> int | None:
        """Writes reports that arrived together; returns their number, None where it was taken."""
        make_folder(self._path)
        path, number = self._path_of(self.next), self.next
        if not shards.write(path, number, reports, self._driver):
            return None
        self._enter(path)
        return number

    def read_next(self) -> Path | None:
        """Returns the shard that another driver has written after those known; None without any."""
        path = self._path_of(self.next)
        if self._driver is None or not path.exists():
            return None
        self._enter(path)
        return path

    def forget(self, table: Path) -> None:
        """Forgets the shards that another driver removed, since a table holds what they held."""
        if self._driver is None or not table.exists():
            return
        if gone := {number for number, path in self.paths.items() if not path.exists()}:
            for number in gone.intersection(shards.read(table, ["batch"])["batch"].to_pylist()):
                del self.paths[number]

    def remove(self) -> None:
        """Removes all shards: there are tables of them."""
        for path in self.paths.values():  # oldest first: what is left is the end of the story
            path.unlink(missing_ok=True)
        self.paths.clear()
        remove_temporary(self._path)
        if not any(self._path.glob("[0-9]*.parquet")):
            (self._path / MANIFEST).unlink(missing_ok=True)
        with suppress(FileNotFoundError):  # another driver does the same
            if not any(self._path.iterdir()):
                self._path.rmdir()

    def _enter(self, path: Path) -> None:
        self.paths[self.next] = path
        self.next += 1

    def _path_of(self, number: int) -> Path:
        return self._path / f"{number:08d}.parquet"
