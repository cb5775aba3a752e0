"""Files of a person's own parts: read as a search starts, copied into its run folder."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from search.settings.settings import SearchSettings
from trainable.io.atomic import make_folder
from trainable.parts.files import PartsFile, read_files

if TYPE_CHECKING:  # a search reads its parts while this is imported
    from search.run_folder.folder import RunFolder

COPIES = "parts"  # folder of a run, for people: `run.json` has the texts, too


def read_parts(settings: SearchSettings) -> tuple[PartsFile, ...]:
    """Returns the files that the settings name.

    Raises:
        UserError: a file is missing, is no Python, or imports a file beside it.
    """
    copies = settings.folder / COPIES if settings.resume else None
    return read_files(settings.parts, copies)


def copy_parts(folder: "RunFolder", files: Sequence[PartsFile]) -> None:
    """Writes the texts into the run folder, as files that a person can read and name."""
    if files:
        make_folder(folder.path / COPIES)
    for file in files:
        folder.write_bytes(f"{COPIES}/{file.name}.py", file.source.encode())
