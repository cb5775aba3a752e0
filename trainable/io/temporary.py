"""Temporary files: what a killed process leaves of a file that it was writing."""

from pathlib import Path

TEMPORARY = ".*.*.tmp"  # the names of files that are being written


def remove_temporary(folder: Path) -> None:
    """Removes the temporary files that killed processes have left in a folder."""
    for part in folder.glob(TEMPORARY):
        part.unlink(missing_ok=True)
