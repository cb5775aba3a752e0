"""Which files of parts are in our tables now; imports no table, so that a worker starts quickly."""

from dataclasses import dataclass, field

from trainable.parts.files import PartsFile


@dataclass
class LoadedFile:
    """A file whose entries are in our tables.

    Attributes:
        file: as it was read.
        entries: name of the table and of the entry.
        groups: of features that it brought.
        code: what classes and functions of it belong to, such as `model my_gru`.
        uses: blocks that it is loaded for.
    """

    file: PartsFile
    entries: list[tuple[str, str]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)
    code: dict[str, str] = field(default_factory=dict)
    uses: int = 1

    @property
    def is_needed_to_predict(self) -> bool:
        """Whether it brings more than metrics."""
        return any(table != "METRICS" for table, _ in self.entries)


LOADED: dict[str, LoadedFile] = {}
"""By the name of the file; `registration.py` alone changes it."""


def files_to_predict() -> list[PartsFile]:
    """Returns the loaded files that a model may be made of."""
    return [loaded.file for loaded in LOADED.values() if loaded.is_needed_to_predict]


def loaded_files() -> tuple[PartsFile, ...]:
    """Returns the files whose parts are in our tables."""
    return tuple(loaded.file for loaded in LOADED.values())
